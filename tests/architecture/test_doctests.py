"""The examples in docstrings hold."""

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
def test_the_examples_of_a_room_hold(room: str) -> None:
    """Each room has examples, and every one gives what it says."""
    result = doctest.testmod(importlib.import_module(room))
    assert result.attempted > 0
    assert result.failed == 0
