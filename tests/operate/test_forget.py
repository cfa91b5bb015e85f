"""`forget`: erases a person from the ledger without causing a second ticket."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest

from handoff.identity import person_of
from handoff.ledger import Entry, State
from handoff.responses import Status
from handoff.transitions import changed
from operate.forgetting import BLANKED, ERASED, GONE, RESTLESS, erase
from operate.removing import blanked
from tests.factories import EMAIL, PHONE, body, handoff
from tests.leaks import canaries_in
from tests.ledger_factories import FaultyLedger
from tests.operate.operating import Station


def test_a_handoff_with_a_ticket_loses_the_personal_data(station: Station) -> None:
    """The hashes are erased; number and reference stay, and so do the rows of others."""
    station.deliver(1)
    other = station.has(state=State.CREATED, ticket_id=9, due_at=None, person=person_of("otra@example.com"))
    ran = station.run("forget", EMAIL.upper())
    assert ran.status == 0
    assert "kept without the person" in ran.out
    assert "delete the contact there" in ran.out
    [mine] = [one for one in station.rows() if one.entry != other.entry]
    assert (mine.person, mine.conversation, mine.handoff, mine.ticket_id) == ("", "", "", 1)
    assert station.row(other.entry) == other


def test_a_repeat_afterwards_makes_no_second_ticket(station: Station) -> None:
    """Botpress may replay it: the row still has its ticket, and the same words make no note."""
    station.deliver(1)
    station.run("forget", EMAIL)
    assert station.deliver(1).status is Status.DUPLICATE
    assert len(station.freshdesk.tickets()) == 1
    assert station.freshdesk.notes(1) == []


@pytest.mark.parametrize("named", ["user_01HZX1", "betsur:user_01HZX1"])
def test_a_person_without_an_address_is_found_by_user(station: Station, named: str) -> None:
    """As Botpress calls them, or as their contact in Freshdesk does."""
    station.deliver(1, user_email="", user_id="user_01HZX1", channel="whatsapp")
    station.run("forget", named)
    [row] = station.rows()
    assert (row.identity, row.mailbox, row.ticket_id) == ("", "", 1)


def test_a_waiting_row_is_not_erased_without_yes(station: Station) -> None:
    """It would never become a ticket: nothing is changed, and the output says so."""
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


def test_with_yes_a_waiting_row_is_erased(station: Station) -> None:
    """The row, its notes, and the words in them."""
    station.freshdesk.weather("rate-limited")
    station.deliver(2)
    station.deliver(2, reason="Canario del motivo: otra vez")
    assert len(station.rows()) == 2
    shown = station.run("forget", EMAIL, "--yes", "--json").json
    assert [(one["why"], one["result"]) for one in shown] == [("theirs", "erased whole")] * 2
    assert [one["note"] for one in shown] == [True, False]  # what makes a note theirs is in its handoff's row
    assert station.rows() == []


def test_a_note_that_was_added_is_erased_with_its_handoff(station: Station) -> None:
    """Its row only holds a fingerprint of the words; the handoff's row keeps the ticket."""
    station.deliver(1)
    station.deliver(1, reason="Canario del motivo: otra vez")
    assert len(station.rows()) == 2
    assert station.run("forget", EMAIL).status == 0
    [left] = station.rows()
    assert (left.is_note, left.person, left.ticket_id) == (False, "", 1)


def test_a_refused_handoff_that_mentions_the_address_is_found(station: Station) -> None:
    """A refused row holds the text as it was sent: the address may be anywhere in it."""
    words = handoff(user_email="", conversation_summary=f'{{"user_email": "{EMAIL}"').to_json()
    station.has(state=State.REJECTED, handoff=words)
    ran = station.run("forget", EMAIL, "--yes")
    assert "mentions the address" in ran.out
    assert station.rows() == []


def test_a_note_of_an_expired_handoff_is_found_by_its_words(station: Station) -> None:
    """The row of a note holds no hash."""
    station.has(entry="A" * 52 + "#words", state=State.NOT_CREATED, handoff=handoff().to_json())
    assert station.run("forget", EMAIL, "--yes", "--json").json[0]["why"] == "theirs"


@pytest.mark.parametrize(
    ("row_fields", "is_kept"),
    [
        ({"state": State.CREATING}, True),
        ({"state": State.IN_DOUBT, "doubt_since": 5.0}, True),
        ({"state": State.FAILED, "doubt_since": 5.0}, True),
        ({"state": State.NOT_CREATED, "doubt_since": 5.0}, True),
        ({"state": State.NOT_CREATED}, False),
        ({"state": State.REJECTED}, False),
        ({"state": State.FAILED}, False),
    ],
)
def test_a_row_that_may_have_a_ticket_is_blanked_and_others_erased(
    station: Station, row_fields: dict[str, Any], *, is_kept: bool
) -> None:
    """Key, reference and doubt stay if a repeat could make a second ticket; personal data never stays."""
    words = handoff().to_json()
    row = station.has(**row_fields, handoff=words, person=person_of(EMAIL), conversation="talk", fingerprint="f")
    station.has(2, reference=row.reference, entry=f"{row.entry}#words", state=State.NOT_CREATED, handoff=words)
    ran = station.run("forget", EMAIL, "--yes")
    assert ran.status == 0
    if not is_kept:
        assert station.rows() == []
        return
    [left] = station.rows()
    assert left == replace(row, version=2, handoff="", person="", conversation="")
    assert not canaries_in(left.to_json())


