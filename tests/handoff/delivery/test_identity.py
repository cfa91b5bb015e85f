"""Which requests count as the same handoff, by key and by words; and what happens after an outage of the ledger."""

from __future__ import annotations

from typing import Any

import pytest

from freshdesk_client import OutcomeUnknown
from handoff import transitions
from handoff.delivery import AmbiguousReference, Delivery
from handoff.inbound import Handoff
from handoff.ledger import Claim, Entry, State
from handoff.responses import Status
from tests.closing import sqlite_ledger
from tests.factories import PHONE, handoff
from tests.handoff.delivery.keeping import LOST, pass_over
from tests.ledger_factories import FakeFreshdesk, FaultyLedger, VirtualClock, delivery, refusal

KEY_OF_ALL = "U" * 52  # the key that three bots get from `Idempotency-Key: undefined`


def other(number: int, **changes: Any) -> Handoff:
    """Return the handoff of another message with the same words, person and conversation."""
    return handoff(**{"key": f"{number}" * 52, "conversation_id": "c", **changes})


@pytest.mark.parametrize(
    "theirs",
    [
        {"conversation_id": "another"},
        {"user_id": "another"},
        {"bot": "institucional"},
        {"conversation_id": "", "user_id": "", "user_email": "bruno@example.com"},
    ],
)
def test_two_people_with_one_key_get_two_tickets(
    fake: FakeFreshdesk, rule: Delivery, caplog: pytest.LogCaptureFixture, theirs: dict[str, str]
) -> None:
    """Nobody joins a stranger's ticket or gets its number, neither at once nor when the request is repeated."""
    ids = {"conversation_id": "c", "user_id": "u"} if theirs.get("conversation_id") != "" else {}
    mine = handoff(key=KEY_OF_ALL, **ids)
    second = handoff(key=KEY_OF_ALL, **{**ids, **theirs})
    outcomes = [rule.deliver(one) for one in (mine, second, second, mine)]
    assert [one.ticket_id for one in outcomes] == [1, 2, 2, 1]
    assert (len(fake.tickets), fake.notes) == (2, [])
    assert "key of another handoff" in [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize(
    "corrected",
    [
        {"user_email": "correcto@example.com", "conversation_id": "c"},
        {"user_email": "", "user_phone": PHONE, "conversation_id": "c"},
        {"conversation_id": ""},
        {"user_id": "u"},
    ],
)
def test_a_corrected_or_missing_field_is_the_same_handoff(
    fake: FakeFreshdesk, rule: Delivery, corrected: dict[str, str]
) -> None:
    """An empty field makes no difference, and the address decides only if there is nothing else to compare."""
    rule.deliver(handoff(key=KEY_OF_ALL, conversation_id="c"))
    assert rule.deliver(handoff(key=KEY_OF_ALL, **corrected)).ticket_id == 1
    assert len(fake.tickets) == 1


@pytest.mark.parametrize("wait_s", [0.0, 899.0])
def test_the_same_words_in_another_message_are_one_ticket(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock, wait_s: float
) -> None:
    """The second request gets the first one's number and reference, also when it is repeated an hour later."""
    first = rule.deliver(other(1))
    clock.time += wait_s
    second = rule.deliver(other(2))
    clock.time += 3600.0
    again = rule.deliver(other(2))
    assert {(one.ticket_id, one.reference) for one in (first, second, again)} == {(1, first.reference)}
    assert (len(fake.tickets), second.status) == (1, Status.DUPLICATE)


@pytest.mark.parametrize(
    ("wait_s", "changes"),
    [
        (901.0, {}),
        (0.0, {"reason": "otra cosa"}),
        (0.0, {"conversation_summary": "otra cosa"}),
        (0.0, {"conversation_id": "d"}),
        (0.0, {"user_email": "bruno@example.com"}),
        (0.0, {"bot": "institucional"}),
    ],
)
def test_other_words_or_the_same_words_later_are_two_tickets(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock, wait_s: float, changes: dict[str, str]
) -> None:
    """Two messages with different words are two handoffs; so are the same words much later or from somebody else."""
    rule.deliver(other(1))
    clock.time += wait_s
    rule.deliver(other(2, **changes))
    assert len(fake.tickets) == 2


def test_new_content_in_the_second_request_joins_the_ticket(fake: FakeFreshdesk, rule: Delivery) -> None:
    """The same words with another transcript become a private note in the first ticket."""
    rule.deliver(other(1))
    outcome = rule.deliver(other(2, conversation_transcript="algo más"))
    assert (outcome.new_words, len(fake.tickets), [number for number, _ in fake.notes]) == (True, 1, [1])


@pytest.mark.parametrize("later_s", [1.0, 899.0])
def test_a_refused_request_without_ids_is_settled_by_the_valid_one(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock, later_s: float
) -> None:
    """The keys differ, as they are hashes of the bodies, but the words are the same: one ticket, also after repeats."""
    rule.keep_refused(handoff(key="R" * 52, user_email=""))
    rule.keep_refused(handoff(key="S" * 52, user_email="", user_name="x"))
    clock.time += later_s
    first = rule.deliver(handoff(key="G" * 52))
    again = rule.deliver(handoff(key="G" * 52))
    clock.time += 1000.0
    pass_over(rule)
    assert (first.status, again.status, len(fake.tickets)) == (Status.CREATED, Status.DUPLICATE, 1)


def test_a_stranger_does_not_settle_a_refused_request(fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock) -> None:
    """The same text from another known person: two people, two tickets."""
    rule.keep_refused(handoff(key="R" * 52, user_email="", user_phone=PHONE))
    rule.deliver(handoff(key="G" * 52))
    clock.time += 1000.0
    pass_over(rule)
    assert len(fake.tickets) == 2


@pytest.mark.parametrize(
    ("refused", "good", "tickets"),
    [
        ({"user_email": ""}, {}, 1),
        ({"user_email": "", "reason": "x"}, {}, 1),
        ({"user_email": "", "reason": "x", "user_name": "Otra"}, {}, 2),
        ({}, {"user_email": "bruno@example.com"}, 2),
        ({}, {"reason": "x"}, 1),
    ],
)
def test_which_request_settles_a_refused_one_of_its_conversation(
    fake: FakeFreshdesk,
    rule: Delivery,
    clock: VirtualClock,
    refused: dict[str, str],
    good: dict[str, str],
    tickets: int,
) -> None:
    """For a known person only their own; if the address was refused, one with the same words or the same name."""
    rule.keep_refused(other(1, **refused))
    clock.time += 60.0
    rule.deliver(other(2, **good))
    clock.time += 900.0
    pass_over(rule)
    assert len(fake.tickets) == tickets


def test_a_repeat_after_an_outage_of_the_ledger_finds_its_ticket(fake: FakeFreshdesk, clock: VirtualClock) -> None:
    """The process remembers the ticket that it made without the ledger."""
    ledger = FaultyLedger(sqlite_ledger())
    rule = delivery(clock=clock, transport=fake, ledger=ledger)
    ledger.always = "before"
    assert rule.deliver(handoff()).status is Status.CREATED
    ledger.always = ""
    outcome = rule.deliver(handoff())
    assert (outcome.status, outcome.ticket_id, len(fake.tickets)) == (Status.DUPLICATE, 1, 1)


def test_after_an_outage_a_new_claim_searches_before_it_posts(fake: FakeFreshdesk, clock: VirtualClock) -> None:
    """Another process may have made the ticket while it could not write to this ledger."""
    ledger = FaultyLedger(sqlite_ledger())
    elsewhere = delivery(clock=clock, transport=fake, ledger=FaultyLedger(sqlite_ledger(), *["before"] * 99))
    assert elsewhere.deliver(handoff()).status is Status.CREATED
    rule = delivery(clock=clock, transport=fake, ledger=ledger)
    ledger.always = "before"
    rule.deliver(handoff(key="B" * 52, conversation_summary="otra"))
    ledger.always = ""
    outcome = rule.deliver(handoff())
    assert (outcome.status, outcome.ticket_id, len(fake.tickets)) == (Status.DUPLICATE, 1, 2)


def test_a_search_that_finds_nothing_after_an_outage_is_followed_by_the_ticket(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock
) -> None:
    """Nobody made it meanwhile."""
    rule.writer.ledger.remember(next(iter(_row(rule))), now=clock.now())
    assert rule.deliver(handoff()).status is Status.CREATED
    assert [call.method for call in fake.calls] == ["GET", "POST"]


def test_a_search_that_fails_after_an_outage_leaves_the_handoff_to_the_sweep(
    fake: FakeFreshdesk, clock: VirtualClock
) -> None:
    """The row is in doubt, so nothing is posted before a search."""
    ledger = FaultyLedger(sqlite_ledger())
    rule = delivery(clock=clock, transport=fake, ledger=ledger)
    ledger.ledger.remember(next(iter(_row(rule))), now=clock.now())
    fake.fates.extend([LOST] * 2)
    assert rule.deliver(handoff()).status is Status.QUEUED
    assert [row.state for row in ledger.each()] == [State.IN_DOUBT]
    assert fake.posts == 0


def _row(rule: Delivery) -> list[Any]:
    return [rule._new_row(handoff(key="Z" * 52))]  # noqa: SLF001 -- a row without a ticket leaves only the mark of the outage


def test_an_address_that_freshdesk_refused_can_be_corrected_under_another_key(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock
) -> None:
    """The address was refused, so a request with the same words in the same conversation settles it."""
    fake.fates.append(refusal("email"))
    assert rule.deliver(other(1, user_email="mal@example.com")).status is Status.REJECTED
    rule.deliver(other(2, user_email="bien@example.com"))
    clock.time += 1000.0
    pass_over(rule)
    assert len(fake.tickets) == 1


# Two keys with one reference

SHARED = ("B" * 8 + "C" * 44, "B" * 8 + "D" * 44)


def test_two_keys_with_one_reference_get_one_ticket_each(fake: FakeFreshdesk, rule: Delivery) -> None:
    """A lost answer of the second is not mistaken for the first ticket; the shared reference alone shows no number."""
    rule.deliver(handoff(key=SHARED[0]))
    fake.fates.append(OutcomeUnknown("not written"))
    second = rule.deliver(handoff(key=SHARED[1], reason="otra cosa"))
    assert second.status is Status.QUEUED
    fake.clock.time += 700.0
    pass_over(rule)
    pass_over(rule)
    assert sorted(row.ticket_id or 0 for row in rule.writer.ledger.each()) == [1, 2]
    with pytest.raises(AmbiguousReference):
        rule.look_up("BF-BBBBBBBB")


def test_two_keys_with_one_reference_get_their_own_ticket_from_a_snapshot(fake: FakeFreshdesk, rule: Delivery) -> None:
    """One list of tickets for many rows in doubt gives each row its own ticket."""
    rule.deliver(handoff(key=SHARED[0]))
    fake.always = OutcomeUnknown("not written")
    for number, key in enumerate((SHARED[1], "E" * 52, "F" * 52)):
        rule.deliver(handoff(key=key, reason=f"{number}"))
    fake.always = None
    fake.clock.time += 700.0
    for _ in range(2):
        pass_over(rule)
    assert sorted(row.ticket_id or 0 for row in rule.writer.ledger.each()) == [1, 2, 3, 4]


# A process that was suspended


def test_nothing_is_posted_once_the_lease_is_over(clock: VirtualClock, fake: FakeFreshdesk) -> None:
    """A laptop may sleep between the claim and the POST, and a sweep may post meanwhile."""

    class Suspending(FaultyLedger):
        def claim(self, entry: Entry, *, now: float, tickets_an_hour: int) -> Claim:
            claim = super().claim(entry, now=now, tickets_an_hour=tickets_an_hour)
            clock.time += 61.0
            return claim

    rule = delivery(clock=clock, transport=fake, ledger=Suspending(sqlite_ledger()), deadline_s=500.0)
    assert rule.deliver(handoff()).status is Status.QUEUED
    assert fake.posts == 0


# What `ops.py forget` has blanked


def blank(rule: Delivery, **changes: Any) -> Entry:
    """Deliver a handoff whose answer is lost, and blank its words."""
    rule.deliver(handoff(conversation_id="c"))
    [row] = rule.writer.ledger.each()
    blanked = transitions.changed(row, handoff="", person="", identity="", mailbox="", conversation="", **changes)
    assert rule.writer.ledger.replace(row, blanked)
    return blanked


@pytest.mark.parametrize("written", [False, True])
def test_a_blanked_row_in_doubt_finds_its_ticket_or_ends(fake: FakeFreshdesk, rule: Delivery, *, written: bool) -> None:
    """It is searched by its reference alone; without words nothing is posted."""
    fake.always = LOST if written else OutcomeUnknown("not written")
    blank(rule)
    fake.always = None
    posts = fake.posts
    for _ in range(3):
        fake.clock.time += 700.0
        pass_over(rule)
    [row] = rule.writer.ledger.each()
    assert (row.state, fake.posts) == (State.CREATED if written else State.FAILED, posts)


@pytest.mark.parametrize("address", [{}, {"user_email": "correcto@example.com"}])
def test_a_repeat_of_a_blanked_row_restores_its_words(
    fake: FakeFreshdesk, rule: Delivery, address: dict[str, str]
) -> None:
    """It is the same handoff, also with a corrected address, and becomes one ticket."""
    fake.always = OutcomeUnknown("not written")
    blank(rule)
    fake.always = None
    assert rule.deliver(handoff(conversation_id="c", **address)).status is Status.QUEUED
    for _ in range(3):
        fake.clock.time += 700.0
        pass_over(rule)
    assert len(fake.tickets) == 1
