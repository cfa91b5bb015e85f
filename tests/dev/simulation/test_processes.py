"""Real processes: killed at random, killed at every boundary, and asked the same thing at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev.simulation.copies import over_processes, over_threads
from dev.simulation.crash import run
from dev.simulation.phases import die_everywhere

pytestmark = [pytest.mark.proof, pytest.mark.timeout(180)]


def test_killed_processes_lose_and_double_nothing(tmp_path: Path) -> None:
    """Functions and sweeps die at random moments while answers are lost and late."""
    found = run(handoffs=24, kills=6, seed=1, folder=tmp_path)
    assert found.kept, found
    assert (found.tickets, found.kills) == (24, 6)


def test_without_the_ledger_killed_processes_double(tmp_path: Path) -> None:
    """The control: each process begins with an empty ledger."""
    assert run(handoffs=8, kills=1, seed=1, folder=tmp_path, forgetful=True).extra > 0


@pytest.mark.parametrize("weather", ["healthy", "answer-lost", "broken"])
def test_a_death_at_any_boundary_leaves_one_ticket(tmp_path: Path, weather: str) -> None:
    """`kill -9` before and after each call between claim and settle; sender and sweep do the rest."""
    found = die_everywhere(tmp_path, weather)
    assert found.boundaries >= 7
    assert set(found.tickets) == {1}
    assert set(found.open_rows) == {0}


def test_without_the_sweep_some_deaths_lose(tmp_path: Path) -> None:
    """The control: nobody takes up what the dead left behind."""
    assert 0 in die_everywhere(tmp_path, "healthy", sweeps=False).tickets


def test_copies_over_threads_make_one_ticket(tmp_path: Path) -> None:
    """2 to 50 copies at once in one process: one ticket, and all callers hear of the same."""
    found = over_threads(rounds=20, folder=tmp_path)
    assert found.kept, found


def test_copies_over_processes_make_one_ticket(tmp_path: Path) -> None:
    """The same against three processes that share nothing but the ledger's file."""
    found = over_processes(rounds=10, folder=tmp_path)
    assert found.kept, found


def test_without_the_claim_copies_double(tmp_path: Path) -> None:
    """The control over threads: a ledger that gives the handoff to everybody."""
    assert over_threads(rounds=3, folder=tmp_path, without_claim=True).tickets > 3


def test_without_a_shared_ledger_copies_double(tmp_path: Path) -> None:
    """The control over processes: each has a ledger of its own."""
    assert over_processes(rounds=3, folder=tmp_path, without_ledger=True).tickets > 3
