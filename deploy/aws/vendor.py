"""Fill vendor/ with the packages of requirements/lambda.txt, for the function's own Python and CPU.

    python3.13 -m deploy.aws.vendor          the plugin calls it before packaging

pip fetches finished wheels for the platform it is given and checks their hashes, so no Docker and no compiler is
needed. The version and the commit go into build.json.
"""

from __future__ import annotations

import argparse
import compileall
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Final

from deploy.aws.shipped import shipped_files
from handoff.version import BUILD_FILE, build_info

ROOT: Final = Path(__file__).resolve().parents[2]
MACHINES: Final = {"x86_64": "x86_64", "arm64": "aarch64"}
PLATFORMS: Final = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014")
"""Lambda's Amazon Linux 2023 has glibc 2.34; wheels for older ones run there too."""

PIP_KEPT: Final = re.compile(
    "PIP_(INDEX_URL|EXTRA_INDEX_URL|NO_INDEX|FIND_LINKS|TRUSTED_HOST|CERT|CLIENT_CERT|PROXY|TIMEOUT|DEFAULT_TIMEOUT"
    "|RETRIES|CACHE_DIR|NO_CACHE_DIR|CONFIG_FILE|KEYRING_PROVIDER|USE_FEATURE|USE_DEPRECATED)"
)
"""pip's settings that say where packages come from and how they are reached, as in the Makefile."""

UNUSED: Final = (
    *("bin", "*/tests", "*/benchmarks", "*.dist-info/INSTALLER", "*.dist-info/REQUESTED"),
    *("dns", "dnspython-*"),  # email-validator imports it to ask the DNS, which the handoff never does
    *("botocore/data/dynamodb/2011-12-05", "botocore/data/dynamodb/*/examples-1.json"),
)
"""Paths in vendor/ that are never loaded at run time."""

BOTOCORE_DATA: Final = (
    *("_retry.json", "endpoints.json", "partitions.json", "sdk-default-configuration.json"),
    "dynamodb",
)
"""botocore describes 400 services in 25 MB of JSON; the ledger uses one."""


def main() -> None:
    """Read the command line and build the folder anew."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runtime", default="python3.13", help="as in serverless.yml")
    parser.add_argument("--arch", default="x86_64", choices=sorted(MACHINES))
    options = parser.parse_args()
    version, vendor = options.runtime.removeprefix("python"), ROOT / "vendor"
    shutil.rmtree(vendor, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    into = ["--root-user-action=ignore", "--no-compile", f"--target={vendor}"]
    command = [*pip, *into, *wheel_choice(version, MACHINES[options.arch])]
    subprocess.run(command, cwd=ROOT, check=True, env=pip_environment(os.environ))
    prune(vendor)
    (ROOT / BUILD_FILE).write_text(build_info() + "\n", encoding="utf-8")
    own = [ROOT / name for name in shipped_files(ROOT) if name.endswith(".py")]
    for folder in {path.parent for path in own}:  # bytecode that other runs left need not be of this source
        shutil.rmtree(folder / "__pycache__", ignore_errors=True)
    if "{}.{}".format(*sys.version_info) != version:
        print(f"No bytecode: this is Python {sys.version.split()[0]}, not {version}. The package works,")
        print(f"with a cold start 0.5 s slower. Name a Python {version} in PYTHON to avoid that.")
        return
    # Times in a zip differ from the build's, so bytecode goes by hash. Without a check of the hash only in vendor/,
    # which each build makes anew: Python would go on using such bytecode after our own source is edited.
    compile_all(vendor.rglob("*.py"), PycInvalidationMode.UNCHECKED_HASH)
    compile_all(own, PycInvalidationMode.CHECKED_HASH)


def wheel_choice(version: str, machine: str) -> list[str]:
    """Return pip's options for the lock's wheels of that Python and CPU, whichever Python runs pip."""
    platforms = [f"--platform={name}_{machine}" for name in PLATFORMS]
    python = ["--implementation=cp", f"--python-version={version}", *platforms]
    return ["--no-deps", "--require-hashes", "--only-binary=:all:", *python, "-r", "requirements/lambda.txt"]


def pip_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return environ without the settings of pip that change what an install does, such as PIP_DRY_RUN."""
    return {name: value for name, value in environ.items() if not name.startswith("PIP_") or PIP_KEPT.fullmatch(name)}


def prune(vendor: Path) -> None:
    """Take out what never runs: scripts, packages' own tests, botocore's models of other services."""
    unused = [path for pattern in UNUSED for path in vendor.glob(pattern)]
    unused += [path for path in vendor.glob("botocore/data/*") if path.name not in BOTOCORE_DATA]
    for path in unused:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def compile_all(paths: Iterable[Path], mode: PycInvalidationMode) -> None:
    """Compile modules for /var/task, where Lambda unpacks the zip and where nothing can be written."""
    for path in paths:
        if not compileall.compile_file(
            path, quiet=1, force=True, invalidation_mode=mode, stripdir=str(ROOT), prependdir="/var/task"
        ):
            sys.exit(f"{path} does not compile")


if __name__ == "__main__":
    main()
