"""The Lambda handlers on DynamoDB, killed, frozen and suspended."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev.simulation.crash_on_lambda import run

pytestmark = [pytest.mark.node, pytest.mark.proof, pytest.mark.timeout(180), pytest.mark.usefixtures("aws")]


def test_containers_killed_and_frozen_lose_and_double_nothing(tmp_path: Path) -> None:
    """Answers are lost and late meanwhile, and some containers are suspended just before they post."""
    found = run(handoffs=20, kills=6, freezes=4, suspended=3, seed=1, folder=tmp_path)
    assert found.kept, found
    assert found.tickets == 20


def test_without_the_guards_a_suspended_container_doubles(tmp_path: Path) -> None:
    """The control: once awake it posts what another has posted meanwhile."""
    assert run(handoffs=9, kills=0, freezes=0, suspended=3, seed=1, folder=tmp_path, without="guards").twice > 0


def test_without_the_ledger_containers_double(tmp_path: Path) -> None:
    """The control: each container has a table of its own."""
    assert run(handoffs=9, kills=0, freezes=0, suspended=0, seed=1, folder=tmp_path, without="ledger").twice > 0
