"""Recovery of rows that two callers take at once, and controls: what breaks without a protection."""

from __future__ import annotations

from typing import Any

import pytest

from freshdesk_client import Requester
from handoff.deadline import Deadline
from handoff.delivery import Delivery
from handoff.ledger import Entry, State
from handoff.recovery import Found, LookByAddress, Recovery
from tests.closing import sqlite_ledger
from tests.factories import EMAIL, REFERENCE, handoff
from tests.handoff.delivery.keeping import (
    UNKNOWN,
    WAIT_S,
    keep,
    pass_over,
)
from tests.ledger_factories import (
    NOW,
    FakeFreshdesk,
    FaultyLedger,
    VirtualClock,
    delivery,
    entry,
    with_parts,
)

# Taken by another


@pytest.mark.parametrize(
    "given",
    [
        {"state": State.NOT_CREATED},
        {"state": State.IN_DOUBT, "doubt_since": NOW - WAIT_S},
        {"state": State.CREATING},
        {"state": State.REJECTED, "refused": True, "conversation": ""},
        {"state": State.NOT_CREATED, "over_limit": True},
    ],
)
def test_one_of_two_that_take_a_row_gets_it(fake: FakeFreshdesk, rule: Delivery, given: dict[str, Any]) -> None:
    """A caller that read the row before another took it does nothing with it."""
    row = keep(rule, **given)
    recovery = Recovery(rule.writer)
    assert recovery.advance(row, LookByAddress(rule.writer)) is not None
    posts = fake.posts
    assert recovery.advance(row, LookByAddress(rule.writer)) is None
    assert fake.posts == posts <= 1


def test_one_of_two_that_take_a_note_gets_it(fake: FakeFreshdesk, rule: Delivery) -> None:
    """The same for notes."""
    rule.deliver(handoff())
    fake.fates.append(UNKNOWN)
    rule.deliver(handoff(reason="algo nuevo"))
    note = next(one for one in rule.writer.ledger.each() if one.is_note)
    recovery = Recovery(rule.writer)
    assert recovery.advance(note, LookByAddress(rule.writer)) is not None
    assert recovery.advance(note, LookByAddress(rule.writer)) is None
    assert len(fake.notes) == 1


class Overtaken(FaultyLedger):
    """A ledger in which another caller always writes just before the n-th replacement."""

    def __init__(self, nth: int) -> None:
        super().__init__(sqlite_ledger())
        self.nth = nth

    def replace(self, old: Entry, new: Entry) -> bool:
        """See `Ledger`."""
        self.nth -= 1
        return self.nth != 0 and self.ledger.replace(old, new)


@pytest.mark.parametrize(
    ("nth", "given"),
    [
        (2, {"state": State.IN_DOUBT, "doubt_since": NOW - WAIT_S}),
        (2, {"state": State.NOT_CREATED, "over_limit": True}),
    ],
)
def test_a_caller_that_loses_its_row_posts_nothing(
    fake: FakeFreshdesk, clock: VirtualClock, nth: int, given: dict[str, Any]
) -> None:
    """Between the search and the POST the row is taken once more; if that fails, nothing is posted."""
    rule = delivery(clock=clock, transport=fake, ledger=Overtaken(nth))
    row = keep(rule, **given)
    assert Recovery(rule.writer).advance(row, LookByAddress(rule.writer)) is None
    assert fake.posts == 0


# Controls: the guard taken out, the promise broken


def test_control_without_the_wait_a_late_write_makes_two_tickets(fake: FakeFreshdesk, clock: VirtualClock) -> None:
    """Without the wait, a ticket written just after the search is followed by a second one."""
    rule = delivery(clock=clock, transport=fake, in_doubt_wait_s=0.0)
    keep(rule, state=State.IN_DOUBT, doubt_since=NOW)
    pass_over(rule)
    fake.has(subject=f"x [{REFERENCE}]", email=EMAIL)  # the late write
    assert len(fake.tickets) == 2


def test_control_without_the_search_two_tickets_are_made(fake: FakeFreshdesk, rule: Delivery) -> None:
    """A search that finds nothing, though it began late enough, leads to a second ticket."""
    fake.has(subject=f"x [{REFERENCE}]", email=EMAIL)
    row = keep(rule, state=State.IN_DOUBT, doubt_since=NOW - WAIT_S)
    Recovery(rule.writer).advance(row, lambda _entry, _turn: Found(None, rule.writer.clock.now()))
    assert len(fake.tickets) == 2


def test_control_without_taking_the_row_two_tickets_are_made(fake: FakeFreshdesk, clock: VirtualClock) -> None:
    """A ledger that accepts every replacement makes one ticket for each sweep."""

    class LetsThrough(FaultyLedger):
        def replace(self, old: Entry, new: Entry) -> bool:
            return bool(old) and bool(new)

    rule = delivery(clock=clock, transport=fake, ledger=LetsThrough(sqlite_ledger()))
    row = keep(rule, state=State.NOT_CREATED)
    for _ in range(2):
        Recovery(rule.writer).advance(row, LookByAddress(rule.writer))
    assert len(fake.tickets) == 2


def test_control_without_the_spam_box_two_tickets_are_made(fake: FakeFreshdesk, rule: Delivery) -> None:
    """A search that leaves out the spam box leads to a second ticket."""
    fake.has(subject=f"x [{REFERENCE}]", email=EMAIL, box="spam")
    row = keep(rule, state=State.IN_DOUBT, doubt_since=NOW - WAIT_S)

    def plain_look(entry: Entry, deadline: Deadline) -> Found:
        freshdesk, now = rule.writer.helpdesk(entry), rule.writer.clock.now()
        return Found(
            freshdesk.look(entry.reference, deadline, requester=Requester(EMAIL), since=NOW, everywhere=False), now
        )

    Recovery(rule.writer).advance(row, plain_look)
    assert len(fake.tickets) == 2


def test_the_search_before_a_second_post_covers_all_tickets(fake: FakeFreshdesk, rule: Delivery) -> None:
    """It starts at the time of the claim, and covers more than the requester's address."""
    asked: dict[str, Any] = {}

    class Recording(type(rule.writer.helpdesks[""])):  # type: ignore[misc]  # the class of the help desk that the factory made
        def look(self, reference: str, _turn: Any, **how: Any) -> None:
            asked.update(how, reference=reference)

    freshdesk = rule.writer.helpdesks[""]
    recording = Recording(freshdesk.url, freshdesk.client, freshdesk.clock)
    row = entry(state=State.IN_DOUBT, doubt_since=NOW + 7, handoff=handoff().to_json())
    LookByAddress(with_parts(rule, helpdesks={"": recording}).writer)(row, rule.writer.deadline())
    assert (asked["since"], asked["everywhere"]) == (NOW, True)
    assert fake.calls == []
