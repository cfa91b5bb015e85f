"""Hold the packaged zip against what should be in it; exit 1 with every difference named.

    python -m deploy.aws.check_zip .serverless/handoff.zip --runtime python3.13 --arch x86_64

What it finds would otherwise be found by the first handoff: a module that was forgotten, a native file for
another CPU or Python (`No module named 'rpds.rpds'`, 502 on every call), a file that is not the wheel's own,
something that should never leave this machine.
"""

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import re
import struct
import sys
import zipfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, TypeAlias

from deploy.aws.shipped import shipped_files
from deploy.aws.vendor import is_pruned
from handoff.version import BUILD_FILE

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT: Final = Path(__file__).resolve().parents[2]
Files: TypeAlias = dict[PurePosixPath, bytes]
"""What lies in vendor/, by path relative to it."""

ELF_MACHINES: Final = {"x86_64": 62, "arm64": 183}  # e_machine, https://refspecs.linuxfoundation.org/elf/
ZIP_LIMIT: Final = 50_000_000  # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html


def main() -> None:
    """Read the command line, print what the zip weighs and what is wrong with it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("zip", type=Path)
    parser.add_argument("--runtime", default="python3.13", help="as in serverless.yml")
    parser.add_argument("--arch", default="x86_64", choices=sorted(ELF_MACHINES))
    options = parser.parse_args()
    found = faults(options.zip, ROOT, runtime=options.runtime, arch=options.arch)
    print(*found, sep="\n", end="\n" if found else "")
    print(weight(options.zip) + f", {len(found)} faults")
    sys.exit(bool(found))


def weight(zip_path: Path) -> str:
    """Say how many files and megabytes there are, packed and unpacked."""
    with zipfile.ZipFile(zip_path) as package:
        sizes = [info.file_size for info in package.infolist()]
    return f"{len(sizes)} files, {zip_path.stat().st_size / 1e6:.1f} MB, {sum(sizes) / 1e6:.1f} MB unpacked"


def faults(zip_path: Path, root: Path, *, runtime: str, arch: str) -> list[str]:
    """Give one sentence for each thing that is wrong; an empty list is a good zip."""
    with zipfile.ZipFile(zip_path) as package:
        files = {name: package.read(name) for name in package.namelist()}
    vendored = {PurePosixPath(name[7:]): data for name, data in files.items() if name.startswith("vendor/")}
    tag = runtime.removeprefix("python").replace(".", "")
    return [
        *_own_faults(files.keys(), shipped_files(root) | {BUILD_FILE}),
        *_distribution_faults(vendored, (root / "requirements/lambda.txt").read_text()),
        *_record_faults(vendored),
        *_bytecode_faults({PurePosixPath(name) for name in files}, tag),
        *(fault for path, data in vendored.items() for fault in _native_faults(path, data, arch, tag)),
        *_size_faults(zip_path.stat().st_size),
    ]


def _size_faults(size: int) -> list[str]:
    return [f"larger than Lambda takes: {size} bytes"] if size > ZIP_LIMIT else []


def _own_faults(packed: Iterable[str], wanted: set[str]) -> list[str]:
    own = {name for name in packed if not name.startswith("vendor/") and not name.endswith(".pyc")}
    missing = [f"missing: {name} (add it to package.patterns)" for name in sorted(wanted - own)]
    return missing + [f"should not ship: {name}" for name in sorted(own - wanted)]


def _distribution_faults(vendored: Files, requirements: str) -> list[str]:
    """Compare the packages' names and versions with the requirements; one with a marker may be absent."""
    pins = re.findall(r"^([\w.-]+)==([^\s;]+)( *;)?", requirements, re.MULTILINE)
    wanted = {f"{re.sub(r'[-.]+', '_', name).lower()}-{version}": marker for name, version, marker in pins}
    here = {path.parts[0].removesuffix(".dist-info").lower() for path in vendored if path.name == "METADATA"}
    needed = {name for name, marker in wanted.items() if not (marker or is_pruned(PurePosixPath(name)))}
    missing = [f"package missing: {name}" for name in sorted(needed - here)]
    return missing + [f"package nobody asked for: {name}" for name in sorted(here - wanted.keys())]


def _record_faults(vendored: Files) -> list[str]:
    """Compare each file with the names and hashes that its wheel brought along (RECORD)."""
    records = [data.decode() for path, data in vendored.items() if path.name == "RECORD"]
    rows = [row for record in records for row in csv.reader(record.splitlines())]
    listed = {PurePosixPath(name): digest for name, digest, _size in rows if not name.startswith("../")}
    listed = {path: digest for path, digest in listed.items() if not is_pruned(path)}
    source = {path: data for path, data in vendored.items() if path.suffix != ".pyc"}
    missing = [f"missing: vendor/{path}" for path in sorted(listed.keys() - source.keys())]
    extra = [f"from no package: vendor/{path}" for path in sorted(source.keys() - listed.keys())]
    both = sorted(listed.keys() & source.keys())
    changed = [path for path in both if listed[path] not in {"", _digest(source[path])}]
    return missing + extra + [f"not as its package made it: vendor/{path}" for path in changed]


def _digest(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


def _bytecode_faults(packed: set[PurePosixPath], tag: str) -> list[str]:
    """Ask for bytecode of every module or of none, and of the function's Python only."""
    bytecode = {path for path in packed if path.suffix == ".pyc"}
    if not bytecode:
        return []
    sources = [path for path in packed if path.suffix == ".py"]
    wanted = {path.parent / "__pycache__" / f"{path.stem}.cpython-{tag}.pyc" for path in sources}
    missing = [f"no bytecode: {path}" for path in sorted(wanted - bytecode)]
    return missing + [f"stray bytecode: {path}" for path in sorted(bytecode - wanted)]


def _native_faults(path: PurePosixPath, data: bytes, arch: str, tag: str) -> list[str]:
    if ".so" not in path.suffixes and path.suffix not in {".pyd", ".dll", ".dylib"}:
        return []
    if data[:4] != b"\x7fELF" or struct.unpack_from("<H", data, 18)[0] != ELF_MACHINES[arch]:
        return [f"not for {arch}: vendor/{path}"]
    if ".cpython-" in path.name and f".cpython-{tag}-" not in path.name:
        return [f"not for CPython {tag}: vendor/{path}"]
    return []


if __name__ == "__main__":
    main()
