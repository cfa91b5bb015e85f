"""The rule, live: what is sent again, corrected, refused or asked after."""

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
    """The same words again: the same ticket, no call."""
    first, second = rule.deliver(handoff()), rule.deliver(handoff())
    assert second == replace(first, status=Status.DUPLICATE)
    assert len(fake.calls) == 1


def test_new_words_become_a_note(fake: FakeFreshdesk, rule: Delivery) -> None:
    """The same handoff in other words: the same ticket, and a private note with the words, once."""
    rule.deliver(handoff())
    again = [rule.deliver(handoff(reason="algo nuevo")) for _ in range(2)]
    assert [(one.status, one.new_words) for one in again] == [(Status.DUPLICATE, True)] * 2
    ((ticket_id, html),) = fake.notes
    assert ticket_id == 1
    assert "algo nuevo" in html
    assert NEW_WORDS in html
    assert [note.state for note in notes_in(rule)] == [State.CREATED]


def test_a_note_that_fails_is_kept(fake: FakeFreshdesk, rule: Delivery) -> None:
    """A note that could not be added is due again; the person hears nothing of it."""
    rule.deliver(handoff())
    fake.fates.append(UNKNOWN)
    assert rule.deliver(handoff(reason="algo nuevo")).status is Status.DUPLICATE
    (note,) = notes_in(rule)
    assert (note.state, note.error, note.due_at) == (State.NOT_CREATED, "note: time-out", NOW + 15.0)


@pytest.mark.parametrize("state", [State.CREATING, State.NOT_CREATED, State.IN_DOUBT])
def test_a_repeat_of_what_is_under_way_never_posts(fake: FakeFreshdesk, rule: Delivery, state: State) -> None:
    """Whoever repeats hears that it is kept; its new words wait for the ticket; only the sweep goes on with it."""
    same = handoff()
    rule.writer.ledger.claim(
        entry(state=state, entry=same.key, fingerprint=same.fingerprint, owner="x"), now=NOW, tickets_an_hour=5
    )
    assert rule.deliver(same) == Outcome(status=Status.QUEUED, reference=REFERENCE)
    assert rule.deliver(handoff(reason="algo nuevo")).new_words
    assert fake.calls == []
    assert [note.state for note in notes_in(rule)] == [State.CREATING]


def test_a_repeat_of_what_was_given_up_opens_it_again(fake: FakeFreshdesk, rule: Delivery) -> None:
    """The person is still there: the row is due at once, its doubt remembered."""
    same = handoff()
    given_up = entry(state=State.FAILED, entry=same.key, fingerprint=same.fingerprint, doubt_since=NOW - 9, due_at=None)
    rule.writer.ledger.claim(given_up, now=NOW, tickets_an_hour=5)
    assert rule.deliver(same).status is Status.QUEUED
    assert (only_row(rule).state, only_row(rule).due_at, only_row(rule).doubt_since) == (State.IN_DOUBT, NOW, NOW - 9)
    assert fake.calls == []


def test_a_corrected_address_makes_the_ticket(fake: FakeFreshdesk, rule: Delivery) -> None:
    """Refused, corrected under the same key: a ticket at once."""
    fake.fates.append(refusal("email"))
    rule.deliver(handoff(user_email="wrong@example.com"))
    assert rule.deliver(handoff()).status is Status.CREATED
    assert (len(fake.tickets), only_row(rule).state, only_row(rule).refused) == (1, State.CREATED, False)


def test_two_corrections_at_once_make_one_ticket(fake: FakeFreshdesk, clock: VirtualClock) -> None:
    """Of two copies of a correction, the one that finds the row changed is told that it is kept."""

    class Overtaken(FaultyLedger):
        def replace(self, old: Entry, new: Entry) -> bool:
            return old.state is not State.REJECTED and self.ledger.replace(old, new)

    fake.fates.append(refusal("email"))
    rule = delivery(clock=clock, transport=fake, ledger=Overtaken(sqlite_ledger()))
    rule.deliver(handoff(user_email="wrong@example.com"))
    outcome = rule.deliver(handoff())
    assert (outcome.status, outcome.new_words) == (Status.QUEUED, True)
    assert fake.tickets == []


