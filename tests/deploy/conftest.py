"""One packaging for all tests here, and the Python that Lambda runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.aws.vendor import wheel_choice
from dev.emulators.lambda_runtime import client_pins, find_python, make_python

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
    """Return Python 3.13, as Lambda runs it; its absence is a failure."""
    return find_python()


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
    """Return a folder with every wheel of the package and of AWS's runtime client; asks the package index."""
    folder = tmp_path_factory.mktemp("wheels")
    pip = [str(python313), "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "-d", str(folder)]
    pins = folder / "client.txt"
    pins.write_text(client_pins())
    for options in (wheel_choice("3.13", "x86_64"), ["--no-deps", "-r", str(pins)]):
        subprocess.run([*pip, *options], cwd=ROOT, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def package(project: Path, wheels: Path, python313: Path, tmp_path_factory: pytest.TempPathFactory) -> Package:
    """Package with no network, no credentials, and an empty home and environment but for a setting that hurts."""
    from_folder = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path_factory.mktemp("home")),
        "PYTHON": str(python313),
        "PIP_DRY_RUN": "1",
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
    """Return the command that runs another in a namespace with loopback alone, where this machine allows it."""
    up = "fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh14x', b'lo', 1))"  # SIOCSIFFLAGS, IFF_UP
    loopback = [
        *(sys.executable, "-c"),
        f"import fcntl, os, socket, struct, sys; {up}; os.execvp(sys.argv[1], sys.argv[1:])",
    ]
    for command in (["unshare", "-n", *loopback], ["unshare", "-rn", *loopback]):
        if (
            shutil.which("unshare")
            and subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0
        ):
            return command
    return []


@pytest.fixture(scope="session")
def lambda_python(python313: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a Python 3.13 that has AWS's runtime client and nothing else, at the versions of our own pins."""
    return make_python(python313, tmp_path_factory.mktemp("lambda") / "python")
