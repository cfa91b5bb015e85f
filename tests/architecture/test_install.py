"""The lock files install on every supported Python, whatever was released since they were made."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PIPS = {"3.11": ["pip==23.2.1"], "3.12": [], "3.13": ["--upgrade", "pip"]}
"""Each Python with a pip: the one of 3.11.7, the one that comes with it, the newest."""

BROUGHT = {"pip", "setuptools"}
"""What a new venv may have of its own."""

pytestmark = [pytest.mark.install, pytest.mark.timeout(600)]


def find_python(version: str) -> str:
    """Return that Python: named by PYTHON311 and so on, on the PATH, or pyenv's; its absence is a failure."""
    name = f"python{version}"
    pyenv = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/{name}"))
    candidates = [os.environ.get(f"PYTHON{version.replace('.', '')}"), shutil.which(name), *map(str, pyenv)]
    for candidate in filter(None, candidates):
        probe = [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        if subprocess.run(probe, capture_output=True, text=True, check=False).stdout.strip() == version:
            return candidate
    pytest.fail(f"Python {version} is missing: install it, or name it in PYTHON{version.replace('.', '')}")


def commands(text: str) -> list[str]:
    """Return the lines of a text that make a venv or call pip."""
    return re.findall(r"^(?:python\S* -m venv|\.venv/bin/python -m pip) .*", text, re.MULTILINE)


def pins(name: str, *, conditional: bool = True) -> set[tuple[str, str]]:
    """Return the packages in the lock file with their versions, or only those that every machine needs."""
    text = (ROOT / name).read_text(encoding="utf-8")
    found = re.findall(r"^([\w.-]+)==([^\s;]+)( *;)?", text, re.MULTILINE)
    kept = ((ordinary(name), version) for name, version, condition in found if conditional or not condition)
    return {(name, version) for name, version in kept if name not in BROUGHT}


def ordinary(name: str) -> str:
    """Return a package's name as an index writes it: boolean.py is boolean-py."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed(python: Path) -> dict[str, str]:
    """Return the version of each package that python has, without what a new venv brings (a lock may pin it)."""
    command = [str(python), "-m", "pip", "--disable-pip-version-check", "list", "--format=json"]
    listed = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    versions = {ordinary(package["name"]): package["version"] for package in listed}
    return {name: version for name, version in versions.items() if name not in BROUGHT}


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return an environment of a later day: coverage and every package of the run have a newer version.

    pytest-cov requires coverage with an extra.
    """
    folder = tmp_path_factory.mktemp("later")
    for name in ("coverage", *sorted({name for name, _ in pins("requirements.txt")})):
        stem = f"{name.replace('-', '_')}-9999.0"
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 9999.0\nProvides-Extra: toml\n"
        with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{stem}.dist-info/METADATA", metadata)
            wheel.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{stem}.dist-info/RECORD", "")
    known = os.environ.get("PIP_FIND_LINKS", "")
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return {**env, "PIP_FIND_LINKS": f"{known} {folder}".strip(), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


@pytest.fixture(scope="module")
def old_pip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return an empty venv's Python 3.11 with the pip of 3.11.7."""
    folder = tmp_path_factory.mktemp("old_pip")
    subprocess.run([find_python("3.11"), "-m", "venv", str(folder)], check=True)
    python = folder / "bin/python"
    subprocess.run([str(python), "-m", "pip", "install", "-q", *PIPS["3.11"]], check=True, capture_output=True)
    yield python
    shutil.rmtree(folder)


def resolve(python: Path, name: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Let pip choose the versions of a lock file itself, without installing them."""
    command = [str(python), "-m", "pip", "install", "--dry-run", "-r", name]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("version", PIPS)
def test_make_installs_exactly_the_locked_versions(version: str, later: dict[str, str], tmp_path: Path) -> None:
    """On a later day, and with a setting of pip that would install nothing."""
    venv, env = tmp_path / "venv", {**later, "PIP_DRY_RUN": "1"}
    make = ["make", "-s", f"VENV={venv}", f"PYTHON={find_python(version)}"]
    subprocess.run([*make, f"{venv}/bin/python"], cwd=ROOT, env=env, check=True)
    if PIPS[version]:
        subprocess.run([f"{venv}/bin/python", "-m", "pip", "install", "-q", *PIPS[version]], env=later, check=True)
    for stamp, name in (("run", "requirements.txt"), ("dev", "requirements/dev.txt")):
        command = [*make, f"{venv}/{stamp}.stamp"]
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "No broken requirements found." in done.stdout
        assert pins(name, conditional=False) <= installed(venv / "bin/python").items() <= pins(name)
    shutil.rmtree(venv)


@pytest.mark.parametrize("page", ["README.md", "docs/deploy.md"])
def test_the_commands_in_the_docs_install_it_too(page: str, later: dict[str, str], tmp_path: Path) -> None:
    """The copied commands work with the pip of 3.11.7 on a later day; the last of each is pip check."""
    lines = commands((ROOT / page).read_text(encoding="utf-8"))
    assert [line.split()[3] for line in lines if "pip" in line] == ["install", "check"] * (len(lines) // 2)
    for line in lines:
        here = line.replace(".venv", str(tmp_path / ".venv"))
        here = re.sub(r"^python\S*", find_python("3.11"), here)
        env = {**later, "PIP_NO_COMPILE": "1"}  # saves a third of the time
        done = subprocess.run(["bash", "-c", here], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        if " venv " in line:
            old = [f"{tmp_path}/.venv/bin/python", "-m", "pip", "install", "-q", *PIPS["3.11"]]
            subprocess.run(old, env=later, check=True, capture_output=True)
    shutil.rmtree(tmp_path / ".venv")


def test_google_can_install_the_requirements(later: dict[str, str], old_pip: Path) -> None:
    """Google's builder lets pip choose: requirements.txt has no extras, and so has one solution."""
    done = resolve(old_pip, "requirements.txt", later)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_development_lock_cannot_be_resolved_later(later: dict[str, str], old_pip: Path) -> None:
    """Without --no-deps the pip of 3.11.7 looks for a version for coverage[toml], and refuses."""
    done = resolve(old_pip, "requirements/dev.txt", later)
    assert done.returncode != 0
    assert "coverage[toml]" in done.stderr