def test_the_sixth_of_an_hour_is_set_aside(fake: FakeFreshdesk, rule: Delivery) -> None:
    """One address may make so many tickets an hour; what comes after is kept, and joins an open one later."""
    outcomes = [rule.deliver(handoff(key=f"{n:052d}", reason=f"{n}")) for n in range(6)]
    assert [one.status for one in outcomes] == [Status.CREATED] * 5 + [Status.QUEUED]
    assert fake.posts == 5
    (row,) = [one for one in rule.writer.ledger.each() if one.over_limit]
    assert (row.state, row.due_at, row.error) == (State.NOT_CREATED, NOW, "over limit")


# Refused requests


def test_a_refused_request_is_kept(fake: FakeFreshdesk, rule: Delivery) -> None:
    """Refusing is not losing: a quarter of an hour to correct it, then the sweep makes of it what it can."""
    assert rule.keep_refused(handoff(user_email="")) == REFERENCE
    assert (only_row(rule).state, only_row(rule).due_at) == (State.REJECTED, NOW + 900.0)
    assert fake.calls == []


def test_a_better_refused_request_takes_the_others_place(rule: Delivery, clock: VirtualClock) -> None:
    """Sent again with other faults, the last version counts, but the wait does not begin again."""
    rule.keep_refused(handoff(reason="first"))
    clock.time += 600.0
    rule.keep_refused(handoff(reason="second"))
    assert Handoff.from_json(only_row(rule).handoff).reason == "second"
    assert only_row(rule).due_at == NOW + 900.0
    assert only_row(rule).give_up_at == NOW + 72 * 3600.0


def test_a_refused_repeat_of_a_ticket_is_a_note(fake: FakeFreshdesk, rule: Delivery) -> None:
    """Once there is a row, broken copies of it are new words; the same words are nothing."""
    rule.deliver(handoff())
    rule.keep_refused(handoff())
    assert notes_in(rule) == []
    rule.keep_refused(handoff(reason="broken"))
    assert len(notes_in(rule)) == 1
    assert len(fake.tickets) == 1


# What became of it


def test_what_became_of_it(fake: FakeFreshdesk, rule: Delivery) -> None:
    """A reference leads to the ticket, or to how it stands, and never to the person's data."""
    rule.deliver(handoff())
    rule.deliver(handoff(reason="algo nuevo"))
    told = rule.look_up(REFERENCE)
    assert told is not None
    assert (told.status, told.ticket_id) == (Status.CREATED, 1)
    assert rule.look_up("BF-AAAAAAAA") is None
    assert len(fake.calls) == 2


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (State.CREATING, Status.QUEUED),
        (State.NOT_CREATED, Status.QUEUED),
        (State.IN_DOUBT, Status.QUEUED),
        (State.REJECTED, Status.QUEUED),
        (State.FAILED, Status.FAILED),
    ],
)
def test_what_is_not_a_ticket_yet(rule: Delivery, state: State, told: Status) -> None:
    """Whatever is still to be done is told as kept; only what was given up as failed."""
    rule.writer.ledger.claim(entry(state=state), now=NOW, tickets_an_hour=5)
    assert rule.look_up(REFERENCE) == Outcome(status=told, reference=REFERENCE)


def test_a_desk_that_is_gone_belongs_to_the_main_one(rule: Delivery) -> None:
    """A row of a desk that the routing no longer knows still shows its ticket somewhere."""
    rule.writer.ledger.claim(entry(state=State.CREATED, account="gone", ticket_id=7), now=NOW, tickets_an_hour=5)
    told = rule.look_up(REFERENCE)
    assert told is not None
    assert told.ticket_url == "https://betsur.freshdesk.com/a/tickets/7"
