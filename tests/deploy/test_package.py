"""The zip that ships: made anywhere, the same each time, and nothing in it that should not be."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.aws.check_zip import faults, package_faults
from handoff.version import VERSION
from tests.deploy.conftest import ROOT, Package

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(300)]


def test_packaging_needs_no_network_and_no_credentials(package: Package) -> None:
    """An empty environment and a namespace without network are enough, given the wheels."""
    assert "Service packaged" in package.printed


def test_the_zip_holds_exactly_what_it_should(package: Package) -> None:
    """Own modules by their imports, and vendor/ as it was filled: nothing missing, nothing more."""
    assert faults(package.zip, package.project) == []


def test_the_zip_names_the_commit_it_is_made_from(package: Package) -> None:
    """The work tree that was packaged is clean, though packaging writes into it."""
    found = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=package.project, capture_output=True, text=True, check=True
    )
    with zipfile.ZipFile(package.zip) as zipped:
        assert json.loads(zipped.read("build.json")) == {"version": VERSION, "commit": found.stdout[:12]}


def test_packaging_starts_the_zip_under_awss_runtime_client(package: Package) -> None:
    """The check is the last step of packaging, whatever pip's environment says; it says what the zip weighs."""
    assert " MB unpacked, 0 faults\n" in package.printed
    assert "was not started" not in package.printed


@pytest.mark.parametrize("manual", ["deploy.md", "deploy.es.md"])
def test_the_manual_says_what_it_weighs(package: Package, manual: str) -> None:
    """To within a quarter of a megabyte, which a new version of a package may move."""
    [found] = re.findall(r"\((\d+)[.,](\d) MB\)", (ROOT / "docs" / manual).read_text())
    assert abs(float(".".join(found)) - package.zip.stat().st_size / 1e6) < 0.25


def test_every_packed_module_has_bytecode(package: Package) -> None:
    """Without it a cold start compiles 500 modules: 1.0 s instead of 0.4 s."""
    with zipfile.ZipFile(package.zip) as packed:
        names = packed.namelist()
    assert {"vendor/flask/__pycache__/app.cpython-313.pyc", "__pycache__/main.cpython-313.pyc"} <= set(names)


def changed(package: Package, folder: Path, change: Callable[[dict[str, bytes]], object]) -> Path:
    """Return the good zip with one change made."""
    with zipfile.ZipFile(package.zip) as good:
        files = {name: good.read(name) for name in good.namelist()}
    change(files)
    with zipfile.ZipFile(folder / "changed.zip", "w") as bad:
        for name, data in files.items():
            bad.writestr(name, data)
    return folder / "changed.zip"


@pytest.mark.parametrize(
    "name",
    [
        "handoff/ticket.py",
        "config/routing.toml",
        "build.json",
        "handoff/__pycache__/ticket.cpython-313.pyc",
        "vendor/botocore/data/dynamodb/2012-08-10/service-2.json.gz",
        "vendor/flask/__pycache__/app.cpython-313.pyc",
    ],
)
def test_a_missing_file_is_named(name: str, package: Package, tmp_path: Path) -> None:
    """Each of these would otherwise be found by the first handoff."""
    zip_path = changed(package, tmp_path, lambda files: files.pop(name))
    assert faults(zip_path, package.project) == [f"missing: {name} (add it to package.patterns)"]


@pytest.mark.parametrize("name", ["tests/test_main.py", ".env", "vendor/evil.py", "__pycache__/ops.cpython-313.pyc"])
def test_a_file_too_many_is_named(name: str, package: Package, tmp_path: Path) -> None:
    """A secret or a test would otherwise be uploaded unseen."""
    zip_path = changed(package, tmp_path, lambda files: files.update({name: b""}))
    assert faults(zip_path, package.project) == [f"should not ship: {name}"]


def test_a_zip_too_large_for_lambda_is_named(package: Package, tmp_path: Path) -> None:
    """AWS would refuse it at the end of the upload."""
    zip_path = changed(package, tmp_path, lambda files: files.update({"build.json": bytes(50_000_000)}))
    assert faults(zip_path, package.project)[0].startswith("larger than Lambda takes: 6")


def test_a_package_is_compared_with_the_lock_file(tmp_path: Path) -> None:
    """An install that left one out, or took another version, is named; a package with a marker may be absent."""
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements/lambda.txt").write_text(
        "flask==3.1.3 \\\n    --hash=sha256:00\nwin==1 ; a\njinja2==3 \\\n"
    )
    for name, version in (("flask", "3.0.0"), ("Jinja2", "3")):
        folder = tmp_path / f"vendor/{name}-{version}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
    assert package_faults(tmp_path) == ["package missing: flask 3.1.3", "package nobody asked for: flask 3.0.0"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("vendor/flask/app.py", "No module named 'flask.app'"),
        ("vendor/rpds/rpds.cpython-313-x86_64-linux-gnu.so", "No module named 'rpds.rpds'"),
        ("config/ticket.html", "ticket.html"),
    ],
)
def test_packaging_fails_where_the_package_cannot_start(
    name: str, reason: str, package: Package, python313: Path, tmp_path: Path
) -> None:
    """The zip is started, not only listed: what a list forgets is found here, not by the first handoff."""
    bytecode = f"{Path(name).parent}/__pycache__/{Path(name).stem}.cpython-313.pyc"
    zip_path = changed(package, tmp_path, lambda files: (files.pop(name), files.pop(bytecode, None)))
    command = [str(python313), "-m", "deploy.aws.check_zip", str(zip_path)]
    env = {**os.environ, **package.wheels}
    done = subprocess.run(command, cwd=package.project, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.search(f"does not start: .*{re.escape(reason)}", done.stdout)


def test_a_module_somebody_adds_is_asked_for(package: Package, tmp_path: Path) -> None:
    """The list of modules is the imports themselves: a new one that nobody packed is a fault."""
    root = tmp_path / "root"
    shutil.copytree(package.project, root, ignore=shutil.ignore_patterns("node_modules", ".serverless"))
    (root / "brand_new.py").write_text("")
    with (root / "handoff/ticket.py").open("a") as module:
        module.write("\n\ndef late() -> None:\n    import brand_new\n")
    asked = {"brand_new.py", "__pycache__/brand_new.cpython-313.pyc"}
    assert faults(package.zip, root) == [f"missing: {name} (add it to package.patterns)" for name in sorted(asked)]


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
