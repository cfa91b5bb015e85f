"""Files and functions stay small, and forbidden code is absent."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
FILE_MAX = 500
FUNCTION_MAX = 50
TRACKED = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
SOURCES = sorted(name for name in TRACKED if name.endswith(".py") and (ROOT / name).exists())
PRODUCT = [name for name in SOURCES if not name.startswith("tests/")]


def functions(name: str) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return the functions of a file."""
    tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def lines_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return how many lines a function has."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


@pytest.mark.parametrize("name", PRODUCT)
def test_no_file_exceeds_500_lines(name: str) -> None:
    """No file of the product is longer than 500 lines."""
    assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= FILE_MAX


@pytest.mark.parametrize("name", PRODUCT)
def test_no_function_exceeds_50_lines(name: str) -> None:
    """No function of the product is longer than 50 lines."""
    assert [node.name for node in functions(name) if lines_of(node) > FUNCTION_MAX] == []


@pytest.mark.parametrize("name", [name for name in SOURCES if Path(name).name.startswith("test_")])
def test_every_test_has_a_docstring(name: str) -> None:
    """It is one sentence."""
    tests = [node for node in functions(name) if node.name.startswith("test_")]
    assert [node.name for node in tests if not ast.get_docstring(node)] == []


def test_exception_is_caught_in_two_places_only() -> None:
    """Only the endpoint and the sweep's loop over rows catch Exception."""
    endpoint = [name for name in PRODUCT if "/" not in name or name.startswith("handoff/")]
    broad = [
        name for name in endpoint if re.search(r"except (Base)?Exception\b", (ROOT / name).read_text(encoding="utf-8"))
    ]
    assert [name for name in broad if name != "ops.py"] == ["handoff/endpoint.py", "handoff/sweep.py"]


def test_nothing_is_left_for_later() -> None:
    """No unfinished work and no skipped test is committed."""
    later = re.compile("TO" + "DO|FIX" + "ME|XX" + r"X|NotImplemented" + r"Error|pytest\.skip\(|mark\." + "xfail")
    assert [name for name in SOURCES if later.search((ROOT / name).read_text(encoding="utf-8"))] == []


def test_no_file_names_the_machine_it_was_made_on() -> None:
    """Local paths and package indexes do not belong in the product."""
    local = re.compile(
        "/wo" + "rk/|/ro" + r"ot/|bash_" + "jobs|registry\\.npm" + "js|files\\.python" + "hosted|py" + "pi\\.org"
    )
    texts = [name for name in TRACKED if name and (ROOT / name).is_file() and not name.endswith((".png", ".ico"))]
    assert [name for name in texts if local.search((ROOT / name).read_text(encoding="utf-8", errors="replace"))] == []
