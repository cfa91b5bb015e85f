"""Freshdesk down for a day, and a burst over its rate limit, in short."""

from __future__ import annotations

import pytest

from dev.simulation.outage import MANNERS, drain_share, main, run_burst, run_outage

pytestmark = pytest.mark.proof


@pytest.mark.parametrize("manner", MANNERS)
def test_every_request_of_an_outage_becomes_one_ticket_soon_after(manner: str) -> None:
    """However Freshdesk fails: none lost, none twice, the rate limit kept, and done within ten minutes and a pass."""
    found = run_outage(manner, handoffs=60, down_s=4 * 3600.0)
    assert found.kept
    assert found.tickets == 60
    assert found.most_created_a_minute <= 280
    assert found.last_after_s <= 600 + 60 + 15


def test_a_burst_over_the_limit_is_answered_at_once_and_drained() -> None:
    """1,000 in ten seconds against 160 a minute: every caller hears within the deadline, the limit is used up."""
    found = run_burst()
    assert found.kept
    assert found.tickets == 1000
    assert found.most_created_a_minute <= 160
    assert found.busy_share <= 0.05
    assert drain_share(found) >= 0.95


def test_the_command_tells_how_it_went(capsys: pytest.CaptureFixture[str]) -> None:
    """One line for each manner, and one for the burst."""
    assert main(["--handoffs", "5", "--burst", "20"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("down 24 h") == len(MANNERS)
    assert "burst in 10 s" in printed
