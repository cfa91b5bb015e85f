"""The contract of every store."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from handoff.inbound import Handoff
from handoff.ledger import (
    OUTAGE_WINDOW_S,
    PERSON_WINDOW_S,
    ROW_LIFETIME_S,
    ROW_MAX_BYTES,
    Cause,
    Claim,
    Entry,
    Ledger,
    State,
)
from tests.factories import handoff
from tests.ledger_factories import NOW, entry


def claim(ledger: Ledger, row: Entry, *, now: float = NOW, tickets_an_hour: int = 5) -> Claim:
    """Claim as a delivery does."""
    return ledger.claim(row, now=now, tickets_an_hour=tickets_an_hour)


def number(count: int, **overrides: Any) -> Entry:
    """Return a new row of another person for each number."""
    key = f"{count:08d}" + "A" * 44
    given = {"reference": f"BF-{key[:8]}", "entry": key, "person": f"person-{count}", **overrides}
    return entry(**given)


def next_of(row: Entry, **changes: Any) -> Entry:
    """Return the row's next version."""
    return replace(row, version=row.version + 1, **changes)


def test_the_first_claim_gets_the_row(ledger: Ledger) -> None:
    """The first caller holds the row, and the ledger holds it unchanged."""
    assert claim(ledger, entry()) == Claim(entry(), mine=True)
    assert ledger.find(entry().reference, now=NOW) == [entry()]


def test_every_field_comes_back_as_it_was_written(ledger: Ledger) -> None:
    """A row with something in each of its fields survives the store."""
    full = entry(
        state=State.IN_DOUBT,
        version=7,
        doubt_since=NOW + 0.123456,
        attempts=3,
        handoff=handoff(conversation_summary='Ñandú "¿qué?" \\ 👨‍👩‍👧 \n \u2028').to_json(),
        fingerprint="F" * 16,
        bot="betsur",
        category="retiros",
        account="norte",
        group="Pagos",
        priority="high",
        language="es",
        ticket_id=2**53 + 1,
        on_ticket=7,
        refused=True,
        over_limit=True,
        error="without: group_id",
        lifetime_s=86_400.0,
        cause=Cause.RATE_LIMIT,
        dropped=("group_id", "type"),
        refused_field="email",
        rung=3,
        identity="b.c.u.e.p",
        matter="m",
        named="n",
        mailbox="m",
    )
    claim(ledger, full)
    assert ledger.find(full.reference, now=NOW) == [full]


def test_a_second_claim_returns_the_existing_row(ledger: Ledger) -> None:
    """The second caller gets the existing row, and changes nothing."""
    claim(ledger, entry())
    assert claim(ledger, entry(owner="two", handoff="other")) == Claim(entry(), mine=False)
    assert ledger.find(entry().reference, now=NOW) == [entry()]


def test_a_claim_repeated_by_its_owner_succeeds_again(ledger: Ledger) -> None:
    """A claim whose answer was lost may be sent again."""
    claim(ledger, entry())
    assert claim(ledger, entry()).mine


def test_one_of_twenty_at_once_wins(ledger: Ledger) -> None:
    """Of twenty threads that claim the same handoff, one holds it, and nineteen get its row."""
    rows = [entry(owner=f"owner-{one}", person="") for one in range(20)]
    with ThreadPoolExecutor(20) as threads:
        claims = list(threads.map(lambda row: claim(ledger, row), rows))
    winners = [one for one in claims if one.mine]
    assert len(winners) == 1
    assert {one.entry.owner for one in claims} == {winners[0].entry.owner}


def test_an_expired_row_counts_as_absent(ledger: Ledger) -> None:
    """A row past its end is not found and does not prevent a claim, even if the store has not removed it yet."""
    claim(ledger, entry(expires_at=NOW + 10, ticket_id=7))
    assert ledger.find(entry().reference, now=NOW + 10) == []
    assert ledger.in_conversation("conversation", now=NOW + 10) == []
    assert claim(ledger, entry(owner="two"), now=NOW + 10).mine


