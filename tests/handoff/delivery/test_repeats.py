"""Delivery of requests that are repeated, corrected or refused, and the status of a reference."""

from __future__ import annotations

from dataclasses import replace

import pytest

from handoff.delivery import NEW_WORDS, Delivery
from handoff.inbound import Handoff
from handoff.ledger import Entry, State
from handoff.responses import Outcome, Status
from tests.closing import sqlite_ledger
from tests.factories import REFERENCE, handoff
from tests.handoff.delivery.keeping import (
    UNKNOWN,
    notes_in,
    only_row,
)
from tests.ledger_factories import (
    NOW,
    FakeFreshdesk,
    FaultyLedger,
    VirtualClock,
    delivery,
    entry,
    refusal,
)

# Repeats


def test_a_repeat_gets_the_same_ticket(fake: FakeFreshdesk, rule: Delivery) -> None:
    """The same words again get the same ticket without a call."""
    first, second = rule.deliver(handoff()), rule.deliver(handoff())
    assert second == replace(first, status=Status.DUPLICATE)
    assert len(fake.calls) == 1


def test_new_words_become_a_note(fake: FakeFreshdesk, rule: Delivery) -> None:
    """The same handoff with other words gets the same ticket, and a private note with the words, once."""
    rule.deliver(handoff())
    again = [rule.deliver(handoff(reason="algo nuevo")) for _ in range(2)]
    assert [(one.status, one.new_words) for one in again] == [(Status.DUPLICATE, True)] * 2
    ((ticket_id, html),) = fake.notes
    assert ticket_id == 1
    assert "algo nuevo" in html
    assert NEW_WORDS in html
    assert [note.state for note in notes_in(rule)] == [State.CREATED]


def test_a_note_that_fails_is_kept(fake: FakeFreshdesk, rule: Delivery) -> None:
    """A note that could not be added is due again; the answer does not mention it."""
    rule.deliver(handoff())
    fake.fates.append(UNKNOWN)
    assert rule.deliver(handoff(reason="algo nuevo")).status is Status.DUPLICATE
    (note,) = notes_in(rule)
    assert (note.state, note.error, note.due_at) == (State.NOT_CREATED, "note: time-out", NOW + 15.0)


@pytest.mark.parametrize("state", [State.CREATING, State.NOT_CREATED, State.IN_DOUBT])
def test_a_repeat_of_a_row_in_progress_never_posts(fake: FakeFreshdesk, rule: Delivery, state: State) -> None:
    """The answer says that the request is kept; new words wait for the ticket; only the sweep continues the row."""
    same = handoff()
    rule.writer.ledger.claim(
        entry(state=state, entry=same.key, fingerprint=same.fingerprint, owner="x"), now=NOW, tickets_an_hour=5
    )
    assert rule.deliver(same) == Outcome(status=Status.QUEUED, reference=REFERENCE)
    assert rule.deliver(handoff(reason="algo nuevo")).new_words
    assert fake.calls == []
    assert [note.state for note in notes_in(rule)] == [State.CREATING]


def test_a_repeat_of_a_row_that_was_given_up_opens_it_again(fake: FakeFreshdesk, rule: Delivery) -> None:
    """The row is due at once, and stays in doubt if it was."""
    same = handoff()
    given_up = entry(state=State.FAILED, entry=same.key, fingerprint=same.fingerprint, doubt_since=NOW - 9, due_at=None)
    rule.writer.ledger.claim(given_up, now=NOW, tickets_an_hour=5)
    assert rule.deliver(same).status is Status.QUEUED
    assert (only_row(rule).state, only_row(rule).due_at, only_row(rule).doubt_since) == (State.IN_DOUBT, NOW, NOW - 9)
    assert fake.calls == []


def test_a_corrected_address_makes_the_ticket(fake: FakeFreshdesk, rule: Delivery) -> None:
    """Refused, then corrected under the same key: a ticket at once."""
    fake.fates.append(refusal("email"))
    rule.deliver(handoff(user_email="wrong@example.com"))
    assert rule.deliver(handoff()).status is Status.CREATED
    assert (len(fake.tickets), only_row(rule).state, only_row(rule).refused) == (1, State.CREATED, False)


