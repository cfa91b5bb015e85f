"""The package as it is deployed, a bare one to hold it against, and a Python like Lambda's to run both."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dev.bench.subjects import ROOT

_NOT_COPIED: Final = (".git", ".venv", ".local", ".serverless", "node_modules", "vendor", "__pycache__", ".*_cache")
_CLIENT: Final = "awslambdaric|simplejson|snapshot-restore-py"


class CannotPackageError(Exception):
    """A tool for packaging is missing; the message says which, and how to get it."""


@dataclass(frozen=True, slots=True)
class Packages:
    """Two zips, and the Python that runs them."""

    ours: Path
    bare: Path
    python: Path


def package(folder: Path) -> Packages:
    """Package a copy of the repository as `npx serverless deploy` does; takes half a minute.

    Raises:
        CannotPackageError: Python 3.13 or osls is missing.
    """
    python313 = _python313()
    shutil.rmtree(folder, ignore_errors=True)
    ours = _serverless_package(folder / "project", python313)
    bare = folder / "bare.zip"
    _write_bare(ours, bare)
    return Packages(ours, bare, _lambda_python(folder / "python", python313))


def _python313() -> str:
    pyenv = sorted(Path.home().glob(".pyenv/versions/3.13.*/bin/python3.13"))
    for wish in filter(None, (os.environ.get("PYTHON313"), shutil.which("python3.13"), *map(str, pyenv))):
        if subprocess.run([wish, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0:
            return wish
    raise CannotPackageError("Python 3.13 is missing: install it, or name it in PYTHON313. Lambda runs 3.13.")


def _serverless_package(project: Path, python313: str) -> Path:
    serverless = ROOT / "node_modules/.bin/serverless"
    if not serverless.exists():
        raise CannotPackageError("osls is missing: run `npm ci`.")
    shutil.copytree(ROOT, project, ignore=shutil.ignore_patterns(*_NOT_COPIED), symlinks=True)
    (project / "node_modules").symlink_to(ROOT / "node_modules")
    env = {**os.environ, "PYTHON": python313}
    subprocess.run([str(serverless), "package"], cwd=project, env=env, check=True, capture_output=True)
    return project / ".serverless/handoff.zip"


def _write_bare(ours: Path, bare: Path) -> None:
    """The same vendor/ with its bytecode, and one module of our own in it."""
    with zipfile.ZipFile(ours) as package, zipfile.ZipFile(bare, "w") as out:
        for name in package.namelist():
            if name.startswith("vendor/"):
                out.writestr(name, package.read(name))
        out.write(ROOT / "dev/bench/bare_lambda.py", "bare_lambda.py")


def _lambda_python(folder: Path, python313: str) -> Path:
    """Make a Python 3.13 that has AWS's runtime client and nothing else, at our own pins."""
    pins = (ROOT / "requirements/dev.txt").read_text(encoding="utf-8")
    blocks = re.findall(rf"^(?:{_CLIENT})==.*?(?=^\S)", pins, re.MULTILINE | re.DOTALL)
    subprocess.run([python313, "-m", "venv", "--without-pip", str(folder)], check=True)
    wanted = folder / "requirements.txt"
    wanted.write_text("".join(blocks), encoding="utf-8")
    python = folder / "bin/python"
    pip = [python313, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "-r", str(wanted)], check=True, capture_output=True)
    return python
