"""How a desk is looked through: which pages are read, and where a look ends."""

from __future__ import annotations

import contextlib
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from freshdesk_client import Answer, FreshdeskUnreachable, OutcomeUnknown, Request
from handoff.ledger import Cause
from handoff.transitions import Refused, Unavailable
from tests.handoff.test_helpdesk import REFERENCE, SKEW_S, Shelf, desk_of, turn_on
from tests.ledger_factories import NOW, FakeFreshdesk, VirtualClock, answer, refusal

EMAIL = "a@example.com"
MORE = {"link": '<…>; rel="next"'}


def pages_read(shelf: Shelf, **look: Any) -> list[int]:
    """Return which pages a look asks for."""
    clock = VirtualClock()
    given = {"email": "", "since": NOW - 1e5, "everywhere": False, **look}
    assert desk_of(shelf, clock).look(REFERENCE, turn_on(clock), **given) is None
    return shelf.pages


@pytest.mark.parametrize(("since_there", "pages"), [(NOW - 100, [1, 2]), (NOW - 99.5, [1]), (NOW - 150, [1, 2])])
def test_a_look_ends_with_the_first_page_that_reaches_before(since_there: float, pages: list[int]) -> None:
    """The last row of page one is of NOW - 100; another ticket of the same second may be on page two."""
    assert pages_read(Shelf(1000), since=since_there + SKEW_S) == pages


def test_a_date_that_cannot_be_read_ends_no_look() -> None:
    """It says nothing of what follows."""
    clock = VirtualClock()
    fake = FakeFreshdesk(clock)
    fake.fates.append(answer(200, [{"id": 7, "subject": "x", "created_at": "yesterday"}], MORE))
    fake.has(subject=f"x [{REFERENCE}]")
    assert desk_of(fake, clock).look(REFERENCE, turn_on(clock), email="", since=NOW, everywhere=False) == 1


def test_the_boxes_are_read_from_their_first_page() -> None:
    """The plain list, spam, deleted; an address has its own first page."""
    assert pages_read(Shelf(0), everywhere=True) == [1, 1, 1]
    assert pages_read(Shelf(150), everywhere=True, email=EMAIL) == [1, 2, 1, 1]


class Box:
    """A desk whose spam never ends; nothing else is there."""

    def __init__(self) -> None:
        self.pages: list[int] = []

    def __call__(self, request: Request, _timeout_s: float) -> Answer:
        """Answer with a page."""
        asked = parse_qs(urlsplit(request.path).query)
        if asked.get("filter") != ["spam"]:
            return answer(200, [])
        self.pages.append(int(asked["page"][0]))
        return answer(200, [{"id": 1, "subject": "x", "created_at": "yesterday"}], MORE)


def test_a_box_without_end_is_no_answer() -> None:
    """Forty pages of it, as of the plain list."""
    clock, box = VirtualClock(), Box()
    with pytest.raises(OutcomeUnknown, match="too many"):
        desk_of(box, clock).look(REFERENCE, turn_on(clock), email="", since=NOW, everywhere=True)
    assert len(box.pages) == 40


def test_a_snapshot_goes_back_as_far_as_a_look() -> None:
    """Clocks may differ by five minutes; spam and deleted tickets are in it."""
    clock, shelf = VirtualClock(), Shelf(1000)
    rows = desk_of(shelf, clock).snapshot(turn_on(clock), since=NOW - 150.0 + SKEW_S)
    assert len(rows or ()) == 198
    assert shelf.pages == [1, 2, 1, 1]


class Shrinking(Shelf):
    """A desk where the five newest tickets are deleted when a page was read."""

    def __call__(self, request: Request, timeout_s: float) -> Answer:
        """Answer with a page, then delete."""
        answered = super().__call__(request, timeout_s)
        self.count -= 5 if len(self.pages) == 1 else 0
        return answered

    def made_at(self, number: int) -> float:
        """Return when a ticket was made, which stays so."""
        return NOW - 1000 + number


def test_a_deletion_during_a_look_hides_no_ticket() -> None:
    """It moves the first tickets of page two onto page one, which was read."""
    clock = VirtualClock()
    freshdesk = desk_of(Shrinking(450, at=349), clock)
    assert freshdesk.look(REFERENCE, turn_on(clock), email="", since=NOW - 1e5, everywhere=True) == 350
    snapshot = desk_of(Shrinking(450, at=349), clock).snapshot(turn_on(clock), since=NOW - 1e5)
    assert [row.ticket_id for row in snapshot or () if row.subject.endswith(f"[{REFERENCE}]")] == [350]


# Straight into the past


