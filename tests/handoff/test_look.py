"""Searching an account: which pages are read, and when a search ends."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from freshdesk_client import Answer, FreshdeskUnreachable, OutcomeUnknown, Request, Requester
from handoff.helpdesk import PAGE_TIMEOUT_S, is_ticket_of
from handoff.ledger import Cause
from handoff.transitions import Refused, Unavailable
from operate.reading import each_ticket
from tests.handoff.test_helpdesk import REFERENCE, SKEW_S, Shelf, desk_of, turn_on
from tests.ledger_factories import NOW, FakeFreshdesk, VirtualClock, answer, refusal

EMAIL = "a@example.com"
MORE = {"link": '<…>; rel="next"'}


def pages_read(shelf: Shelf, **look: Any) -> list[int]:
    """Return which pages a search reads."""
    clock = VirtualClock()
    given = {"requester": Requester(), "since": NOW - 1e5, "everywhere": False, **look}
    assert desk_of(shelf, clock).look(REFERENCE, turn_on(clock), **given) is None
    return shelf.pages


def test_a_date_that_cannot_be_read_does_not_end_a_search() -> None:
    """It does not show what follows."""
    clock = VirtualClock()
    fake = FakeFreshdesk(clock)
    fake.fates.append(answer(200, [{"id": 7, "subject": "x", "created_at": "yesterday"}], MORE))
    fake.has(subject=f"x [{REFERENCE}]")
    assert desk_of(fake, clock).look(REFERENCE, turn_on(clock), requester=Requester(), since=NOW, everywhere=False) == 1


def test_each_list_is_read_from_its_first_page() -> None:
    """The list by address, all tickets, spam, deleted tickets."""
    assert pages_read(Shelf(0), everywhere=True) == [1, 1, 1]
    assert pages_read(Shelf(150), everywhere=True, requester=Requester(EMAIL)) == [1, 2, 1, 2, 1, 1]
    assert pages_read(Shelf(150), everywhere=False, requester=Requester(EMAIL)) == [1, 2]


class Box:
    """An account whose list of spam never ends, with no other tickets."""

    def __init__(self) -> None:
        self.pages: list[int] = []

    def __call__(self, request: Request, _timeout_s: float) -> Answer:
        """Answer with a page."""
        asked = parse_qs(urlsplit(request.path).query)
        if asked.get("filter") != ["spam"]:
            return answer(200, [])
        self.pages.append(int(asked["page"][0]))
        return answer(200, [{"id": 1, "subject": "x", "created_at": "yesterday"}], MORE)


def test_a_list_without_end_fails() -> None:
    """After a hundred pages, for spam as for all tickets."""
    clock, box = VirtualClock(), Box()
    with pytest.raises(OutcomeUnknown, match="too many"):
        desk_of(box, clock).look(REFERENCE, turn_on(clock), requester=Requester(), since=NOW, everywhere=True)
    assert len(box.pages) == 100


def test_a_snapshot_goes_back_as_far_as_a_search() -> None:
    """Clocks may differ by a quarter of an hour; spam and deleted tickets are included."""
    clock, shelf = VirtualClock(), Shelf(1000)
    rows = desk_of(shelf, clock).snapshot(turn_on(clock), since=NOW - 150.0 + SKEW_S)
    assert len(rows or ()) == 150
    assert shelf.pages == [1, 2, 1, 1]


class Shrinking(Shelf):
    """An account in which the five newest tickets are deleted after the first page was read."""

    def __call__(self, request: Request, timeout_s: float) -> Answer:
        """Answer with a page, then delete."""
        answered = super().__call__(request, timeout_s)
        self.count -= 5 if len(self.pages) == 1 else 0
        return answered

    def made_at(self, number: int) -> float:
        """Return the constant time when a ticket was made."""
        return NOW - 1000 + number


def test_a_deletion_during_a_search_hides_no_ticket() -> None:
    """It moves the first tickets of page two to page one, which was already read."""
    clock = VirtualClock()
    freshdesk = desk_of(Shrinking(450, at=349), clock)
    assert freshdesk.look(REFERENCE, turn_on(clock), requester=Requester(), since=NOW - 1e5, everywhere=True) == 350
    snapshot = desk_of(Shrinking(450, at=349), clock).snapshot(turn_on(clock), since=NOW - 1e5)
    assert [row.ticket_id for row in snapshot or () if row.subject.endswith(f"[{REFERENCE}]")] == [350]


# The list by address is only a short cut


class ByAddress:
    """An account that shows nothing, or refuses, when it is asked by address."""

    def __init__(self, fake: FakeFreshdesk, by_address: Answer) -> None:
        self.fake = fake
        self.by_address = by_address

    def __call__(self, request: Request, timeout_s: float) -> Answer:
        """Answer, and by address only with the given answer."""
        asked = parse_qs(urlsplit(request.path).query)
        return self.by_address if "email" in asked else self.fake(request, timeout_s)


@pytest.mark.parametrize(
    "by_address",
    [answer(200, []), refusal("email"), refusal("filter"), answer(400), answer(403, {"code": "access_denied"})],
    ids=["nothing", "nobody has it", "refused filter", "refused", "forbidden"],
)
@pytest.mark.parametrize("box", ["", "spam", "deleted"])
def test_a_ticket_that_the_list_by_address_lacks_is_found(by_address: Answer, box: str) -> None:
    """The address may have been changed, merged or refused since: only the whole list can prove that there is none."""
    clock = VirtualClock()
    fake = FakeFreshdesk(clock)
    fake.has(subject=f"x [{REFERENCE}]", email="other@example.com", box=box)
    freshdesk = desk_of(ByAddress(fake, by_address), clock)
    assert freshdesk.look(REFERENCE, turn_on(clock), requester=Requester(EMAIL), since=NOW, everywhere=True) == 1


def test_a_ticket_in_the_list_by_address_takes_one_page() -> None:
    """That list is read first."""
    clock = VirtualClock()
    fake = FakeFreshdesk(clock)
    fake.has(subject=f"x [{REFERENCE}]", email=EMAIL)
    assert (
        desk_of(fake, clock).look(REFERENCE, turn_on(clock), requester=Requester(EMAIL), since=NOW, everywhere=True)
        == 1
    )
    assert len(fake.calls) == 1


def test_an_account_without_spam_or_deleted_lists_is_searched_as_far_as_possible() -> None:
    """If the plan refuses one filter, the other lists must be enough."""
    clock = VirtualClock()
    fake = FakeFreshdesk(clock, None, answer(403))
    fake.has(subject=f"x [{REFERENCE}]", box="deleted")
    assert desk_of(fake, clock).look(REFERENCE, turn_on(clock), requester=Requester(), since=NOW, everywhere=True) == 1


def test_an_account_without_descriptions_is_searched_by_subject() -> None:
    """A list that refuses to include descriptions is read without them."""
    clock = VirtualClock()
    fake = FakeFreshdesk(clock, refusal("include"))
    fake.has(subject=f"x [{REFERENCE}]")
    assert desk_of(fake, clock).look(REFERENCE, turn_on(clock), requester=Requester(), since=NOW, everywhere=True) == 1
    assert ["include" in call.path for call in fake.calls] == [True, False]


# Freshdesk's clock


class Elsewhere:
    """An account whose clock differs from ours by so many seconds; `dated` adds a `Date` to every answer."""

    def __init__(self, clock: VirtualClock, skew_s: float, *, dated: bool = True) -> None:
        self.clock = clock
        self.skew_s = skew_s
        self.dated = dated
        self.tickets: list[tuple[float, str]] = []
        self.asked_since: list[float] = []

    def __call__(self, request: Request, _timeout_s: float) -> Answer:
        """List the tickets made since."""
        asked = parse_qs(urlsplit(request.path).query)
        since = datetime.fromisoformat(asked["updated_since"][0]).timestamp()
        self.asked_since.append(since)
        rows = [
            {"id": number, "subject": subject, "created_at": datetime.fromtimestamp(made_at, UTC).isoformat()}
            for number, (made_at, subject) in enumerate(self.tickets, 1)
            if made_at >= since and "filter" not in asked
        ]
        return answer(200, rows, {"date": formatdate(self.clock.time + self.skew_s, usegmt=True)} if self.dated else {})

    def has(self, ago_s: float = 0.0) -> None:
        """Make a ticket now, or some time ago, by the account's clock."""
        self.tickets.append((self.clock.time + self.skew_s - ago_s, f"x [{REFERENCE}]"))


