"""The simulation in short: no request lost, none twice; and each guard, taken out, shows."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from dev.simulation.controls import CONTROLS, NAIVE, Rig
from dev.simulation.faults import CALM, Faults
from dev.simulation.history import History, Plan
from dev.simulation.quirks import PLAIN
from dev.simulation.simulate import main
from dev.simulation.stories import Sending, Story, body_of, json_of
from dev.simulation.verdict import Verdict, judge
from tests.closing import sqlite_ledger

pytestmark = pytest.mark.proof


def verdict(*, seed: int = 1, handoffs: int = 1000, rig: Rig | None = None, faults: Faults | None = None) -> Verdict:
    """Run one history."""
    return History(Plan(seed=seed, handoffs=handoffs, rig=rig or Rig(), faults=faults or Faults())).run()


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_lost_and_nothing_is_made_twice(seed: int) -> None:
    """With all faults on, every request becomes exactly one ticket, every answer is true and in time."""
    found = verdict(seed=seed, handoffs=600)
    assert (found.tickets + found.joined, found.broken) == (600, {})
    assert found.kills > 20
    assert found.slowest_s <= 12.0


def test_a_ticket_written_almost_ten_minutes_late_is_not_made_again() -> None:
    """Late writes up to 590 s after the time-out stay inside IN_DOUBT_WAIT_S."""
    found = verdict(handoffs=400, faults=Faults(written_late=0.05, late_max_s=590.0))
    assert (found.tickets + found.joined, found.broken) == (400, {})


def test_the_same_holds_over_the_real_store(tmp_path: Path) -> None:
    """SQLite instead of the ledger in memory."""
    plan = Plan(seed=5, handoffs=150, store=partial(sqlite_ledger, tmp_path / "handoffs.db"))
    found = History(plan).run()
    assert (found.tickets + found.joined, found.broken) == (150, {})


def test_past_the_fallbacks_bound_a_request_is_a_note_and_without_it_lost() -> None:
    """Of eight requests that nobody corrects, five become tickets and three join one; the verdict looks for them."""
    history = History(Plan(seed=1, handoffs=0, faults=CALM, quirks=PLAIN))
    body = [json_of(body_of(number, user_email="no tengo")) for number in range(8)]
    stories = [Story(number, "never-corrected", (Sending(number, body[number]),)) for number in range(8)]
    history.use(history.account, stories)
    found = history.run()
    assert (found.tickets, found.joined, found.broken) == (5, 3, {})
    for ticket in history.account.tickets:
        ticket.notes.clear()
    assert judge(stories, history.account.tickets, history.answers).lost == 3


DOUBLES = Faults(written_late=0.05, late_max_s=590.0, copies=0.1)


@pytest.mark.parametrize(
    ("name", "handoffs"),
    [("claim", 200), ("versions", 1200), ("doubt", 200), ("look", 200), ("wait", 200), ("lease", 200)],
)
def test_without_this_guard_there_are_two_tickets(name: str, handoffs: int) -> None:
    """Each guard against doubling is needed."""
    assert verdict(rig=CONTROLS[name], handoffs=handoffs, faults=DOUBLES).extra > 0


@pytest.mark.parametrize("name", ["sweep", "dropping", "quarantine"])
def test_without_this_guard_a_request_is_lost(name: str) -> None:
    """Each guard against losing is needed."""
    assert verdict(rig=CONTROLS[name], handoffs=200).lost > 0


def test_every_control_is_run() -> None:
    """No guard is taken out in vain."""
    assert set(CONTROLS) == {"claim", "versions", "doubt", "look", "wait", "lease", "sweep", "dropping", "quarantine"}


def test_one_post_and_a_patient_sender_double() -> None:
    """The baseline: what most connectors do."""
    found = verdict(rig=NAIVE, handoffs=400)
    assert found.extra > 50
    assert found.lost > 0


def test_a_seed_is_a_history() -> None:
    """The same seed gives the same events, also in a process of its own with other hash seeds."""
    code = "from dev.simulation.history import *; print(History(Plan(seed=9, handoffs=60)).run().digest)"
    root = Path(__file__).parents[3]
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=root,
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(digests) == 1
    assert verdict(seed=9, handoffs=60).digest == int(digests.pop())


def test_the_command_tells_what_it_found(capsys: pytest.CaptureFixture[str]) -> None:
    """A line a seed, and a sum; 0 when the promise was kept."""
    assert main(["--seeds", "1", "--first-seed", "3", "--handoffs", "100"]) == 0
    assert (
        "100 handoffs, 100 tickets, 0 as notes: 0 lost, 0 twice; 0 of 1 seeds broke the promise"
        in capsys.readouterr().out
    )


def test_a_control_succeeds_by_failing(capsys: pytest.CaptureFixture[str]) -> None:
    """With a guard taken out the command ends well only if that shows."""
    assert main(["--seeds", "1", "--handoffs", "150", "--without", "sweep"]) == 0
    assert "1 of 1 seeds broke the promise" in capsys.readouterr().out


def test_a_handoff_can_be_followed(capsys: pytest.CaptureFixture[str]) -> None:
    """A mark or a reference shows everything that happened to one handoff."""
    assert main(["--first-seed", "3", "--handoffs", "50", "--trace", "s000007"]) == 0
    printed = capsys.readouterr().out
    assert "sender: sends" in printed
    assert "ledger: claim" in printed
    assert "ticket(s): [" in printed
