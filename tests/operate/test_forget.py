"""`forget`: a person is gone from the ledger, and no ticket is made twice for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from handoff.inbound import person_of
from handoff.ledger import State
from handoff.responses import Status
from handoff.transitions import changed
from operate.forgetting import BLANKED, ERASED, erase
from operate.operator import Halt
from tests.factories import EMAIL, PHONE, body, handoff
from tests.leaks import canaries_in
from tests.ledger_factories import FaultyLedger
from tests.operate.operating import Station


def test_a_handoff_with_its_ticket_loses_the_person(station: Station) -> None:
    """The hashes go; number and reference stay, and everybody else's rows."""
    station.deliver(1)
    other = station.has(state=State.CREATED, ticket_id=9, due_at=None, person=person_of("otra@example.com"))
    ran = station.run("forget", EMAIL.upper())
    assert ran.status == 0
    assert "kept without the person" in ran.out
    assert "delete the contact there" in ran.out
    [mine] = [one for one in station.rows() if one.entry != other.entry]
    assert (mine.person, mine.conversation, mine.handoff, mine.ticket_id) == ("", "", "", 1)
    assert station.row(other.entry) == other


def test_a_repeat_after_that_is_no_second_ticket(station: Station) -> None:
    """Botpress replays; the row still knows its ticket, and the same words are no news."""
    station.deliver(1)
    station.run("forget", EMAIL)
    assert station.deliver(1).status is Status.DUPLICATE
    assert len(station.freshdesk.tickets()) == 1
    assert station.freshdesk.notes(1) == []


def test_what_waits_is_not_erased_without_yes(station: Station) -> None:
    """It would never become a ticket: nothing at all is changed, and that is said."""
    station.deliver(1)
    station.freshdesk.weather("rate-limited")
    station.deliver(2)
    before = station.rows()
    ran = station.run("forget", EMAIL)
    assert ran.status == 1
    assert "1 of these wait for a ticket" in ran.err
    assert "Nothing was changed" in ran.err
    assert "would be erased whole" in ran.out
    assert station.rows() == before


def test_with_yes_what_waits_is_gone(station: Station) -> None:
    """The row, its notes, and the words in them."""
    station.freshdesk.weather("rate-limited")
    station.deliver(2)
    station.deliver(2, reason="Canario del motivo: otra vez")
    assert len(station.rows()) == 2
    told = station.run("forget", EMAIL, "--yes", "--json").json
    assert [(one["why"], one["result"]) for one in told] == [("theirs", "erased whole")] * 2
    assert station.rows() == []


def test_a_note_that_was_added_goes_with_its_handoff(station: Station) -> None:
    """Its row only holds the fingerprint of words; the handoff's keeps the ticket."""
    station.deliver(1)
    station.deliver(1, reason="Canario del motivo: otra vez")
    assert len(station.rows()) == 2
    assert station.run("forget", EMAIL).status == 0
    [left] = station.rows()
    assert (left.is_note, left.person, left.ticket_id) == (False, "", 1)


def test_a_refused_handoff_that_names_the_address_is_found_by_its_words(station: Station) -> None:
    """Quarantine holds what there was of it: the address may stand anywhere."""
    words = handoff(user_email="", conversation_summary=f'{{"user_email": "{EMAIL}"').to_json()
    station.has(state=State.REJECTED, handoff=words)
    ran = station.run("forget", EMAIL, "--yes")
    assert "mentions the address" in ran.out
    assert station.rows() == []


def test_a_note_whose_handoff_is_over_is_theirs_by_its_words(station: Station) -> None:
    """A note's row holds no hash; its words do."""
    station.has(entry="A" * 52 + "#words", state=State.NOT_CREATED, handoff=handoff().to_json())
    assert station.run("forget", EMAIL, "--yes", "--json").json[0]["why"] == "theirs"


@pytest.mark.parametrize("near", ["otra." + EMAIL, EMAIL + ".ar", "x" + EMAIL, "-" + EMAIL])
def test_a_longer_address_is_another_person(station: Station, near: str) -> None:
    """Erasing it would lose somebody else's request."""
    row = station.has(state=State.NOT_CREATED, handoff=handoff(user_email=near).to_json(), person=person_of(near))
    ran = station.run("forget", EMAIL, "--yes")
    assert (ran.status, ran.out) == (0, "The ledger knows nobody by this address.\n")
    assert station.rows() == [row]


def test_a_person_with_only_a_telephone_can_be_forgotten(station: Station) -> None:
    """By the number as the bot sent it."""
    station.deliver(1, user_email="", user_phone=PHONE)
    assert station.run("forget", PHONE).status == 0
    assert [row.person for row in station.rows()] == [""]


def test_what_is_no_address_erases_nobody(station: Station) -> None:
    """A dot would be found in everybody's words."""
    station.freshdesk.weather("rate-limited")
    station.deliver()
    ran = station.run("forget", " . ", "--yes")
    assert ran.status == 2
    assert ran.err.startswith("EMAIL: ")
    assert len(station.rows()) == 1


def test_nothing_of_the_person_is_printed(station: Station) -> None:
    """Not even the address that was asked for."""
    station.freshdesk.weather("rate-limited")
    station.deliver()
    for options in ((), ("--yes", "--json")):
        ran = station.run("forget", EMAIL, *options)
        assert not canaries_in(ran.out + ran.err)


def test_the_file_holds_nothing_of_the_person(station: Station, tmp_path: Path) -> None:
    """Neither hash nor words are in any row."""
    station.deliver(1)
    station.freshdesk.weather("rate-limited")
    station.deliver(2)
    station.run("forget", EMAIL, "--yes")
    rows = "".join(row.to_json() for row in station.rows())
    assert person_of(EMAIL) not in rows
    assert not canaries_in(rows)
    assert (tmp_path / "handoffs.db").exists()
    assert canaries_in(str(body()))


def test_a_row_that_moves_while_it_is_erased_is_followed(station: Station) -> None:
    """A sweep may settle it in between: the row as it stands then is the one that is blanked."""
    row = station.has(state=State.CREATED, ticket_id=1, due_at=None, person="hash")
    station.ledger.replace(row, changed(row, error="newer"))
    assert erase(station.ledger, row, station.clock.now()) == BLANKED
    [left] = station.rows()
    assert (left.person, left.error) == ("", "newer")


def test_a_row_that_went_by_itself_is_erased(station: Station) -> None:
    """Its time was over, or another operator was quicker."""
    row = station.has(state=State.CREATED, ticket_id=1, due_at=None, person="hash")
    station.ledger.delete(row)
    assert erase(station.ledger, row, station.clock.now()) == ERASED


def test_a_row_that_never_stands_still_is_told(station: Station) -> None:
    """Rather than claimed to be erased."""
    row = station.has(state=State.CREATED, ticket_id=1, due_at=None, person="hash")

    class Restless(FaultyLedger):
        def replace(self, *_rows: object) -> bool:
            return False

    with pytest.raises(Halt, match="run forget again"):
        erase(Restless(station.ledger), row, station.clock.now())
