"""Imports go one way, and the pure rooms stay pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

# From the top floor down: a room may import only rooms that stand below it.
FLOORS = (
    "lambda_handler",
    "main",
    "sweep",
    "recovery",
    "wiring answers",
    "delivery",
    "rows",
    "desk",
    "ticket ledger.sqlite ledger.dynamodb settings transport",
    "journal outcome pages",
    "freshdesk_client handoff ledger routing logs clock turn",
    "text strict_json plain_check rate_limit freshdesk_url routing_faults",
    "routing_text version",
)
FLOOR_OF = {room: len(FLOORS) - number for number, rooms in enumerate(FLOORS) for room in rooms.split()}
PURE = (
    *("text", "strict_json", "plain_check", "rate_limit", "freshdesk_url", "handoff", "routing", "ticket"),
    *("routing_text", "routing_faults"),
    *("freshdesk_client", "rows", "answers", "outcome", "pages"),
)
IMPURE = {"os", "time", "random", "socket", "logging", "requests", "urllib3", "sqlite3", "threading", "subprocess"}


def file_of(room: str) -> Path:
    """Return the file that holds room."""
    plain = ROOT / f"{room.replace('.', '/')}.py"
    return plain if plain.exists() else ROOT / room / "__init__.py"


def imports_of(source: str) -> Iterator[str]:
    """Yield the modules that source imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def steps_up(room: str, source: str) -> list[str]:
    """Return the imports of room that do not lead to a lower floor."""
    ours = [name for name in imports_of(source) if name in FLOOR_OF]
    return [name for name in ours if FLOOR_OF[name] >= FLOOR_OF[room]]


def impurities(source: str) -> list[str]:
    """Return the imports that reach for the world outside."""
    return [name for name in imports_of(source) if name.split(".")[0] in IMPURE]


@pytest.mark.parametrize("room", sorted(FLOOR_OF))
def test_every_import_leads_down(room: str) -> None:
    """A room knows only the rooms below it, so there can be no circle."""
    assert steps_up(room, file_of(room).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("room", PURE)
def test_pure_rooms_reach_for_nothing_outside(room: str) -> None:
    """A pure room has no clock, network, environment, randomness or log."""
    assert impurities(file_of(room).read_text(encoding="utf-8")) == []


def test_every_room_of_the_function_has_a_floor() -> None:
    """A new room has to say where it stands."""
    rooms = {path.stem for path in ROOT.glob("*.py")} | {f"ledger.{path.stem}" for path in ROOT.glob("ledger/*.py")}
    assert rooms - {"ledger.__init__", "ops"} <= FLOOR_OF.keys()


def test_the_function_does_not_import_its_server() -> None:
    """functions-framework serves the function; Lambda does without it."""
    everything = [name for room in FLOOR_OF for name in imports_of(file_of(room).read_text(encoding="utf-8"))]
    assert not [
        name for name in everything if name.split(".")[0] in {"functions_framework", "boto3", "local_freshdesk"}
    ]


def test_the_checks_see_a_fault() -> None:
    """The control: an import upwards and a clock in a pure room are found."""
    assert steps_up("routing", "def f():\n    import delivery") == ["delivery"]
    assert impurities("from time import time") == ["time"]
