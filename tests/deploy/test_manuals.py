"""The operator's manuals: what the code can shout, they explain; both languages say the same."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from tests.deploy.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

PAIRS = ("deploy", "operate")


def errors_logged() -> Iterator[str]:
    """Go through the messages of every `logger.error("…")` in the product."""
    for path in [*ROOT.glob("*.py"), *ROOT.glob("handoff/**/*.py"), *ROOT.glob("operate/*.py")]:
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "logger.error":
                yield ast.literal_eval(node.args[0])


def code_of(manual: str) -> list[str]:
    """Return the commands and names of a manual, without the comments in them."""
    text = (ROOT / "docs" / manual).read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [re.sub(r" *#.*", "", line) for block in blocks for line in block.splitlines()]


@pytest.mark.parametrize("manual", ["operate.md", "operate.es.md"])
def test_every_error_has_its_line(manual: str) -> None:
    """Whoever is woken by ErrorsLogged finds the message in the table."""
    text = (ROOT / "docs" / manual).read_text()
    messages = set(errors_logged())
    assert len(messages) > 5
    assert [message for message in messages if f"`{message}`" not in text] == []


@pytest.mark.parametrize("name", PAIRS)
def test_both_languages_give_the_same_commands(name: str) -> None:
    """A command that is only in one of them is a fault in the other."""
    english, spanish = code_of(f"{name}.md"), code_of(f"{name}.es.md")
    assert [line for line in english if "YOUR" not in line and "you" not in line and '"' not in line] == [
        line for line in spanish if "TU" not in line and "vos" not in line and '"' not in line
    ]


@pytest.mark.parametrize("name", PAIRS)
def test_both_languages_have_the_same_parts(name: str) -> None:
    """As many headings of each rank, as many rows of tables, in the same order."""
    english, spanish = ((ROOT / "docs" / f"{name}{ending}.md").read_text() for ending in ("", ".es"))
    shape = [re.findall(r"^(#+|\||\d\.|\*) ", text, re.MULTILINE) for text in (english, spanish)]
    assert shape[0] == shape[1]