def test_a_row_lives_to_the_last_moment(ledger: Ledger) -> None:
    """Just before its end a row is still found."""
    claim(ledger, entry(expires_at=NOW + 10, ticket_id=7))
    assert len(ledger.find(entry().reference, now=NOW + 9.99)) == 1
    assert len(ledger.in_conversation("conversation", now=NOW + 9.99)) == 1
    assert not claim(ledger, entry(owner="two"), now=NOW + 9.99).mine


def test_a_row_is_replaced_by_its_next_version(ledger: Ledger) -> None:
    """The next version is found afterwards."""
    claim(ledger, entry())
    new = next_of(entry(), state=State.CREATED, due_at=None, ticket_id=7)
    assert ledger.replace(entry(), new)
    assert ledger.find(entry().reference, now=NOW) == [new]


def test_a_replacement_repeated_by_its_owner_succeeds_again(ledger: Ledger) -> None:
    """A replacement whose answer was lost may be sent again."""
    claim(ledger, entry())
    new = next_of(entry(), state=State.CREATED)
    assert ledger.replace(entry(), new)
    assert ledger.replace(entry(), new)


@pytest.mark.parametrize("other", [{"version": 2}, {"owner": "two"}])
def test_what_another_has_written_is_not_replaced(ledger: Ledger, other: dict[str, Any]) -> None:
    """A caller with an old version, or another caller's row, writes nothing."""
    standing = entry(**other)
    claim(ledger, standing)
    assert not ledger.replace(entry(), next_of(entry(), state=State.FAILED, owner="three"))
    assert ledger.find(entry().reference, now=NOW) == [standing]


def test_a_removed_row_is_not_replaced(ledger: Ledger) -> None:
    """A row that was removed meanwhile is no outage: there is nothing to replace."""
    assert not ledger.replace(entry(), next_of(entry()))
    assert ledger.find(entry().reference, now=NOW) == []


def test_one_of_twenty_replacements_at_once_wins(ledger: Ledger) -> None:
    """Of twenty callers that take the same row at once, one gets it."""
    claim(ledger, entry())
    rows = [next_of(entry(), owner=f"owner-{one}") for one in range(20)]
    with ThreadPoolExecutor(20) as threads:
        assert sum(threads.map(lambda row: ledger.replace(entry(), row), rows)) == 1


def test_due_rows_come_in_order(ledger: Ledger) -> None:
    """The row that has been due longest comes first, up to the limit; rows without a due time never come."""
    for count, due_at in enumerate([NOW + 3, NOW + 1, None, NOW + 2, NOW + 9]):
        claim(ledger, number(count, due_at=due_at))
    assert [row.due_at for row in ledger.due(NOW + 3, 10)] == [NOW + 1, NOW + 2, NOW + 3]
    assert [row.due_at for row in ledger.due(NOW + 3, 2)] == [NOW + 1, NOW + 2]
    assert ledger.due(NOW, 10) == []