def test_two_corrections_at_once_make_one_ticket(fake: FakeFreshdesk, clock: VirtualClock) -> None:
    """Of two copies of a correction, the one that finds the row changed gets the answer "kept"."""

    class Overtaken(FaultyLedger):
        def replace(self, old: Entry, new: Entry) -> bool:
            return old.state is not State.REJECTED and self.ledger.replace(old, new)

    fake.fates.append(refusal("email"))
    rule = delivery(clock=clock, transport=fake, ledger=Overtaken(sqlite_ledger()))
    rule.deliver(handoff(user_email="wrong@example.com"))
    outcome = rule.deliver(handoff())
    assert (outcome.status, outcome.new_words) == (Status.QUEUED, True)
    assert fake.tickets == []


def test_the_sixth_handoff_of_an_hour_is_set_aside(fake: FakeFreshdesk, rule: Delivery) -> None:
    """An address has a limit of tickets an hour; a handoff over it is kept, and joins an open ticket later."""
    outcomes = [rule.deliver(handoff(key=f"{n:052d}", reason=f"{n}")) for n in range(6)]
    assert [one.status for one in outcomes] == [Status.CREATED] * 5 + [Status.QUEUED]
    assert fake.posts == 5
    (row,) = [one for one in rule.writer.ledger.each() if one.over_limit]
    assert (row.state, row.due_at, row.error) == (State.NOT_CREATED, NOW, "over limit")


# Refused requests


def test_a_refused_request_is_kept(fake: FakeFreshdesk, rule: Delivery) -> None:
    """There is a quarter of an hour to correct it, then the sweep makes the best ticket it can."""
    assert rule.keep_refused(handoff(user_email="")) == REFERENCE
    assert (only_row(rule).state, only_row(rule).due_at) == (State.REJECTED, NOW + 900.0)
    assert fake.calls == []


def test_a_repeated_refused_request_replaces_the_first(rule: Delivery, clock: VirtualClock) -> None:
    """The last version counts, but the wait does not start again."""
    rule.keep_refused(handoff(reason="first"))
    clock.time += 600.0
    rule.keep_refused(handoff(reason="second"))
    assert Handoff.from_json(only_row(rule).handoff).reason == "second"
    assert only_row(rule).due_at == NOW + 900.0
    assert only_row(rule).give_up_at == NOW + 72 * 3600.0


def test_a_refused_repeat_of_a_ticket_is_a_note(fake: FakeFreshdesk, rule: Delivery) -> None:
    """If a row exists, invalid copies count as new words; the same words do nothing."""
    rule.deliver(handoff())
    rule.keep_refused(handoff())
    assert notes_in(rule) == []
    rule.keep_refused(handoff(reason="broken"))
    assert len(notes_in(rule)) == 1
    assert len(fake.tickets) == 1


# Status of a reference


def test_a_reference_shows_its_ticket(fake: FakeFreshdesk, rule: Delivery) -> None:
    """The status has the ticket or its state, and never personal data."""
    rule.deliver(handoff())
    rule.deliver(handoff(reason="algo nuevo"))
    outcome = rule.look_up(REFERENCE)
    assert outcome is not None
    assert (outcome.status, outcome.ticket_id) == (Status.CREATED, 1)
    assert rule.look_up("BF-AAAAAAAA") is None
    assert len(fake.calls) == 2


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (State.CREATING, Status.QUEUED),
        (State.NOT_CREATED, Status.QUEUED),
        (State.IN_DOUBT, Status.QUEUED),
        (State.REJECTED, Status.QUEUED),
        (State.FAILED, Status.FAILED),
    ],
)
def test_a_row_without_a_ticket_is_queued_or_failed(rule: Delivery, state: State, status: Status) -> None:
    """Every row that is still tried is reported as queued; only one that was given up as failed."""
    rule.writer.ledger.claim(entry(state=state), now=NOW, tickets_an_hour=5)
    assert rule.look_up(REFERENCE) == Outcome(status=status, reference=REFERENCE)


def test_a_row_of_a_removed_account_belongs_to_the_main_one(rule: Delivery) -> None:
    """A row whose account is no longer in the routing still shows a ticket URL."""
    rule.writer.ledger.claim(entry(state=State.CREATED, account="gone", ticket_id=7), now=NOW, tickets_an_hour=5)
    outcome = rule.look_up(REFERENCE)
    assert outcome is not None
    assert outcome.ticket_url == "https://betsur.freshdesk.com/a/tickets/7"
