"""The Lambda handlers on DynamoDB, killed, frozen and suspended."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev.simulation.crash_on_lambda import run

pytestmark = [pytest.mark.node, pytest.mark.proof, pytest.mark.timeout(180), pytest.mark.usefixtures("aws")]


def test_containers_killed_and_frozen_lose_and_double_nothing(tmp_path: Path) -> None:
    """Answers are lost and late meanwhile, and some containers are suspended just before they post."""
    found = run(handoffs=24, kills=8, freezes=4, suspended=4, seed=1, folder=tmp_path)
    assert found.kept, found
    assert found.tickets == 24


@pytest.mark.parametrize("without", ["guards", "ledger"])
def test_without_a_guard_containers_double(tmp_path: Path, without: str) -> None:
    """The controls: a suspended container posts what another has posted; each container has a table of its own."""
    assert run(handoffs=12, kills=0, freezes=0, suspended=3, seed=1, folder=tmp_path, without=without).twice > 0