def test_every_hash_of_a_person_is_blanked(station: Station) -> None:
    """Each text field of a row is either not personal or erased; a new field has to be added here."""
    texts = {one.name: "x" for one in fields(Entry) if one.type == "str" and one.name not in {"reference", "entry"}}
    row = replace(station.has(), **texts)  # type: ignore[arg-type]  # texts
    left = {name for name, value in asdict(blanked(row)).items() if value == "x"}
    not_personal = {"owner", "bot", "category", "account", "group", "priority", "language", "error"}
    assert left - not_personal - {"fingerprint", "refused_field", "alias_of", "cause"} == set()


def test_a_row_that_gets_its_ticket_meanwhile_is_blanked(station: Station) -> None:
    """The sweep was faster than `forget --yes`: a repeat must find the ticket."""
    row = station.has(state=State.NOT_CREATED, handoff=handoff().to_json(), person=person_of(EMAIL))
    ticket = changed(row, state=State.CREATED, ticket_id=7, due_at=None, handoff="")
    station.ledger.replace(row, ticket)
    assert erase(station.ledger, row, EMAIL, station.clock.now()) == BLANKED
    [left] = station.rows()
    assert (left.state, left.ticket_id, left.person) == (State.CREATED, 7, "")


def test_a_row_that_belongs_to_another_person_meanwhile_is_left(station: Station) -> None:
    """A refused request that mentioned the address was corrected with another one."""
    row = station.has(state=State.REJECTED, handoff=handoff().to_json())
    other = changed(row, state=State.NOT_CREATED, handoff="", person=person_of("otra@example.com"))
    station.ledger.replace(row, other)
    assert erase(station.ledger, row, EMAIL, station.clock.now()) == GONE
    assert station.rows() == [other]


def test_a_row_is_held_during_its_deletion(station: Station) -> None:
    """No sweep and no repeat can take it: it has a lease like a row in progress."""
    row = station.has(state=State.NOT_CREATED, due_at=station.clock.now(), person=person_of(EMAIL))
    held: list[Entry] = []

    class Watched(FaultyLedger):
        def delete(self, entry: Entry) -> None:
            held.extend(station.rows())
            assert self.due(station.clock.now(), 9) == []
            super().delete(entry)

    assert erase(Watched(station.ledger), row, EMAIL, station.clock.now()) == ERASED
    assert [(one.state, one.person, one.handoff) for one in held] == [(State.CREATING, "", "")]
    assert station.rows() == []


def test_the_output_says_until_when_backups_keep_copies(station: Station) -> None:
    """For a SQLite file, the backups are the operator's own."""
    station.deliver(1)
    assert "until you delete them" in station.run("forget", EMAIL).out


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


def test_an_invalid_address_erases_nobody(station: Station) -> None:
    """A dot would be found in everybody's words."""
    station.freshdesk.weather("rate-limited")
    station.deliver()
    ran = station.run("forget", " . ", "--yes")
    assert ran.status == 2
    assert ran.err.startswith("EMAIL: ")
    assert len(station.rows()) == 1


def test_no_personal_data_is_printed(station: Station) -> None:
    """Not even the given address."""
    station.freshdesk.weather("rate-limited")
    station.deliver()
    for options in ((), ("--yes", "--json")):
        ran = station.run("forget", EMAIL, *options)
        assert not canaries_in(ran.out + ran.err)


def test_the_file_holds_no_personal_data(station: Station, tmp_path: Path) -> None:
    """No row has the hashes or the words."""
    station.deliver(1)
    station.freshdesk.weather("rate-limited")
    station.deliver(2)
    station.run("forget", EMAIL, "--yes")
    rows = "".join(row.to_json() for row in station.rows())
    assert person_of(EMAIL) not in rows
    assert not canaries_in(rows)
    assert (tmp_path / "handoffs.db").exists()
    assert canaries_in(str(body()))


def test_a_row_that_changes_during_the_erasure_is_read_again(station: Station) -> None:
    """A sweep may settle it in between: its new version is blanked."""
    row = station.has(state=State.CREATED, ticket_id=1, due_at=None, person=person_of(EMAIL))
    station.ledger.replace(row, changed(row, error="newer"))
    assert erase(station.ledger, row, EMAIL, station.clock.now()) == BLANKED
    [left] = station.rows()
    assert (left.person, left.error) == ("", "newer")


def test_a_row_that_disappears_is_left(station: Station) -> None:
    """It expired, or another operator was faster."""
    row = station.has(state=State.CREATED, ticket_id=1, due_at=None, person="hash")
    station.ledger.delete(row)
    assert erase(station.ledger, row, EMAIL, station.clock.now()) == GONE


def test_a_row_that_keeps_changing_is_reported(station: Station) -> None:
    """It is not reported as erased."""
    row = station.has(state=State.CREATED, ticket_id=1, due_at=None, person=person_of(EMAIL))

    class Restless(FaultyLedger):
        def replace(self, *_rows: object) -> bool:
            return False

    assert erase(Restless(station.ledger), row, EMAIL, station.clock.now()) == RESTLESS
