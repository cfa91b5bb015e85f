"""`list` and `show`: the state of the rows, without personal data."""

from __future__ import annotations

from typing import Any

import pytest

from handoff.ledger import Cause, State
from tests.factories import CANARIES, handoff
from tests.leaks import canaries_in
from tests.operate.operating import Station


def test_list_shows_the_state_of_a_row(station: Station) -> None:
    """The table has the reference, state, attempts, error, and when it is due."""
    station.has(state=State.NOT_CREATED, attempts=3, error="unreachable")
    station.clock.time += 20
    ran = station.run("list")
    assert ran.status == 0
    for shown in ("BF-BBBBBBBB", "not_created", "retiros", "20 s", "40 s", "3", "unreachable", "1 rows: 1 not_created"):
        assert shown in ran.out


def test_list_as_json_has_seconds_and_numbers(station: Station) -> None:
    """A program gets plain values."""
    station.has(state=State.CREATED, ticket_id=7, due_at=None)
    station.clock.time += 5
    [row] = station.run("list", "--json").json
    assert row == {
        "reference": "BF-BBBBBBBB",
        "note": False,
        "state": "created",
        "bot": "betsur",
        "category": "retiros",
        "age_s": 5.0,
        "attempts": 0,
        "due_in_s": None,
        "parked": False,
        "cause": "",
        "error": "",
        "ticket_id": 7,
    }


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ((), "BCD"),
        (("--state", "failed"), "C"),
        (("--state", "failed", "--state", "in_doubt"), "CD"),
        (("--older-than", "30m"), "B"),
        (("--bot", "Institucional"), "D"),
        (("--bot", "nobody"), ""),
    ],
)
def test_list_filters_by_state_age_and_bot(station: Station, options: tuple[str, ...], numbers: str) -> None:
    """Each option leaves out the other rows; the oldest come first."""
    now = station.clock.now()
    station.has(1, state=State.NOT_CREATED, created_at=now - 1800)
    station.has(2, state=State.FAILED, created_at=now - 1799)
    station.has(3, state=State.IN_DOUBT, bot="institucional")
    rows = station.run("list", "--json", *options).json
    assert "".join(row["reference"][3] for row in rows) == numbers


def test_list_leaves_out_expired_rows(station: Station) -> None:
    """An expired row that the store has not removed yet counts as absent; a row without a ticket never expires."""
    over = station.clock.now() + 1
    station.has(1, state=State.CREATED, ticket_id=7, due_at=None, expires_at=over)
    station.has(2, state=State.FAILED, expires_at=over)
    station.clock.time += 1
    assert [row["reference"] for row in station.run("list", "--json").json] == ["BF-CCCCCCCC"]


def test_list_marks_due_rows_and_notes(station: Station) -> None:
    """A row past its time is due now; new words are marked as a note."""
    key = station.has(due_at=station.clock.now()).entry
    station.has(entry=f"{key}#words")
    ran = station.run("list")
    assert "BF-BBBBBBBB (note)" in ran.out
    assert " now " in ran.out


def test_no_words_of_a_person_are_shown(station: Station) -> None:
    """The table and JSON of list and show hold no personal data, though the row does."""
    row = station.has(handoff=handoff().to_json(), person="hash-of-a-person", conversation="hash-of-a-talk")
    assert canaries_in(row.handoff)
    for command in (("list",), ("show", row.reference)):
        for form in ((), ("--json",)):
            out = station.run(*command, *form).out
            assert not canaries_in(out)
            assert "hash-of-a" not in out
    assert len(CANARIES) > 3


def test_show_says_whether_the_data_is_held(station: Station) -> None:
    """It is held until there is a ticket, and erased afterwards."""
    held = station.has(1, handoff="{}", person="hash")
    erased = station.has(2, state=State.CREATED, ticket_id=3, due_at=None)
    [shown] = station.run("show", held.reference, "--json").json
    assert (shown["persons_data"], shown["persons_hash"]) == ("held until there is a ticket (not shown)", "held")
    [shown] = station.run("show", erased.reference, "--json").json
    assert (shown["persons_data"], shown["persons_hash"], shown["due_at"]) == ("erased", "none", None)


def test_show_accepts_a_reference_as_people_type_it(station: Station) -> None:
    """In lower case or without BF-; the notes follow their handoff."""
    row = station.has()
    station.has(entry=f"{row.entry}#words")
    ran = station.run("show", " bbbbbbbb ")
    assert ran.status == 0
    assert ran.out.index("BF-BBBBBBBB: the handoff") < ran.out.index("BF-BBBBBBBB: new words, for the same ticket")


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"state": State.CREATING}, "A call is sending it now"),
        ({"state": State.CREATED, "ticket_id": 4}, "it has its ticket"),
        ({"state": State.NOT_CREATED}, "certainly no ticket"),
        ({"state": State.IN_DOUBT}, "may be a ticket"),
        ({"state": State.REJECTED}, "It came with faults"),
        (
            {"state": State.REJECTED, "due_at": None},
            "no fallback_requester. The log has an error each day. Set one, then: python ops.py retry BF-BBBBBBBB",
        ),
        (
            {"state": State.REJECTED, "cause": Cause.ACCOUNT},
            "Set one, then: python ops.py retry BF-BBBBBBBB; or: python ops.py discard BF-BBBBBBBB",
        ),
        ({"state": State.IN_DOUBT, "handoff": ""}, "`forget` erased its person"),
        ({"state": State.FAILED, "due_at": None}, "Correct the cause, then: python ops.py retry BF-BBBBBBBB"),
    ],
)
def test_show_says_what_happens_next(station: Station, fields: dict[str, Any], shown: str) -> None:
    """Each state has its sentence; if a person must act, it names the command."""
    station.has(**{"handoff": "{}", **fields})
    assert shown in station.run("show", "BF-BBBBBBBB").out


@pytest.mark.parametrize(
    ("fields", "is_parked"),
    [
        ({"state": State.FAILED}, True),
        ({"state": State.REJECTED, "cause": Cause.ACCOUNT}, True),
        ({"state": State.REJECTED}, False),
    ],
)
def test_a_parked_row_has_no_due_time(station: Station, fields: dict[str, Any], *, is_parked: bool) -> None:
    """Its due_at is only the time of the next reminder in the log, not of an attempt."""
    station.has(**fields)
    [row] = station.run("list", "--json").json
    assert (row["parked"], row["due_in_s"]) == (is_parked, None if is_parked else 60.0)
    assert ("1 min" in station.run("list").out) is not is_parked


def test_show_of_an_unknown_reference_is_one_line(station: Station) -> None:
    """It says how long rows live, and ends with 1."""
    ran = station.run("show", "BF-ZZZZZZZZ")
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith("BF-ZZZZZZZZ: the ledger has no such handoff")
    assert ran.err.count("\n") == 1


def test_show_of_a_word_like_a_reference_explains_the_format(station: Station) -> None:
    """Eight letters may be a reference or a word; the message fits both."""
    ran = station.run("show", "nonsense")
    assert ran.status == 1
    assert "'nonsense' was read so: one looks like BF-7K3QX2AB" in ran.err
    assert "the ledger has no such handoff" in ran.err


def test_show_of_no_reference_explains_the_format(station: Station) -> None:
    """For example of a ticket number."""
    ran = station.run("show", "#17")
    assert ran.status == 2
    assert "one looks like BF-7K3QX2AB" in ran.err
