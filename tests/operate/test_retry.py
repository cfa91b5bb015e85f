"""`retry`: makes rows due at once, without a second ticket."""

from __future__ import annotations

import pytest

from handoff.ledger import State
from handoff.transitions import Policy, changed
from operate.retrying import CHANGED, reopen
from tests.operate.operating import Station, ticket_with


@pytest.mark.parametrize(
    ("state", "doubt", "after"),
    [
        (State.NOT_CREATED, None, State.NOT_CREATED),
        (State.IN_DOUBT, 5.0, State.IN_DOUBT),
        (State.REJECTED, None, State.REJECTED),
        (State.FAILED, None, State.NOT_CREATED),
        (State.FAILED, 5.0, State.IN_DOUBT),
    ],
)
def test_a_row_becomes_due_and_stays_in_doubt(
    station: Station, state: State, doubt: float | None, after: State
) -> None:
    """If it may have a ticket, that is searched for before anything is posted."""
    row = station.has(state=state, doubt_since=doubt, due_at=None)
    station.clock.time += 100
    ran = station.run("retry", row.reference)
    assert ran.status == 0
    assert "BF-BBBBBBBB: due now" in ran.out
    assert "python ops.py sweep" in ran.out
    [now] = station.rows()
    assert (now.state, now.due_at, now.doubt_since) == (after, station.clock.now(), doubt)
    assert now.give_up_at == station.clock.now() + 72 * 3600


def test_a_row_with_a_ticket_is_left_alone(station: Station) -> None:
    """It says which ticket."""
    row = station.has(state=State.CREATED, ticket_id=7, due_at=None)
    ran = station.run("retry", row.reference)
    assert (ran.status, station.rows()) == (0, [row])
    assert "BF-BBBBBBBB: has its ticket already (#7)" in ran.out
    assert "sweep" not in ran.out


def test_a_row_held_by_a_call_is_left_alone(station: Station) -> None:
    """After its lease it is in doubt, from the end of the lease."""
    row = station.has(state=State.CREATING, due_at=station.clock.now() + 60)
    assert "is being sent at this moment" in station.run("retry", row.reference).out
    assert station.rows() == [row]
    station.clock.time += 60
    assert "due now" in station.run("retry", row.reference).out
    [now] = station.rows()
    assert (now.state, now.doubt_since) == (State.IN_DOUBT, row.due_at)


def test_all_takes_every_row_without_a_ticket(station: Station) -> None:
    """Or only those in the states named; JSON names each."""
    station.has(1, state=State.FAILED, due_at=None)
    station.has(2, state=State.REJECTED, due_at=None)
    done = station.has(3, state=State.CREATED, ticket_id=1, due_at=None)
    shown = station.run("retry", "--all", "--state", "failed", "--json").json
    assert [(one["reference"], one["result"]) for one in shown] == [("BF-BBBBBBBB", "due now")]
    assert station.run("retry", "--all").out.startswith("2 due now\n")
    assert station.row(done.entry) == done


def test_all_excludes_rows_that_may_still_be_corrected(station: Station) -> None:
    """A ticket made within the person's 15 minutes would be one of two; naming the state includes them."""
    row = station.has(state=State.REJECTED)
    assert station.run("retry", "--all").out == "No rows to retry.\n"
    assert station.rows() == [row]
    assert "1 due now" in station.run("retry", "--all", "--state", "rejected").out


def test_a_row_that_another_call_changes_meanwhile_is_reported(station: Station) -> None:
    """It is not overwritten; the status is 1."""
    row = station.has(state=State.NOT_CREATED)
    now = station.clock.now()
    station.ledger.replace(row, changed(row, error="newer"))
    assert reopen(station.ledger, row, now=now, policy=Policy()) == CHANGED
    assert station.rows()[0].error == "newer"


def test_nothing_to_retry_is_reported(station: Station) -> None:
    """An empty ledger is no fault."""
    ran = station.run("retry", "--all")
    assert (ran.status, ran.out) == (0, "No rows to retry.\n")


def test_a_note_is_retried_with_its_handoff(station: Station) -> None:
    """New words that could not be added are tried again too."""
    row = station.has(state=State.CREATED, ticket_id=7, due_at=None)
    note = station.has(entry=f"{row.entry}#words", state=State.FAILED, due_at=None)
    out = station.run("retry", row.reference).out
    assert "BF-BBBBBBBB (note): due now" in out
    assert station.row(note.entry).state is State.NOT_CREATED


@pytest.mark.parametrize("options", [(), ("BF-BBBBBBBB", "--all")])
def test_either_a_reference_or_all(station: Station, options: tuple[str, ...]) -> None:
    """Neither and both are wrong calls."""
    ran = station.run("retry", *options)
    assert (ran.status, ran.err) == (2, "retry: name a REFERENCE, or --all\n")


def test_now_makes_the_ticket_at_once(station: Station) -> None:
    """The pass is run, and its summary shown."""
    station.freshdesk.weather("rate-limited")
    reference = station.deliver().reference
    station.freshdesk.weather("healthy")
    station.clock.time += 1
    ran = station.run("retry", reference, "--now")
    assert ran.status == 0
    assert "Swept: 1 created" in ran.out
    assert len(station.freshdesk.tickets()) == 1


def test_now_shows_what_is_still_without_a_ticket(station: Station) -> None:
    """With 1, and why."""
    station.freshdesk.weather("rate-limited")
    reference = station.deliver().reference
    ran = station.run("retry", reference, "--now")
    assert ran.status == 1
    assert f"{reference}: still not_created (busy)" in ran.err


def test_now_names_a_second_ticket_that_turned_up_later(station: Station) -> None:
    """Both numbers, and which to merge into which; without --now it says how to look."""
    outcome = station.deliver()
    assert station.run("retry", outcome.reference, "--now").status == 0
    second = ticket_with(station, outcome.reference)
    ran = station.run("retry", outcome.reference, "--now")
    assert ran.status == 1
    numbers = f"#{outcome.ticket_id}, #{second}"
    assert f"{outcome.reference} has 2 tickets, {numbers}: merge #{second} into #{outcome.ticket_id}" in ran.err
    assert f"python ops.py retry {outcome.reference} --now" in station.run("retry", outcome.reference).out


def test_now_checks_its_settings_first(station: Station) -> None:
    """With a missing key nothing is changed."""
    row = station.has(state=State.FAILED, due_at=None)
    ran = station.run("retry", "--all", "--now", without=("FRESHDESK_API_KEY",))
    assert ran.status == 2
    assert "FRESHDESK_API_KEY is not set" in ran.err
    assert station.rows() == [row]
