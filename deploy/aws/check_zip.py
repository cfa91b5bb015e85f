"""Check the packaged zip; exit 1 with every fault named. The plugin calls it at the end of packaging.

    python3.13 -m deploy.aws.check_zip .serverless/handoff.zip

A file that is missing, or one that should not ship, is named, and the zip is started as Lambda starts it. Without the
check the first handoff would find the fault: 502 on every call.
"""

from __future__ import annotations

import argparse
import platform
import re
import sys
import tempfile
import zipfile
from importlib.metadata import distributions
from pathlib import Path
from typing import Final

from deploy.aws.shipped import shipped_files
from deploy.aws.vendor import MACHINES
from dev.emulators.lambda_runtime import FunctionFailedError, LambdaRuntime, make_python
from handoff.version import BUILD_FILE

ROOT: Final = Path(__file__).resolve().parents[2]
ZIP_LIMIT: Final = 50_000_000  # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
LEFT_OUT: Final = frozenset({"dnspython"})
SETTINGS: Final = {
    "FRESHDESK_URL": "https://example.freshdesk.com",
    "FRESHDESK_API_KEY": "a-key",
    "WEBHOOK_SECRET": "a-secret-of-at-least-thirty-two-characters",
    "LEDGER_URL": "dynamodb://handoffs?region=us-east-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
}


def main() -> None:
    """Read the command line; print what the zip weighs and what is wrong with it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("zip", type=Path)
    parser.add_argument("--runtime", default="python3.13", help="as in serverless.yml")
    parser.add_argument("--arch", default="x86_64", choices=sorted(MACHINES))
    options = parser.parse_args()
    found = [*faults(options.zip, ROOT), *package_faults(ROOT)]
    here = ("Linux", MACHINES[options.arch], options.runtime)
    if (platform.system(), platform.machine(), "python{}.{}".format(*sys.version_info)) == here:
        found += start_faults(options.zip)
    else:
        print(f"The package was not started: that needs {' '.join(here)}.")
    print(*found, f"{weight(options.zip)}, {len(found)} faults", sep="\n")
    sys.exit(bool(found))


def weight(zip_path: Path) -> str:
    """Return how many files and megabytes there are, packed and unpacked."""
    with zipfile.ZipFile(zip_path) as package:
        sizes = [info.file_size for info in package.infolist()]
    return f"{len(sizes)} files, {zip_path.stat().st_size / 1e6:.1f} MB, {sum(sizes) / 1e6:.1f} MB unpacked"


def faults(zip_path: Path, root: Path) -> list[str]:
    """Compare the zip's files with what root imports and with its vendor/; return one sentence for each fault."""
    packed = set(zipfile.ZipFile(zip_path).namelist())
    vendored = {path.relative_to(root).as_posix() for path in root.glob("vendor/**/*") if path.is_file()}
    wanted = shipped_files(root) | {BUILD_FILE} | vendored
    tags = {path.split(".")[-2] for path in vendored if path.endswith(".pyc")}  # none if another Python packaged it
    own = [Path(path) for path in wanted - vendored if path.endswith(".py")]
    wanted |= {(path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc").as_posix() for tag in tags for path in own}
    missing = [f"missing: {path} (add it to package.patterns)" for path in sorted(wanted - packed)]
    extra = [f"should not ship: {path}" for path in sorted(packed - wanted)]
    size = zip_path.stat().st_size
    return [*missing, *extra, *([f"larger than Lambda takes: {size} bytes"] if size > ZIP_LIMIT else [])]


def package_faults(root: Path) -> list[str]:
    """Compare the packages in root's vendor/ with requirements/lambda.txt; a package with a marker may be absent."""
    text = (root / "requirements/lambda.txt").read_text(encoding="utf-8")
    pins = {(name, version): marker for name, version, marker in re.findall(r"(?m)^([\w.-]+)==([^\s;]+)( *;)?", text)}
    here = {(_normal(one.name), one.version) for one in distributions(path=[str(root / "vendor")])}
    needed = {(name, version) for (name, version), marker in pins.items() if not marker and name not in LEFT_OUT}
    missing = [f"package missing: {name} {version}" for name, version in sorted(needed - here)]
    return missing + [f"package nobody asked for: {name} {version}" for name, version in sorted(here - pins.keys())]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def start_faults(zip_path: Path) -> list[str]:
    """Start the zip under AWS's runtime client; return why it does not answer, if it does not."""
    with tempfile.TemporaryDirectory() as folder:
        python, task = make_python(Path(sys.executable), Path(folder) / "python"), Path(folder) / "task"
        try:
            with LambdaRuntime(
                zip_path, "lambda_handler.handler", python=python, folder=task, env=SETTINGS, timeout=20
            ) as runtime:
                status = runtime.call("POST", "/", {"Authorization": "Bearer wrong"}).status
        except FunctionFailedError as error:
            return [f"does not start: {error}"]
    return [] if status == 401 else [f"does not start: it answered {status} instead of 401"]  # noqa: PLR2004


if __name__ == "__main__":
    main()
