"""`discard`: removes a handoff without a ticket on a person's decision."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from handoff.ledger import Cause, Entry, State
from handoff.transitions import changed
from operate.removing import remove
from tests.factories import handoff
from tests.leaks import canaries_in
from tests.operate.operating import Station


def given_up(station: Station, number: int = 1, **fields: Any) -> Entry:
    """Put a row there that nobody tries any more."""
    given = {"state": State.FAILED, "cause": Cause.REFUSED, "error": "refused: 400", "handoff": handoff().to_json()}
    return station.has(number, **{**given, **fields})


def test_without_yes_it_shows_the_row_and_changes_nothing(station: Station) -> None:
    """It shows state, age and cause, never the person's words, and asks for --yes."""
    row = given_up(station)
    station.clock.time += 7200
    ran = station.run("discard", row.reference)
    assert ran.status == 1
    for shown in (row.reference, "failed", "2 h", "refused", "refused: 400", "would be discarded"):
        assert shown in ran.out
    assert f"python ops.py discard {row.reference} --yes" in ran.err
    assert not canaries_in(ran.out + ran.err)
    assert station.rows() == [row]


def test_with_yes_the_row_is_removed_with_its_notes_and_logged(
    station: Station, caplog: pytest.LogCaptureFixture
) -> None:
    """One line of the log for each row, with the reference; other rows stay."""
    row, other = given_up(station), given_up(station, 2)
    given_up(station, entry=f"{row.entry}#words", state=State.NOT_CREATED)
    logging.getLogger("handoff").addHandler(caplog.handler)
    try:
        ran = station.run("discard", row.reference, "--yes", "--json")
    finally:
        logging.getLogger("handoff").removeHandler(caplog.handler)
    assert ran.status == 0
    assert [(one["note"], one["result"]) for one in ran.json] == [(False, "discarded"), (True, "discarded")]
    logged = [vars(one) for one in caplog.records if one.getMessage() == "discarded"]
    assert [(one["reference"], one["note"]) for one in logged] == [(row.reference, False), (row.reference, True)]
    assert station.rows() == [other]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"state": State.CREATED, "ticket_id": 7, "due_at": None}, "it has its ticket"),
        ({"state": State.CREATING}, "it is being sent at this moment"),
    ],
)
def test_a_row_with_a_ticket_or_held_by_a_call_is_kept(station: Station, fields: dict[str, Any], why: str) -> None:
    """Even with --yes."""
    row = given_up(station, **fields)
    ran = station.run("discard", row.reference, "--yes")
    assert ran.status == 1
    assert why in ran.out
    assert station.rows() == [row]


def test_a_note_that_cannot_be_added_is_removed_alone(station: Station) -> None:
    """Its handoff has a ticket and stays."""
    row = given_up(station, state=State.CREATED, ticket_id=7, due_at=None)
    given_up(station, entry=f"{row.entry}#words")
    assert station.run("discard", row.reference, "--yes").status == 0
    assert station.rows() == [row]


def test_a_row_in_doubt_is_removed_with_a_warning(station: Station) -> None:
    """Its lease is over and a ticket may exist: the operator should search first, or a repeat makes a second one."""
    row = given_up(station, state=State.CREATING)
    station.clock.time += 60
    assert f"Search for {row.reference} there first" in station.run("discard", row.reference).err
    assert station.run("discard", row.reference, "--yes").status == 0
    assert station.rows() == []


def test_two_handoffs_with_one_reference_are_not_discarded_together(station: Station) -> None:
    """Eight characters of two keys may be the same, and one request may be somebody else's."""
    rows = [given_up(station, number, reference="BF-BBBBBBBB") for number in (1, 2)]
    ran = station.run("discard", "BF-BBBBBBBB", "--yes")
    assert (ran.status, ran.out) == (1, "")
    assert "two handoffs have this reference" in ran.err
    assert station.rows() == rows


def test_a_row_that_is_taken_meanwhile_is_kept(station: Station) -> None:
    """A sweep may be about to make its ticket."""
    row = given_up(station, state=State.NOT_CREATED)
    taken = changed(row, state=State.CREATING)
    station.ledger.replace(row, taken)
    assert remove(station.ledger, row, station.clock.now()) is False
    assert station.rows() == [taken]
