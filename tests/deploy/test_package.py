"""The zip that ships: made anywhere, the same each time, and nothing in it that should not be."""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from deploy.aws.check_zip import faults
from handoff.version import VERSION
from tests.deploy.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.deploy.conftest import Package

pytestmark = pytest.mark.deploy

Files = dict[str, bytes]
NATIVE = "vendor/rpds/rpds.cpython-313-x86_64-linux-gnu.so"


def found(zip_path: Path) -> list[str]:
    """Run the check as serverless.yml would have it."""
    return faults(zip_path, ROOT, runtime="python3.13", arch="x86_64")


def test_packaging_needs_no_network_and_no_credentials(package: Package) -> None:
    """An empty environment and a namespace without network are enough, given the wheels."""
    assert "Service packaged" in package.printed


def test_the_zip_holds_exactly_what_it_should(package: Package) -> None:
    """Own modules by their imports, packages by their own lists of files: nothing missing, nothing more."""
    assert found(package.zip) == []


def test_the_zip_names_the_commit_it_is_made_from(package: Package) -> None:
    """The work tree that was packaged is clean, though packaging writes into it."""
    told = subprocess.run(["git", "rev-parse", "HEAD"], cwd=package.project, capture_output=True, text=True, check=True)
    with zipfile.ZipFile(package.zip) as zipped:
        assert json.loads(zipped.read("build.json")) == {"version": VERSION, "commit": told.stdout[:12]}


def test_the_check_is_a_command(package: Package) -> None:
    """CI and the operator run it by hand; it says what the zip weighs."""
    command = [sys.executable, "-m", "deploy.aws.check_zip", str(package.zip)]
    done = subprocess.run(command, cwd=package.project, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.endswith(" MB unpacked, 0 faults\n")) == (0, True)


@pytest.mark.parametrize("manual", ["deploy.md", "deploy.es.md"])
def test_the_manual_says_what_it_weighs(package: Package, manual: str) -> None:
    """To within a quarter of a megabyte, which a new version of a package may move."""
    [told] = re.findall(r"\((\d+)[.,](\d) MB\)", (ROOT / "docs" / manual).read_text())
    assert abs(float(".".join(told)) - package.zip.stat().st_size / 1e6) < 0.25


def test_every_packed_module_has_bytecode(package: Package) -> None:
    """Without it a cold start compiles 500 modules: 1.0 s instead of 0.4 s."""
    with zipfile.ZipFile(package.zip) as packed:
        names = packed.namelist()
    assert {"vendor/flask/__pycache__/app.cpython-313.pyc", "__pycache__/main.cpython-313.pyc"} <= set(names)


@pytest.fixture
def seeded(package: Package, tmp_path: Path) -> Callable[[Callable[[Files], object]], list[str]]:
    """Check the good zip with one fault put in."""

    def check(fault: Callable[[Files], object]) -> list[str]:
        with zipfile.ZipFile(package.zip) as good:
            files = {name: good.read(name) for name in good.namelist()}
        fault(files)
        with zipfile.ZipFile(tmp_path / "bad.zip", "w") as bad:
            for name, data in files.items():
                bad.writestr(name, data)
        return found(tmp_path / "bad.zip")

    return check


def other_cpu(files: Files) -> None:
    """Turn a native file into one for arm64, by the two bytes that say so."""
    data = bytearray(files[NATIVE])
    struct.pack_into("<H", data, 18, 183)
    files[NATIVE] = bytes(data)


def other_python(files: Files) -> None:
    """Name a native file as Python 3.12's."""
    files[NATIVE.replace("313", "312")] = files.pop(NATIVE)


