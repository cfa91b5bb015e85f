"""The examples in docstrings are correct."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = (
    "freshdesk_client",
    "handoff.bootstrap",
    "handoff.inbound",
    "handoff.pagination",
    "handoff.parts",
    "handoff.ticket_fields",
    "handoff.routing_errors",
    "handoff.sanitize",
    "handoff.settings",
    "handoff.strict_json",
    "handoff.ticket",
    "handoff.transitions",
)


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_in_docstrings_are_correct(module: str) -> None:
    """Each of these modules has examples, and every one gives the result it shows."""
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted > 0
    assert result.failed == 0