@pytest.mark.parametrize(
    ("moment", "probed", "read"),
    [
        (NOW, [], 1),  # the present is on the first page
        (NOW - 0.5, [1], 1),
        (NOW - 700.0, [1, 2, 4, 8, 6, 7], 6),  # the last row of page seven is of that second: it is not past it
        (NOW - 700.5, [1, 2, 4, 8, 6, 7], 7),
        (NOW - 699.5, [1, 2, 4, 8, 6, 7], 6),
        (NOW - 25_000.5, [1, 2, 4, 8, 16, 32, 64, 128, 256, 192, 224, 240, 248, 252, 250, 251], 250),
        (NOW - 28_000.5, [1, 2, 4, 8, 16, 32, 64, 128, 256, 278, 289, 283, 280, 281], 280),
        (NOW - 35_000.5, [1, 2, 4, 8, 16, 32, 64, 128, 256, 278, 289, 294, 297, 298, 299], 299),
    ],
)
def test_a_look_goes_to_the_last_page_that_is_too_new(moment: float, probed: list[int], read: int) -> None:
    """By doubling and halving, never past the last page that Freshdesk gives, which is the 300th."""
    clock, shelf = VirtualClock(), Shelf(40_000)
    span = {"since": moment - 1.0 + SKEW_S, "until": moment - SKEW_S}
    with contextlib.suppress(OutcomeUnknown):  # what is older than the last page is too far
        desk_of(shelf, clock).look(REFERENCE, turn_on(clock), email="", everywhere=False, **span)
    assert shelf.pages[: len(probed) + 1] == [*probed, read]


def test_a_look_up_to_now_is_at_the_first_page_at_once() -> None:
    """No page is asked for to find that out."""
    assert pages_read(Shelf(1000), since=NOW - 1.0 + SKEW_S, until=NOW - SKEW_S) == [1]


# Time


@pytest.mark.parametrize(("seconds", "given"), [(12.0, 11.5), (1.2, 0.7)])
def test_a_look_and_a_note_leave_time_for_the_ledger(seconds: float, given: float) -> None:
    """Half a second of the deadline, and no more."""
    clock = VirtualClock()
    fake = FakeFreshdesk(clock)
    freshdesk = desk_of(fake, clock)
    freshdesk.look(REFERENCE, turn_on(clock, seconds), email=EMAIL, since=NOW, everywhere=False)
    freshdesk.add_note(7, "x", turn_on(clock, seconds))
    assert fake.timeouts == [pytest.approx(given)] * 2


def test_a_page_is_asked_for_again_after_half_a_second() -> None:
    """A ticket shows in the list a moment after it was written."""
    clock = VirtualClock()
    fake = FakeFreshdesk(clock, OutcomeUnknown("time-out"))
    desk_of(fake, clock).look(REFERENCE, turn_on(clock), email=EMAIL, since=NOW, everywhere=False)
    assert clock.slept == [0.5]


@pytest.mark.parametrize(("seconds", "posts"), [(4.0, 2), (3.9, 1)])
def test_a_refused_connection_is_tried_again_after_half_a_second(seconds: float, posts: int) -> None:
    """As long as a POST and a look still fit."""
    clock = VirtualClock()
    fake = FakeFreshdesk(clock)
    fake.always = FreshdeskUnreachable("refused")
    attempt = desk_of(fake, clock).create({"email": EMAIL}, turn_on(clock, seconds))
    assert attempt == Unavailable(Cause.UNAVAILABLE, "unreachable")
    assert (fake.posts, sum(clock.slept)) == (posts, 0.5 * (posts - 1))


def test_without_time_nothing_is_posted() -> None:
    """Nobody is told to come again at a certain time, and no person has to act."""
    clock = VirtualClock()
    fake = FakeFreshdesk(clock)
    assert desk_of(fake, clock).create({}, turn_on(clock, 3.4)) == Unavailable(Cause.UNAVAILABLE, "no-time")
    assert fake.calls == []


# Refusals, and open tickets


def test_a_refusal_says_whom_it_concerns() -> None:
    """Everybody (a wrong key), the content, or an address that the ticket has."""
    clock = VirtualClock()
    fake = FakeFreshdesk(clock, answer(401), refusal("phone"), refusal("email"), answer(409))
    freshdesk = desk_of(fake, clock)
    results = [freshdesk.create({"email": EMAIL}, turn_on(clock)) for _ in range(4)]
    assert results == [
        Refused("401", of_content=False),
        Refused("400 phone: invalid_value", frozenset({"phone"})),
        Refused("400 email: invalid_value", frozenset({"email"}), "email"),
        Refused("409"),
    ]


@pytest.mark.parametrize(("status", "is_open"), [(2, True), (3, True), (4, False), (5, False), (6, True)])
def test_what_is_neither_resolved_nor_closed_is_open(status: int, is_open: bool) -> None:  # noqa: FBT001 -- a column of the table
    """https://developers.freshdesk.com/api/#ticket-status; spam is not looked at."""
    clock = VirtualClock()
    fake = FakeFreshdesk(clock)
    fake.has(email=EMAIL, status=status)
    found = desk_of(fake, clock).open_ticket_of(EMAIL, turn_on(clock), since=NOW)
    assert (found, len(fake.calls)) == (1 if is_open else None, 1)