FAULTS: dict[str, tuple[Callable[[Files], object], str]] = {
    "a module forgotten": (lambda files: files.pop("ticket.py"), "missing: ticket.py"),
    "the routing forgotten": (lambda files: files.pop("config/routing.toml"), "missing: config/routing.toml"),
    "the commit forgotten": (lambda files: files.pop("build.json"), "missing: build.json"),
    "a template forgotten": (
        lambda files: files.pop("config/ticket.html"),
        "missing: config/ticket.html",
    ),
    "a test": (
        lambda files: files.update({"tests/test_main.py": b""}),
        "should not ship: tests/test_main.py",
    ),
    "a secret": (lambda files: files.update({".env": b""}), "should not ship: .env"),
    "the stand-in": (
        lambda files: files.update({"dev/local_freshdesk/app.py": b""}),
        "should not ship: dev/local_freshdesk/app.py",
    ),
    "another CPU": (other_cpu, f"not for x86_64: {NATIVE}"),
    "another Python": (other_python, f"not for CPython 313: {NATIVE.replace('313', '312')}"),
    "a package's file lost": (
        lambda files: files.pop("vendor/flask/app.py"),
        "missing: vendor/flask/app.py",
    ),
    "DynamoDB's model lost": (
        lambda files: files.pop("vendor/botocore/data/dynamodb/2012-08-10/service-2.json.gz"),
        "missing: vendor/botocore/data/dynamodb/2012-08-10/service-2.json.gz",
    ),
    "a package's file changed": (
        lambda files: files.update({"vendor/flask/app.py": b"import os"}),
        "not as its package made it: vendor/flask/app.py",
    ),
    "a stranger in vendor": (
        lambda files: files.update({"vendor/evil.py": b""}),
        "from no package: vendor/evil.py",
    ),
    "a whole package more": (
        lambda files: files.update({"vendor/gunicorn-23.0.0.dist-info/METADATA": b""}),
        "package nobody asked for: gunicorn-23.0.0",
    ),
    "a package fewer": (
        lambda files: files.pop("vendor/flask-3.1.3.dist-info/METADATA"),
        "package missing: flask-3.1.3",
    ),
    "the operator's bytecode": (
        lambda files: files.update({"__pycache__/ops.cpython-313.pyc": b""}),
        "stray bytecode: __pycache__/ops.cpython-313.pyc",
    ),
    "bytecode lost": (
        lambda files: files.pop("vendor/flask/__pycache__/app.cpython-313.pyc"),
        "no bytecode: vendor/flask/__pycache__/app.cpython-313.pyc",
    ),
    "bytecode of something gone": (
        lambda files: files.update({"vendor/flask/__pycache__/gone.cpython-313.pyc": b""}),
        "stray bytecode: vendor/flask/__pycache__/gone.cpython-313.pyc",
    ),
    "too large": (
        lambda files: files.update({"huge.bin": bytes(50_000_000)}),
        "larger than Lambda takes: 6",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_seeded_fault_is_named(name: str, seeded: Callable[[Callable[[Files], object]], list[str]]) -> None:
    """Each of these would otherwise be found by the first handoff, or by nobody."""
    fault, sentence = FAULTS[name]
    assert any(line.startswith(sentence) for line in seeded(fault))


def test_a_module_somebody_adds_is_asked_for(package: Package, tmp_path: Path) -> None:
    """The list of modules is the imports themselves: a new one that nobody packed is a fault."""
    root = tmp_path / "root"
    shutil.copytree(package.project, root, ignore=shutil.ignore_patterns("node_modules", "vendor", ".serverless"))
    (root / "brand_new.py").write_text("")
    with (root / "ticket.py").open("a") as module:
        module.write("\n\ndef late() -> None:\n    import brand_new\n")
    named = faults(package.zip, root, runtime="python3.13", arch="x86_64")
    assert named == ["missing: brand_new.py (add it to package.patterns)"]


def test_a_broken_routing_is_not_packaged(package: Package, tmp_path: Path) -> None:
    """With it no copy of the function would start, and every handoff would be answered 502."""
    root = tmp_path / "root"
    shutil.copytree(package.project, root, symlinks=True, ignore=shutil.ignore_patterns("vendor", ".serverless"))
    (root / ".venv/bin").mkdir(parents=True)
    (root / ".venv/bin/python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (root / ".venv/bin/python").chmod(0o755)
    (root / "config" / "routing.toml").write_text("[default]\ngroup_id = 'Retiros'\n")
    command = ["npx", "--no-install", "serverless", "package"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "routing.toml is not right" in done.stdout + done.stderr