@pytest.mark.parametrize("skew_s", [0.0, 400.0, -400.0, 3_600.0, -3_600.0, 172_800.0, -172_800.0, -3e7])
@pytest.mark.parametrize("everywhere", [True, False])
def test_a_ticket_is_found_although_our_clock_is_wrong(skew_s: float, everywhere: bool) -> None:  # noqa: FBT001 -- a column of the table
    """Freshdesk's `Date` shows the difference."""
    clock = VirtualClock()
    elsewhere = Elsewhere(clock, skew_s)
    elsewhere.has()
    clock.time += 700.0
    freshdesk = desk_of(elsewhere, clock)
    assert freshdesk.look(REFERENCE, turn_on(clock), requester=Requester(EMAIL), since=NOW, everywhere=everywhere) == 1
    rows = freshdesk.snapshot(turn_on(clock), since=NOW) or []
    assert [is_ticket_of(row, REFERENCE, NOW) for row in rows] == [True]
    assert [row.ticket_id for _, row in each_ticket(freshdesk, NOW, lambda _: None)] == [1]


def test_an_older_ticket_stays_older_with_a_wrong_clock() -> None:
    """A ticket from an hour before belongs to another handoff, even if Freshdesk's clock is two days behind."""
    clock = VirtualClock()
    elsewhere = Elsewhere(clock, -172_800.0)
    elsewhere.has(ago_s=3_600.0)
    assert (
        desk_of(elsewhere, clock).look(REFERENCE, turn_on(clock), requester=Requester(), since=NOW, everywhere=True)
        is None
    )


