"""One packaging for all tests here, and the Python that Lambda runs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.aws.vendor import wheel_choice

ROOT = Path(__file__).resolve().parents[2]
NOT_COPIED = (
    ".git",
    ".venv*",
    ".local",
    ".serverless",
    "build.json",
    "release",
    "node_modules",
    "vendor",
    "__pycache__",
    ".*_cache",
    "*.db*",
)
NO_WAY_OUT = "http://127.0.0.1:9"
"""A proxy nobody serves: whoever tries the network fails at once."""


@dataclass(frozen=True, slots=True)
class Package:
    """What `npx serverless package` left behind."""

    project: Path
    zip: Path
    template: dict[str, Any]
    template_path: Path
    printed: str
    wheels: dict[str, str]
    """The environment in which pip finds every wheel in a folder, and asks nobody."""


@pytest.fixture(scope="session")
def python313() -> Path:
    """Python 3.13, as Lambda runs it: $PYTHON313, on the PATH, or pyenv's; its absence is a failure."""
    pyenv = sorted(Path.home().glob(".pyenv/versions/3.13.*/bin/python3.13"))
    wishes = [os.environ.get("PYTHON313"), shutil.which("python3.13"), *map(str, pyenv)]
    for wish in filter(None, wishes):
        probe = [wish, "-c", "import sys; print(sys.version_info[:2] == (3, 13))"]
        if subprocess.run(probe, capture_output=True, text=True, check=False).stdout == "True\n":
            return Path(wish)
    pytest.fail("Python 3.13 is missing: install it, or name it in PYTHON313. Lambda runs 3.13.")


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the repository to package in, one commit of its own; the work tree stays as it is."""
    if not (ROOT / "node_modules/.bin/serverless").exists():
        pytest.fail("osls is missing: run `npm ci` in the repository's root.")
    copy = tmp_path_factory.mktemp("project") / "handoff"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*NOT_COPIED))
    (copy / "node_modules").symlink_to(ROOT / "node_modules")
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.com"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "Begin"]):
        subprocess.run([*git, *words], cwd=copy, check=True)
    return copy


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory, python313: Path) -> Path:
    """Give a folder with every wheel of the package: the one step that needs the package index."""
    folder = tmp_path_factory.mktemp("wheels")
    pip = [
        str(python313),
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "-d",
        str(folder),
    ]
    options = [*wheel_choice("3.13", "x86_64"), "-r", str(ROOT / "requirements/lambda.txt")]
    subprocess.run([*pip, *options], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def package(project: Path, wheels: Path, python313: Path, tmp_path_factory: pytest.TempPathFactory) -> Package:
    """Package with no network, no credentials, and an empty home and environment."""
    from_folder = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path_factory.mktemp("home")),
        "PYTHON": str(python313),
        **from_folder,
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), NO_WAY_OUT),
    }
    command = [*without_network(), "npx", "--no-install", "serverless", "package"]
    done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path_factory.mktemp("packaged") / "built"  # a later deploy writes into .serverless again
    shutil.copytree(project / ".serverless", folder)
    template = folder / "cloudformation-template-update-stack.json"
    zip_path = folder / "handoff.zip"
    compiled = json.loads(template.read_text())
    return Package(project, zip_path, compiled, template, done.stdout + done.stderr, from_folder)


def without_network() -> list[str]:
    """Give the command that runs another in a namespace with no network, where this machine allows it."""
    for command in (["unshare", "-n"], ["unshare", "-rn"]):
        if (
            shutil.which("unshare")
            and subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0
        ):
            return command
    return []


@pytest.fixture(scope="session")
def lambda_python(python313: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a Python 3.13 that has AWS's runtime client and nothing else, at the versions of our own pins."""
    folder = tmp_path_factory.mktemp("lambda")
    pins = (ROOT / "requirements/dev.txt").read_text()
    names = "awslambdaric|simplejson|snapshot-restore-py"
    blocks = re.findall(rf"^(?:{names})==.*?(?=^\S)", pins, re.MULTILINE | re.DOTALL)
    (folder / "requirements.txt").write_text("".join(blocks))
    subprocess.run([str(python313), "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    python = folder / "venv/bin/python"
    pip = [str(python313), "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "-r", str(folder / "requirements.txt")], check=True, capture_output=True)
    return python
