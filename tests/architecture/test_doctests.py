"""The examples in docstrings are correct."""

from __future__ import annotations

import doctest
import importlib

import pytest

ROOMS = (
    "freshdesk_client",
    "handoff.inbound",
    "handoff.pagination",
    "handoff.routing",
    "handoff.routing_errors",
    "handoff.sanitize",
    "handoff.settings",
    "handoff.strict_json",
    "handoff.ticket",
    "handoff.transitions",
)


@pytest.mark.parametrize("room", ROOMS)
def test_the_examples_in_docstrings_are_correct(room: str) -> None:
    """Each of these modules has examples, and every one gives the result it shows."""
    result = doctest.testmod(importlib.import_module(room))
    assert result.attempted > 0
    assert result.failed == 0