@pytest.mark.parametrize(("skew_s", "found"), [(-800.0, 1), (-1_000.0, None)])
def test_without_a_date_clocks_may_differ_by_a_quarter_of_an_hour(skew_s: float, found: int | None) -> None:
    """The difference is not known."""
    clock = VirtualClock()
    elsewhere = Elsewhere(clock, skew_s, dated=False)
    elsewhere.has()
    assert (
        desk_of(elsewhere, clock).look(REFERENCE, turn_on(clock), requester=Requester(), since=NOW, everywhere=True)
        == found
    )


def test_a_clock_that_was_set_back_hides_no_ticket() -> None:
    """No search begins in the future."""
    clock = VirtualClock()
    elsewhere = Elsewhere(clock, 0.0)
    elsewhere.has()
    found = desk_of(elsewhere, clock).look(
        REFERENCE, turn_on(clock), requester=Requester(), since=NOW + 7_200.0, everywhere=True
    )
    assert found == 1


def test_a_correct_clock_takes_no_extra_page() -> None:
    """The same for a difference of a minute, because an answer takes seconds."""
    clock = VirtualClock()
    for skew_s, pages in ((-60.0, 3), (-61.0, 4)):
        elsewhere = Elsewhere(clock, skew_s)
        desk_of(elsewhere, clock).look(REFERENCE, turn_on(clock), requester=Requester(), since=NOW, everywhere=True)
        assert len(elsewhere.asked_since) == pages


def test_a_clock_that_runs_away_fails() -> None:
    """If an account is further behind with every answer, the search ends."""
    clock = VirtualClock()
    elsewhere = Elsewhere(clock, 0.0)

    def later(request: Request, timeout_s: float) -> Answer:
        elsewhere.skew_s -= 1_000.0
        return elsewhere(request, timeout_s)

    with pytest.raises(OutcomeUnknown, match="clock"):
        desk_of(later, clock).look(REFERENCE, turn_on(clock), requester=Requester(), since=NOW, everywhere=True)
    assert len(elsewhere.asked_since) == 8  # four times, and four more


# Time


@pytest.mark.parametrize(("seconds", "given"), [(12.0, 11.5), (1.2, 0.7)])
def test_a_search_and_a_note_leave_time_for_the_ledger(seconds: float, given: float) -> None:
    """Exactly half a second of the deadline; one page takes at most five seconds of the rest."""
    clock = VirtualClock()
    fake = FakeFreshdesk(clock)
    freshdesk = desk_of(fake, clock)
    freshdesk.look(REFERENCE, turn_on(clock, seconds), requester=Requester(EMAIL), since=NOW, everywhere=False)
    freshdesk.add_note(7, "x", turn_on(clock, seconds))
    assert fake.timeouts == [pytest.approx(min(given, PAGE_TIMEOUT_S)), pytest.approx(given)]


def test_a_page_is_read_again_after_half_a_second() -> None:
    """A ticket appears in the list a moment after it was written."""
    clock = VirtualClock()
    fake = FakeFreshdesk(clock, OutcomeUnknown("time-out"))
    desk_of(fake, clock).look(REFERENCE, turn_on(clock), requester=Requester(EMAIL), since=NOW, everywhere=False)
    assert clock.slept == [0.5]


@pytest.mark.parametrize(("seconds", "posts"), [(4.0, 2), (3.9, 1)])
def test_a_refused_connection_is_tried_again_after_half_a_second(seconds: float, posts: int) -> None:
    """As long as a POST and a search still fit."""
    clock = VirtualClock()
    fake = FakeFreshdesk(clock)
    fake.always = FreshdeskUnreachable("refused")
    attempt = desk_of(fake, clock).create({"email": EMAIL}, turn_on(clock, seconds))
    assert attempt == Unavailable(Cause.UNAVAILABLE, "unreachable refused")
    assert (fake.posts, sum(clock.slept)) == (posts, 0.5 * (posts - 1))


def test_without_time_nothing_is_posted() -> None:
    """The error has no time to retry at, and needs no action."""
    clock = VirtualClock()
    fake = FakeFreshdesk(clock)
    assert desk_of(fake, clock).create({}, turn_on(clock, 3.4)) == Unavailable(Cause.UNAVAILABLE, "no-time")
    assert fake.calls == []


# Refusals and open tickets


def test_a_refusal_has_a_scope() -> None:
    """All tickets (a wrong key), this content, or the ticket's address."""
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
def test_a_ticket_is_open_unless_resolved_or_closed(status: int, is_open: bool) -> None:  # noqa: FBT001 -- a column of the table
    """https://developers.freshdesk.com/api/#ticket-status; spam is not searched."""
    clock = VirtualClock()
    fake = FakeFreshdesk(clock)
    fake.has(email=EMAIL, status=status)
    found = desk_of(fake, clock).open_ticket_of(Requester(EMAIL), turn_on(clock), since=NOW)
    assert (found, len(fake.calls)) == (1 if is_open else None, 1)
