"""Fill vendor/ with the packages of requirements/lambda.txt, for the function's own Python and CPU.

    python3.13 -m deploy.aws.vendor          the plugin calls it before packaging

Any machine with pip can do it: pip fetches finished wheels for the platform it is told, so no Docker and no
compiler is needed, and a wrong CPU cannot slip in. Every wheel must match its hash in the requirements file.
build.json gets the version and the commit.
"""

from __future__ import annotations

import argparse
import ast
import compileall
import fnmatch
import os
import py_compile
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from deploy.aws.shipped import shipped_files
from handoff.version import BUILD_FILE, build_info

ROOT: Final = Path(__file__).resolve().parents[2]
MACHINES: Final = {"x86_64": "x86_64", "arm64": "aarch64"}
TASK_ROOT: Final = "/var/task"  # where Lambda unpacks the zip
GLIBC_MINORS: Final = (34, 28, 17)
"""Lambda's Amazon Linux 2023 has glibc 2.34; wheels for older ones run there too."""

PIP_KEPT: Final = frozenset(
    {
        *("index-url", "extra-index-url", "no-index", "find-links", "trusted-host", "cert", "client-cert", "proxy"),
        *("timeout", "default-timeout", "retries", "cache-dir", "no-cache-dir", "keyring-provider"),
        *("use-feature", "use-deprecated"),
    }
)
"""pip's settings that say where packages come from and how they are reached."""

JUNK: Final = (  # beginnings of paths in vendor/
    *("bin", "*/tests", "*/benchmarks"),
    *("*.dist-info/INSTALLER", "*.dist-info/REQUESTED"),  # pip's notes to itself
    *("dns", "dnspython-*"),  # email-validator imports it to ask the DNS, which the handoff never does
    *("botocore/data/dynamodb/2011-12-05", "botocore/data/dynamodb/*/examples-1.json"),
)
"""Never loaded at run time."""

BOTOCORE_DATA: Final = frozenset(
    {"_retry.json", "endpoints.json", "partitions.json", "sdk-default-configuration.json", "dynamodb"}
)
"""botocore describes 400 services in 25 MB of JSON; the ledger talks to one."""


def main() -> None:
    """Read the command line and build the folder anew."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runtime", default="python3.13", help="as in serverless.yml")
    parser.add_argument("--arch", default="x86_64", choices=sorted(MACHINES))
    parser.add_argument("--out", type=Path, default=ROOT / "vendor")
    options = parser.parse_args()
    version = options.runtime.removeprefix("python")
    shutil.rmtree(options.out, ignore_errors=True)
    install(options.out, version, MACHINES[options.arch])
    prune(options.out)
    (ROOT / BUILD_FILE).write_text(build_info() + "\n", encoding="utf-8")
    forget_own_bytecode(version)
    if f"{sys.version_info.major}.{sys.version_info.minor}" == version:
        compile_vendored(options.out)
        compile_own()
    else:
        print(f"No bytecode: this is Python {sys.version.split()[0]}, not {version}. It works,")
        print(f"with a cold start 0.5 s slower. Name a Python {version} in PYTHON to avoid that.")


def install(out: Path, version: str, machine: str) -> None:
    """Have pip lay the hash-pinned wheels into `out`."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    options = [
        "--root-user-action=ignore",
        "--no-warn-conflicts",
        "--no-compile",
        f"--target={out}",
        *wheel_choice(version, machine),
    ]
    command = [*pip, *options, "-r", "requirements/lambda.txt"]
    subprocess.run(command, cwd=ROOT, check=True, env=pip_environment(os.environ))


def pip_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return environ with those of pip's settings, from pip.conf too, that say where packages come from.

    A company's mirror has to work. Any other setting, such as PIP_DRY_RUN or `user = true`, would leave vendor/ empty
    or stop pip.
    """
    loud = {**environ, "PIP_QUIET": "0", "PIP_VERBOSE": "0"}
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, env=loud, capture_output=True, text=True, check=True).stdout
    settings = re.findall(r"^(global|install|:env:)\.([\w-]+)=(.+)$", listed, re.MULTILINE)
    settings.sort(key=lambda setting: ("global", "install", ":env:").index(setting[0]))
    kept = {
        "PIP_" + name.replace("-", "_").upper(): str(ast.literal_eval(value))
        for _, name, value in settings
        if name in PIP_KEPT
    }
    rest = {name: value for name, value in environ.items() if not name.startswith("PIP_")}
    return {**rest, **kept, "PIP_CONFIG_FILE": os.devnull}


def wheel_choice(version: str, machine: str) -> list[str]:
    """Return pip's options for the lock's finished, hash-checked wheels of that Python and CPU, whatever runs pip."""
    platforms = [f"--platform=manylinux_2_{minor}_{machine}" for minor in GLIBC_MINORS]
    platforms.append(f"--platform=manylinux2014_{machine}")
    python = ["--implementation=cp", f"--python-version={version}"]
    return ["--no-deps", "--require-hashes", "--only-binary=:all:", *python, *platforms]


def prune(out: Path) -> None:
    """Take out what never runs: scripts, packages' own tests, botocore's models of other services."""
    for path in [path for path in out.rglob("*") if path.is_file()]:
        if is_pruned(PurePosixPath(path.relative_to(out).as_posix())):
            path.unlink()


def is_pruned(path: PurePosixPath) -> bool:
    """Tell whether a file, given relative to vendor/, is left out of it."""
    if path.parts[:2] == ("botocore", "data") and path.parts[2] not in BOTOCORE_DATA:
        return True
    return any(_begins_with(path, PurePosixPath(pattern)) for pattern in JUNK)


def _begins_with(path: PurePosixPath, pattern: PurePosixPath) -> bool:
    enough = len(path.parts) >= len(pattern.parts)
    return enough and all(map(fnmatch.fnmatchcase, path.parts, pattern.parts))


def forget_own_bytecode(version: str) -> None:
    """Take away what other runs of that Python left beside our modules: it need not be of this source."""
    tag = version.replace(".", "")
    for folder in (ROOT, ROOT / "handoff", ROOT / "handoff" / "ledger"):
        for path in folder.glob(f"__pycache__/*.cpython-{tag}.pyc"):
            path.unlink()


def compile_vendored(out: Path) -> None:
    """Compile `out` so that a cold start does not have to: the code folder on Lambda cannot be written.

    `unchecked-hash` because a zip's file times differ from the build's. Only ever do that to this folder, which
    each build makes anew: Python would go on using such bytecode after the source is edited.
    """
    compiled = compileall.compile_dir(
        out,
        quiet=1,
        force=True,
        workers=0,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        stripdir=str(out.parent),
        prependdir=TASK_ROOT,
    )
    if not compiled:
        sys.exit("a vendored module does not compile")


def compile_own() -> None:
    """Compile our modules where Python looks for it, by `checked-hash`: an edited source makes it void."""
    for name in shipped_files(ROOT):
        if name.endswith(".py"):
            compileall.compile_file(
                ROOT / name,
                quiet=1,
                force=True,
                invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH,
                stripdir=str(ROOT),
                prependdir=TASK_ROOT,
            )


if __name__ == "__main__":
    main()
