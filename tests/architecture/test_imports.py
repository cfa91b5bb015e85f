"""Imports go in one direction, and pure modules stay pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

# In order: a module may import only modules on the lines below it.
LAYERS = (
    "lambda_handler",
    "main",
    "handoff.bootstrap",
    "handoff.endpoint handoff.sweep",
    "handoff.recovery",
    "handoff.file_delivery",
    "handoff.delivery",
    "handoff.writer",
    "handoff.helpdesk",
    "handoff.log handoff.responses handoff.transitions",
    "handoff.ticket handoff.ledger.sqlite handoff.ledger.dynamodb handoff.settings handoff.fetching",
    "handoff.transport",
    "handoff.pagination handoff.marks handoff.ledger.outage handoff.ledger.sqlite_file",
    "handoff.inbound handoff.ledger handoff.routing handoff.deadline",
    "handoff.broken_json handoff.identity handoff.ticket_fields",
    "handoff.parts",
    "freshdesk_client handoff.sanitize handoff.strict_json handoff.routing_errors handoff.version",
)
LAYER_OF = {module: len(LAYERS) - number for number, modules in enumerate(LAYERS) for module in modules.split()}
PURE = (
    "freshdesk_client",
    *(
        f"handoff.{name}"
        for name in (
            *(
                "sanitize",
                "strict_json",
                "broken_json",
                "identity",
                "inbound",
                "parts",
                "ticket_fields",
                "routing",
                "routing_errors",
                "ticket",
                "transitions",
            ),
            *("responses", "pagination", "marks"),
        )
    ),
)
IMPURE = {"os", "time", "random", "socket", "logging", "requests", "urllib3", "sqlite3", "threading", "subprocess"}


def file_of(module: str) -> Path:
    """Return the file of a module."""
    plain = ROOT / f"{module.replace('.', '/')}.py"
    return plain if plain.exists() else ROOT / module.replace(".", "/") / "__init__.py"


def imports_of(source: str) -> Iterator[str]:
    """Yield the modules that source imports, anywhere in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "handoff":
            yield from (f"handoff.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def imports_upwards(module: str, source: str) -> list[str]:
    """Return the imports of a module that are not on a lower line."""
    ours = [name for name in imports_of(source) if name in LAYER_OF]
    return [name for name in ours if LAYER_OF[name] >= LAYER_OF[module]]


def impurities(source: str) -> list[str]:
    """Return the imports with side effects or outside input."""
    return [name for name in imports_of(source) if name.split(".")[0] in IMPURE]


@pytest.mark.parametrize("module", sorted(LAYER_OF))
def test_every_import_goes_down(module: str) -> None:
    """A module imports only modules below it, so there is no cycle."""
    assert imports_upwards(module, file_of(module).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("module", PURE)
def test_pure_modules_have_no_side_effects(module: str) -> None:
    """A pure module uses no clock, network, environment, randomness or log."""
    assert impurities(file_of(module).read_text(encoding="utf-8")) == []


def test_every_module_of_the_function_has_a_layer() -> None:
    """A new module must be added to the list."""
    files = [*ROOT.glob("*.py"), *ROOT.glob("handoff/**/*.py")]
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in files}
    assert modules - {"handoff", "ops"} == LAYER_OF.keys()


def test_the_function_does_not_import_its_server() -> None:
    """functions-framework serves the function; Lambda does without it."""
    everything = [name for module in LAYER_OF for name in imports_of(file_of(module).read_text(encoding="utf-8"))]
    assert not [name for name in everything if name.split(".")[0] in {"functions_framework", "boto3", "dev"}]


def test_control_the_checks_find_a_fault() -> None:
    """An import upwards and a clock in a pure module are found."""
    assert imports_upwards("handoff.routing", "def f():\n    from handoff import delivery") == ["handoff.delivery"]
    assert impurities("from time import time") == ["time"]