def test_due_rows_are_read_in_batches(ledger: Ledger) -> None:
    """Every row comes once, also if several are due at the same moment."""
    rows = [number(count, due_at=NOW + count // 3) for count in range(8)]
    for row in rows:
        claim(ledger, row)
    found, after = [], None
    while part := ledger.due(NOW + 2, 2, after):
        found += part
        after = part[-1]
    assert [row.due_at for row in found] == [row.due_at for row in rows]
    assert sorted(row.entry for row in found) == [row.entry for row in rows]


@pytest.mark.parametrize("then", ["later", "done", "gone"])
def test_due_rows_are_read_on_although_the_last_one_has_changed(ledger: Ledger, then: str) -> None:
    """The position of the row when it was read counts, whatever has happened to it since."""
    for count in range(3):
        claim(ledger, number(count, due_at=NOW + count))
    first = ledger.due(NOW + 5, 1)[0]
    if then == "gone":
        ledger.delete(first)
    else:
        ledger.replace(first, next_of(first, due_at=NOW + 9 if then == "later" else None))
    assert [row.due_at for row in ledger.due(NOW + 5, 5, first)] == [NOW + 1, NOW + 2]


def test_a_row_with_a_ticket_is_no_longer_due(ledger: Ledger) -> None:
    """A row without a due time leaves the index."""
    claim(ledger, entry())
    ledger.replace(entry(), next_of(entry(), state=State.CREATED, due_at=None))
    assert ledger.due(NOW + 1e6, 10) == []


def test_a_handoff_is_found_before_its_notes(ledger: Ledger) -> None:
    """A reference finds the handoff, then its notes, and no rows of others."""
    notes = [entry(entry=f"{entry().entry}#{mark}", person="", conversation="") for mark in "BA"]
    for row in (*notes, entry(), number(1)):
        claim(ledger, row)
    assert ledger.find(entry().reference, now=NOW) == [entry(), *reversed(notes)]


def test_the_rows_of_a_conversation_come_in_order(ledger: Ledger) -> None:
    """The oldest row comes first; rows without a conversation belong to none."""
    late, early = number(1, created_at=NOW + 5), number(2, created_at=NOW + 1)
    for row in (late, early, number(3, conversation="another"), number(4, conversation="")):
        claim(ledger, row)
    assert ledger.in_conversation("conversation", now=NOW) == [early, late]
    assert ledger.in_conversation("", now=NOW) == []


def test_a_person_has_a_limited_number_of_places_an_hour(ledger: Ledger) -> None:
    """The sixth handoff of an hour is kept like any other, and marked as over the limit."""
    claims = [claim(ledger, number(count, person="same", owner=f"owner-{count}")) for count in range(6)]
    assert [one.over_limit for one in claims] == [False] * 5 + [True]
    assert all(one.mine for one in claims)
    assert len(ledger.find(number(5).reference, now=NOW)) == 1


def test_a_repeated_claim_takes_one_place(ledger: Ledger) -> None:
    """A claim sent again by its owner counts once."""
    assert [claim(ledger, entry(), tickets_an_hour=1).over_limit for _ in range(3)] == [False, False, False]


def test_a_place_is_free_again_after_an_hour(ledger: Ledger) -> None:
    """Exactly an hour after it was taken, not a moment before."""
    claim(ledger, number(1, person="same", owner="1"), tickets_an_hour=1)
    almost, over = NOW + PERSON_WINDOW_S - 0.01, NOW + PERSON_WINDOW_S
    assert claim(ledger, number(2, person="same", owner="2"), now=almost, tickets_an_hour=1).over_limit
    assert not claim(ledger, number(3, person="same", owner="3"), now=over, tickets_an_hour=1).over_limit


def test_a_claim_that_is_not_granted_takes_no_place(ledger: Ledger) -> None:
    """A repeat of somebody's handoff does not use up a place of their hour."""
    claim(ledger, entry(), tickets_an_hour=2)
    claim(ledger, entry(owner="two"), tickets_an_hour=2)
    assert not claim(ledger, number(1, person="somebody", owner="three"), tickets_an_hour=2).over_limit


def test_notes_and_handoffs_without_an_address_take_no_places(ledger: Ledger) -> None:
    """They are never over the limit."""
    note = entry(entry=f"{entry().entry}#A")
    assert not claim(ledger, note, tickets_an_hour=0).over_limit
    assert not claim(ledger, number(1, person=""), tickets_an_hour=0).over_limit


def test_a_place_can_be_taken_later(ledger: Ledger) -> None:
    """The sweep takes places one by one, until the hour is full; a row that has one already needs no other."""
    rows = [number(one) for one in range(4)]
    assert [ledger.take_slot("same", row, now=NOW, tickets_an_hour=2) for row in rows] == [True, True, False, False]
    assert ledger.take_slot("same", rows[1], now=NOW, tickets_an_hour=2)
    assert ledger.take_slot("same", rows[2], now=NOW + PERSON_WINDOW_S, tickets_an_hour=2)
    assert ledger.take_slot("", rows[3], now=NOW, tickets_an_hour=0)


def test_the_rows_of_an_hour_are_found_by_whom_it_counts_for(ledger: Ledger) -> None:
    """Whatever the spelling of the address; for an hour, and nobody else's."""
    first, second, removed = number(1, mailbox="m"), number(2, mailbox="m"), number(3, mailbox="m")
    for row in (first, second, removed, number(4, mailbox="other")):
        claim(ledger, row)
    ledger.delete(removed)
    assert sorted(row.reference for row in ledger.with_slot("m", now=NOW)) == [first.reference, second.reference]
    assert ledger.with_slot("m", now=NOW + PERSON_WINDOW_S) == []
    assert ledger.with_slot("nobody", now=NOW) == []


def test_every_row_is_listed_and_no_place(ledger: Ledger) -> None:
    """The operator gets every row once, including expired ones, and nothing else."""
    rows = [number(count, expires_at=NOW + count, ticket_id=7) for count in range(3)]
    for row in rows:
        claim(ledger, row, now=NOW - 1)
    assert sorted(ledger.each(), key=lambda row: row.entry) == rows


def test_a_deleted_row_is_gone(ledger: Ledger) -> None:
    """Deleting removes one row, and the second time is no error."""
    claim(ledger, entry())
    claim(ledger, number(1))
    ledger.delete(entry())
    ledger.delete(entry())
    assert list(ledger.each()) == [number(1)]


def test_tidying_keeps_rows_that_have_not_expired(ledger: Ledger) -> None:
    """Tidying removes expired rows only."""
    claim(ledger, entry())
    ledger.tidy(NOW + 1)
    assert ledger.find(entry().reference, now=NOW + 1) == [entry()]


def test_a_row_without_a_ticket_never_expires(ledger: Ledger) -> None:
    """It is found, prevents a second claim and is kept, however old it is."""
    late = NOW + 20 * ROW_LIFETIME_S
    claim(ledger, entry(state=State.FAILED, due_at=None))
    assert not claim(ledger, entry(owner="two"), now=late).mine
    ledger.tidy(late)
    assert len(ledger.find(entry().reference, now=late)) == 1
    assert len(ledger.in_conversation("conversation", now=late)) == 1


def test_a_row_expires_once_it_has_a_ticket(ledger: Ledger) -> None:
    """Its end counts from the write that brought the ticket."""
    claim(ledger, entry())
    ledger.replace(entry(), next_of(entry(), state=State.CREATED, due_at=None, ticket_id=7, expires_at=NOW + 10))
    assert len(ledger.find(entry().reference, now=NOW + 9)) == 1
    assert ledger.find(entry().reference, now=NOW + 10) == []


@pytest.mark.parametrize("letter", ["ñ", "中", "👵", '"', "\\", "\n"])
def test_the_longest_handoff_fits(ledger: Ledger, letter: str) -> None:
    """The longest possible request is kept, however many bytes its letters take (DynamoDB: 400 KB an item)."""
    most = min(60_000, 256 * 1024 // len(letter.encode()))
    long = entry(handoff=handoff(conversation_transcript=letter * most, reason=letter * 2000).to_json())
    assert claim(ledger, long).mine
    assert ledger.find(long.reference, now=NOW) == [long]


@pytest.mark.parametrize("letter", ['"', "\\"])
def test_the_largest_valid_body_is_cut_to_what_every_store_takes(ledger: Ledger, letter: str) -> None:
    """Of 256 KiB of letters that become four times as long, the transcript loses its beginning; the rest stays."""
    worst = handoff(
        conversation_summary="resumen" + letter * 7_900,
        conversation_transcript=letter * 59_990 + "al final",
        other=tuple((f"dato_{number}", letter * 2_000) for number in range(30)),
    )
    full = entry(handoff=worst.to_json(), error="x" * 9_000, dropped=tuple(f"custom_fields.{n}" for n in range(200)))
    assert len(full.to_json().encode()) > 400_000
    assert claim(ledger, full).mine
    (kept,) = ledger.find(full.reference, now=NOW)
    after = next_of(full, attempts=1)
    assert ledger.replace(kept, after)
    assert ledger.replace(kept, after)
    (written,) = ledger.find(full.reference, now=NOW)
    assert len(written.to_json().encode()) <= ROW_MAX_BYTES
    assert 300_000 < len(kept.to_json().encode()) <= ROW_MAX_BYTES
    words = Handoff.from_json(kept.handoff)
    assert words.conversation_summary == worst.conversation_summary
    assert words.conversation_transcript.endswith("al final")
    assert words.other == worst.other


def test_a_ticket_made_without_the_store_is_stored_later(ledger: Ledger) -> None:
    """A ticket that was made while the store was down gets its row before the next claim."""
    made = next_of(entry(), state=State.CREATED, ticket_id=7, due_at=None, words="words", handoff="{}")
    ledger.remember(made, now=NOW)
    again = claim(ledger, entry(owner="two"), now=NOW + 60)
    assert (again.mine, again.entry.ticket_id, again.entry.handoff) == (False, 7, "")
    assert ledger.recover() == 0


@pytest.mark.parametrize("owner", ["one", "another"])
def test_a_waiting_row_gets_the_ticket_made_without_the_store(ledger: Ledger, owner: str) -> None:
    """If the claim was stored but not its ticket, the sweep must not make a second one."""
    claim(ledger, entry(owner=owner))
    ledger.remember(next_of(entry(), state=State.CREATED, ticket_id=7, due_at=None), now=NOW)
    assert ledger.due(NOW + 9e6, 10) == []
    (kept,) = ledger.find(entry().reference, now=NOW)
    assert (kept.state, kept.ticket_id) == (State.CREATED, 7)


def test_a_row_with_a_ticket_keeps_it(ledger: Ledger) -> None:
    """The row in the store is newer than the remembered one."""
    standing = entry(state=State.CREATED, owner="another", ticket_id=6, due_at=None)
    claim(ledger, standing)
    ledger.remember(next_of(entry(), state=State.CREATED, ticket_id=7, due_at=None), now=NOW)
    assert ledger.find(entry().reference, now=NOW) == [standing]


def test_a_doubt_of_a_call_without_the_store_is_stored_later(ledger: Ledger) -> None:
    """The repeat of the request finds a row in doubt, and is not posted at once."""
    ledger.remember(entry(state=State.IN_DOUBT, doubt_since=NOW, due_at=NOW + 15, handoff="{}"), now=NOW)
    again = claim(ledger, entry(owner="two"), now=NOW + 60)
    assert (again.mine, again.entry.state, again.entry.doubt_since) == (False, State.IN_DOUBT, NOW)
    assert again.entry.handoff == ""


@pytest.mark.parametrize("owner", ["one", "another"])
def test_a_waiting_row_keeps_its_words_and_gets_the_later_doubt(ledger: Ledger, owner: str) -> None:
    """What was posted last without the store may be written last."""
    claim(ledger, entry(owner=owner, due_at=NOW + 60, handoff='{"reason": "x"}'))
    ledger.remember(entry(state=State.IN_DOUBT, doubt_since=NOW + 90, due_at=NOW + 105), now=NOW)
    (kept,) = ledger.find(entry().reference, now=NOW)
    assert (kept.state, kept.doubt_since, kept.handoff) == (State.IN_DOUBT, NOW + 90, '{"reason": "x"}')


def test_words_that_a_ticket_made_without_the_store_lacks_become_a_note(ledger: Ledger) -> None:
    """The row that waited had other words than the request of which the ticket was made."""
    claim(ledger, entry(owner="another", fingerprint="first", handoff='{"reason": "first"}'))
    made = next_of(entry(), state=State.CREATED, ticket_id=7, due_at=None, fingerprint="second")
    ledger.remember(made, now=NOW)
    kept, note = ledger.find(entry().reference, now=NOW)
    assert (kept.ticket_id, kept.handoff) == (7, "")
    assert (note.is_note, note.state, note.handoff) == (True, State.NOT_CREATED, '{"reason": "first"}')
    assert [row.entry for row in ledger.due(NOW + 9e6, 10)] == [note.entry]


def test_an_outage_in_which_a_ticket_may_have_been_made_is_marked(ledger: Ledger) -> None:
    """For a day each new claim must search first; the mark makes no row."""
    assert not ledger.had_outage(NOW)
    ledger.remember(entry(), now=NOW)
    assert ledger.had_outage(NOW)
    assert ledger.had_outage(NOW + OUTAGE_WINDOW_S - 1)
    assert not ledger.had_outage(NOW + OUTAGE_WINDOW_S)
    assert list(ledger.each()) == []


def test_there_is_nothing_to_migrate_in_rows_of_this_version(ledger: Ledger) -> None:
    """A row with a ticket may expire, one without may not; both stay as they are."""
    rows = [number(1, ticket_id=7), number(2)]
    for row in rows:
        claim(ledger, row)
    assert ledger.migrate() == 0
    assert sorted(ledger.each(), key=lambda row: row.entry) == rows


# Files


def with_files(count: int, *files: str) -> Entry:
    """Return the row of a handoff with files, each an address."""
    sent = [[f"https://files.bpcontent.cloud/{name}", name, "", 0] for name in files]
    return number(count, handoff=json.dumps({"key": "k", "attachments": sent}))


def made_of(row: Entry) -> Entry:
    """Return the row's next version, with a ticket."""
    return next_of(row, state=State.CREATED, ticket_id=7, handoff="", due_at=None)


def test_the_rows_of_files_are_written_with_the_tickets_number(ledger: Ledger) -> None:
    """One each, due at once, on the ticket; and again they are not, though the answer was lost."""
    row = with_files(1, "a.jpg", "b.pdf")
    claim(ledger, row)
    for _ in range(2):
        assert ledger.replace(row, made_of(row))
    _, *files = ledger.find(row.reference, now=NOW)
    assert [(file.is_file, file.on_ticket, file.ticket_id) for file in files] == [(True, 7, None)] * 2
    assert {json.loads(file.handoff)["attachments"][0][1] for file in files} == {"a.jpg", "b.pdf"}
    assert {file.entry for file in ledger.due(NOW + ROW_LIFETIME_S, 10)} == {file.entry for file in files}


def test_no_file_is_written_for_a_row_that_another_has_changed(ledger: Ledger) -> None:
    """All or none."""
    row = with_files(1, "a.jpg")
    claim(ledger, row)
    assert ledger.replace(row, next_of(row, owner="another", error="x"))
    assert not ledger.replace(row, made_of(row))
    assert [one.is_file for one in ledger.find(row.reference, now=NOW)] == [False]


def test_the_row_of_a_file_that_is_there_stays(ledger: Ledger) -> None:
    """The same file came with a note of the handoff: its row may be done."""
    row, note = with_files(1, "a.jpg"), with_files(1, "a.jpg", "b.pdf")
    note = replace(note, entry=f"{note.entry}#words", owner="two")
    for one in (row, note):
        claim(ledger, one)
    assert ledger.replace(row, made_of(row))
    (first,) = [one for one in ledger.find(row.reference, now=NOW) if one.is_file]
    done = next_of(first, state=State.CREATED, ticket_id=7, handoff="", due_at=None)
    assert ledger.replace(first, done)
    assert ledger.replace(note, made_of(note))
    files = [one for one in ledger.find(row.reference, now=NOW) if one.is_file]
    assert len(files) == 2
    assert done in files
