"""S17: there are few dependencies, and each is pinned by hash."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

from deploy.aws.vendor import pip_environment
from tests.endpoints import ROOT

# Imported with the library that brings it, so not one more to choose or to watch.
BROUGHT_BY = {"werkzeug": "flask", "markupsafe": "jinja2", "urllib3": "requests", "idna": "requests"}
PLATFORM = {"lambda_handler.py", "handoff/ledger/dynamodb.py"}  # AWS's own libraries, on AWS only
DIRECT_MAX = 5


def function_files() -> list[Path]:
    """Return the files of the function, without the operator's commands."""
    return [file for file in [*ROOT.glob("*.py"), *ROOT.glob("handoff/**/*.py")] if file.name != "ops.py"]


def third_party(source: str) -> set[str]:
    """Return the libraries that source imports, without Python's and ours."""
    tree = ast.parse(source)
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    ours = {file.stem for file in ROOT.glob("*.py")} | {file.name for file in ROOT.iterdir() if file.is_dir()}
    roots = {name.partition(".")[0] for name in names} - {"", "__future__"}
    return {BROUGHT_BY.get(name, name) for name in roots - ours - sys.stdlib_module_names}


def test_the_function_uses_five_libraries() -> None:
    """Everything else is from Python's standard library; AWS's libraries are imported on AWS only."""
    files = [file for file in function_files() if str(file.relative_to(ROOT)) not in PLATFORM]
    used = set[str]().union(*(third_party(file.read_text(encoding="utf-8")) for file in files))
    assert used == {"flask", "requests", "jsonschema", "email_validator", "jinja2"}
    assert len(used) <= DIRECT_MAX


def test_control_a_new_library_is_counted() -> None:
    """An import anywhere in a file counts."""
    assert third_party("def f():\n    import numpy.linalg\nfrom flask import Request\nimport os") == {"numpy", "flask"}


@pytest.mark.parametrize(
    "name", ["requirements.txt", *(f"requirements/{name}.txt" for name in ("lambda", "dev", "proof", "tools"))]
)
def test_every_requirement_is_pinned_by_hash(name: str) -> None:
    """Each has one version, and only the files that were checked."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert lines
    assert [
        line[:60] for line in lines if not re.match(r"[A-Za-z0-9._\[\],-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line)
    ] == []


def test_the_audit_covers_every_requirement() -> None:
    """`make audit` checks everything that ships, builds and tests, including Node's packages; it needs the network."""
    made = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = made[made.index("\naudit:") :].split("\n\n")[0]
    for lock in ("requirements.txt", *(f"requirements/{name}.txt" for name in ("lambda", "dev", "tools"))):
        assert lock in recipe
    assert "\tnpm audit\n\tnpm audit --prefix tests/botpress/node" in recipe


def test_packaging_keeps_only_the_index_settings_of_pip() -> None:
    """A company's mirror works; PIP_DRY_RUN, which would leave the package empty, is not passed on."""
    mirror = {"PATH": "/bin", "PIP_INDEX_URL": "https://b.example/simple", "PIP_CONFIG_FILE": "/etc/pip.conf"}
    assert pip_environment({**mirror, "PIP_DRY_RUN": "1", "PIP_QUIET": "3", "PIP_TARGET": "/tmp"}) == mirror  # noqa: S108


def test_the_actions_of_the_workflows_are_pinned_by_commit() -> None:
    """A tag can be moved to other code."""
    text = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    used = re.findall(r"uses: (\S+)", text)
    assert used
    assert [action for action in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action)] == []
