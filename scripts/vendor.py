"""Fill vendor/ with the packages of requirements-lambda.txt, for the function's own Python and CPU.

Any machine with pip can do it: pip fetches finished wheels for the platform it is told, so no Docker and no
compiler is needed, and a wrong CPU cannot slip in. Every wheel must match its hash in the requirements file.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
MACHINES: Final = {"x86_64": "x86_64", "arm64": "aarch64"}
GLIBC_MINORS: Final = (34, 28, 17)
"""Lambda's Amazon Linux 2023 has glibc 2.34; wheels for older ones run there too."""

JUNK: Final = (
    *("bin", "*/tests", "*/benchmarks"),
    *("*.dist-info/RECORD", "*.dist-info/INSTALLER", "*.dist-info/REQUESTED"),  # pip's notes to itself
    *("dns", "dnspython-*"),  # email-validator imports it to ask the DNS, which the handoff never does
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
    compile_bytecode(options.out, version)


def install(out: Path, version: str, machine: str) -> None:
    """Have pip lay the hash-pinned wheels into `out`."""
    platforms = [f"--platform=manylinux_2_{minor}_{machine}" for minor in GLIBC_MINORS]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    target = [f"--target={out}", "--implementation=cp", f"--python-version={version}", "--only-binary=:all:"]
    source = [f"--platform=manylinux2014_{machine}", "--require-hashes", "-r", "requirements-lambda.txt"]
    subprocess.run([*pip, *target, *platforms, *source], cwd=ROOT, check=True)


def prune(out: Path) -> None:
    """Take out what never runs: scripts, packages' own tests, botocore's models of other services."""
    data = out / "botocore" / "data"
    doomed = [path for pattern in JUNK for path in out.glob(pattern)]
    doomed += [path for path in data.iterdir() if path.name not in BOTOCORE_DATA]
    doomed += data.glob("dynamodb/*/examples-*.json")
    doomed += data.glob("dynamodb/2011-12-05")
    for path in doomed:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def compile_bytecode(out: Path, version: str) -> None:
    """Compile `out` so that a cold start does not have to: the code folder on Lambda cannot be written.

    `unchecked-hash` because a zip's file times differ from the build's. Only ever do that to this folder,
    which each build makes anew: Python would go on using such bytecode after the source is edited.
    """
    if f"{sys.version_info.major}.{sys.version_info.minor}" != version:
        print(f"vendor/ gets no bytecode: this is Python {sys.version.split()[0]}, the function runs {version}.")
        print("It will work, with a cold start about 0.4 s slower. Set PYTHON=python" + version + " to avoid that.")
        return
    flags = ["-q", "-f", "-j", "0", "--invalidation-mode", "unchecked-hash", "-s", str(out.parent)]
    subprocess.run([sys.executable, "-m", "compileall", *flags, "-p", "/var/task", str(out)], check=True)


if __name__ == "__main__":
    main()
