"""One help desk account within a deadline: its rate limit, and its lists of tickets."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from freshdesk_client import (
    Answer,
    FreshdeskBusy,
    FreshdeskClient,
    FreshdeskRefused,
    FreshdeskUnreachable,
    OutcomeUnknown,
    Request,
    Requester,
)
from handoff.deadline import Deadline, SystemClock
from handoff.helpdesk import HelpDesk
from handoff.ledger import Cause
from handoff.pagination import TooManyPages
from handoff.transitions import Unavailable
from tests.ledger_factories import NOW, FakeFreshdesk, VirtualClock, answer, busy

UNKNOWN = OutcomeUnknown("time-out")
REFERENCE = "BF-7K3QX2AB"
SKEW_S = 900.0


class Shelf:
    """An account with many tickets: one a second up to now, the newest first, a hundred on a page."""

    def __init__(self, count: int, *, at: int = -1) -> None:
        self.count = count
        self.at = at  # the number of the ticket with the reference, counted from the oldest
        self.pages: list[int] = []

    def __call__(self, request: Request, _timeout_s: float) -> Answer:
        """Answer with a page."""
        asked = parse_qs(urlsplit(request.path).query)
        page, size = int(asked["page"][0]), int(asked["per_page"][0])
        self.pages.append(page)
        if "filter" in asked:
            return answer(200, [])
        since = datetime.fromisoformat(asked["updated_since"][0]).timestamp()
        known = [number for number in range(self.count - 1, -1, -1) if self.made_at(number) >= since]
        rows = [self._row(number) for number in known[(page - 1) * size : page * size]]
        return answer(200, rows, {"link": '<…>; rel="next"'} if len(known) > page * size else {})

    def made_at(self, number: int) -> float:
        """Return when a ticket was made."""
        return NOW - self.count + number

    def _row(self, number: int) -> dict[str, Any]:
        subject = f"x [{REFERENCE}]" if number == self.at else "x"
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.made_at(number)))
        return {"id": number + 1, "subject": subject, "status": 2, "created_at": moment}


def desk_of(transport: Any, clock: VirtualClock) -> HelpDesk:
    """Return a help desk account behind a transport."""
    return HelpDesk("https://betsur.freshdesk.com", FreshdeskClient(transport), clock)


def turn_on(clock: VirtualClock, seconds: float = 12.0) -> Deadline:
    """Return a deadline of so many seconds."""
    return Deadline(clock, seconds)


# Time


def test_a_deadline_knows_the_time_left() -> None:
    """It also adds up the time that Freshdesk took, including failed calls."""
    clock = VirtualClock()
    deadline = turn_on(clock, 10.0)
    clock.sleep(1.0)
    fake = FakeFreshdesk(clock, UNKNOWN, taking_s=2.0)
    with pytest.raises(OutcomeUnknown), deadline.at_freshdesk():
        fake(Request("GET", "/"), 1.0)
    assert (deadline.spent_s, deadline.left_s, deadline.freshdesk_s) == (3.0, 7.0, 2.0)


def test_a_deadline_pauses_only_if_enough_time_is_left() -> None:
    """Up to the last moment, and not past it."""
    clock = VirtualClock()
    deadline = turn_on(clock, 10.0)
    assert not deadline.pause(6.1, keep=4.0)
    assert clock.slept == []
    assert deadline.pause(6.0, keep=4.0)
    assert deadline.left_s == 4.0


class Suspended(VirtualClock):
    """A machine that is suspended in each pause: the monotonic clock stops, the wall clock goes on."""

    def __init__(self, suspended_s: float) -> None:
        super().__init__()
        self.suspended_s = suspended_s
        self.stood_still_s = 0.0

    def monotonic(self) -> float:
        """Return seconds without those of a suspend."""
        return self.time - self.stood_still_s

    def sleep(self, seconds: float) -> None:
        """Wait, and be suspended."""
        super().sleep(seconds)
        self.time += self.suspended_s
        self.stood_still_s += self.suspended_s


@pytest.mark.parametrize(("suspended_s", "left_s"), [(0.0, 9.0), (5.0, 4.0), (3_600.0, -3_591.0), (-3_600.0, 9.0)])
def test_a_deadline_counts_the_time_of_a_suspend(suspended_s: float, left_s: float) -> None:
    """A wall clock that is set back does not extend it."""
    clock = Suspended(suspended_s)
    deadline = turn_on(clock, 10.0)
    clock.sleep(1.0)
    assert (deadline.left_s, deadline.spent_s) == (left_s, 10.0 - left_s)


def test_nothing_is_posted_after_a_suspend() -> None:
    """Another process may have posted meanwhile."""
    clock = Suspended(60.0)
    fake = FakeFreshdesk(clock)
    assert desk_of(fake, clock).create({}, turn_on(clock)) == Unavailable(Cause.UNAVAILABLE, "no-time")
    assert fake.posts == 0


def test_the_system_clock_is_the_one_of_the_machine() -> None:
    """It shows the current time, moves on, and ignores a negative wait."""
    clock = SystemClock()
    assert clock.now() == pytest.approx(time.time(), abs=5.0)
    began_at = clock.monotonic()
    clock.sleep(-1.0)
    clock.sleep(0.01)
    assert 0.01 <= clock.monotonic() - began_at < 5.0


# The rate limit


def test_an_account_over_its_rate_limit_is_not_called() -> None:
    """A 429 stops the calls of all callers for the time that Freshdesk said."""
    clock = VirtualClock()
    fake = FakeFreshdesk(clock, busy(100.0))
    freshdesk = desk_of(fake, clock)
    for _ in range(2):
        assert freshdesk.create({}, turn_on(clock)) == Unavailable(Cause.RATE_LIMIT, "busy", 100.0)
    assert fake.posts == 1
    clock.time += 90.0
    assert freshdesk.closed_for_s == 10.0
    clock.time += 20.0
    assert freshdesk.closed_for_s == 0.0


@pytest.mark.parametrize("wait", [8.5, 8.6])
def test_a_limit_is_waited_out_if_the_deadline_allows(wait: float) -> None:
    """Until a POST and its search would no longer fit."""
    clock = VirtualClock()
    fake = FakeFreshdesk(clock, busy(wait))
    attempt = desk_of(fake, clock).create({"email": "a@example.com"}, turn_on(clock))
    assert isinstance(attempt, Unavailable) == (wait > 8.5)
    assert fake.timeouts[-1] == pytest.approx(1.0 if wait == 8.5 else 9.5)


def test_the_rate_limit_is_known_for_a_minute() -> None:
    """There is room if the limit is unknown or old, or if more than a fifth is left."""
    clock = VirtualClock()
    fake = FakeFreshdesk(clock)
    freshdesk = desk_of(fake, clock)
    assert desk_of(fake, clock).has_headroom
    fake.headers = {"x-ratelimit-total": "50.0", "x-ratelimit-remaining": "10.0"}
    freshdesk.look(REFERENCE, turn_on(clock), requester=Requester("a@example.com"), since=NOW, everywhere=False)
    assert not freshdesk.has_headroom
    headroom = []
    for seconds in (60.0, 0.01):
        clock.time += seconds
        headroom.append(freshdesk.has_headroom)
    assert headroom == [False, True]


def test_a_call_without_limit_headers_does_not_renew_the_limit() -> None:
    """A limit from minutes ago holds no call back, however many calls came since."""
    clock = VirtualClock()
    fake = FakeFreshdesk(clock)
    fake.headers = {"x-ratelimit-total": "50.0", "x-ratelimit-remaining": "10.0"}
    freshdesk = desk_of(fake, clock)
    for _ in range(3):
        freshdesk.add_note(7, "x", turn_on(clock))
        fake.headers = {}
        clock.time += 40.0
    assert freshdesk.has_headroom


# Searches


def test_a_search_reads_pages_until_the_ticket() -> None:
    """It reads no page after the one with the ticket."""
    clock, shelf = VirtualClock(), Shelf(450, at=120)
    found = desk_of(shelf, clock).look(
        REFERENCE, turn_on(clock), requester=Requester(), since=NOW - 1000, everywhere=True
    )
    assert (found, shelf.pages) == (121, [1, 2, 3, 4])


def test_a_search_asks_only_for_recent_changes() -> None:
    """No ticket can be older than the handoff."""
    clock, shelf = VirtualClock(), Shelf(2_000, at=10)
    freshdesk = desk_of(shelf, clock)
    assert freshdesk.look(REFERENCE, turn_on(clock), requester=Requester(), since=NOW - 100.0, everywhere=False) is None
    assert len(shelf.pages) == 12  # a thousand tickets, and a quarter of an hour more


def test_a_search_over_too_many_pages_fails() -> None:
    """After more than a hundred pages the result is unknown."""
    clock, shelf = VirtualClock(), Shelf(9_200, at=0)
    with pytest.raises(TooManyPages):
        desk_of(shelf, clock).look(REFERENCE, turn_on(clock), requester=Requester(), since=NOW - 1e5, everywhere=False)
    assert len(shelf.pages) == 100


def test_a_snapshot_has_a_limit() -> None:
    """Up to a hundred pages everything is listed; with more, nothing."""
    clock = VirtualClock()
    whole = desk_of(Shelf(8_000), clock).snapshot(turn_on(clock), since=NOW - 1e5)
    assert whole is not None
    assert len(whole) == 8_000
    assert desk_of(Shelf(10_000), clock).snapshot(turn_on(clock), since=NOW - 1e5) is None


@pytest.mark.parametrize("fate", [UNKNOWN, FreshdeskUnreachable("refused"), busy(1.0)])
def test_a_page_that_fails_is_read_again(fate: Any) -> None:
    """It is safe to repeat a read, once."""
    clock = VirtualClock()
    fake = FakeFreshdesk(clock, fate)
    fake.has(subject=f"[{REFERENCE}]", email="a@example.com")
    freshdesk = desk_of(fake, clock)
    assert (
        freshdesk.look(REFERENCE, turn_on(clock), requester=Requester("a@example.com"), since=NOW, everywhere=False)
        == 1
    )
    assert len(fake.calls) == 2


@pytest.mark.parametrize(
    ("fates", "error"),
    [
        ([UNKNOWN, UNKNOWN], OutcomeUnknown),
        ([busy(60.0)], FreshdeskBusy),
        ([answer(401), answer(401)], FreshdeskRefused),
    ],
)
def test_a_search_that_fails_raises(fates: list[Any], error: type[Exception]) -> None:
    """An incomplete search shows nothing."""
    clock = VirtualClock()
    freshdesk = desk_of(FakeFreshdesk(clock, *fates), clock)
    with pytest.raises(error):
        freshdesk.look(REFERENCE, turn_on(clock), requester=Requester("a@example.com"), since=NOW, everywhere=True)


def test_without_time_there_is_no_search() -> None:
    """A search without time makes no call."""
    clock = VirtualClock()
    fake = FakeFreshdesk(clock)
    with pytest.raises(OutcomeUnknown, match="no time"):
        desk_of(fake, clock).look(REFERENCE, turn_on(clock, 0.5), requester=Requester(), since=NOW, everywhere=False)
    assert fake.calls == []


def test_without_an_address_there_is_no_open_ticket() -> None:
    """No call is made."""
    clock = VirtualClock()
    fake = FakeFreshdesk(clock)
    assert desk_of(fake, clock).open_ticket_of(Requester(), turn_on(clock), since=NOW) is None
    assert fake.calls == []


def test_an_account_knows_the_agents_url_of_a_ticket() -> None:
    """The URL that stands in the answer."""
    clock = VirtualClock()
    assert desk_of(FakeFreshdesk(clock), clock).ticket_url(7) == "https://betsur.freshdesk.com/a/tickets/7"


def test_whether_a_ticket_is_open_is_unknown_if_freshdesk_refuses_to_say() -> None:
    """Only a 404 means that it is gone."""
    clock = VirtualClock()
    freshdesk = desk_of(FakeFreshdesk(clock, answer(403), answer(404)), clock)
    with pytest.raises(FreshdeskRefused):
        freshdesk.is_open(7, turn_on(clock))
    assert not freshdesk.is_open(7, turn_on(clock))


def test_a_refused_list_by_address_ends_a_search_that_is_not_everywhere() -> None:
    """No other list would show the ticket."""
    clock = VirtualClock()
    fake = FakeFreshdesk(clock, answer(403))
    asked = {"requester": Requester("a@example.com"), "since": NOW, "everywhere": False}
    with pytest.raises(FreshdeskRefused):
        desk_of(fake, clock).look(REFERENCE, turn_on(clock), **asked)  # type: ignore[arg-type]  # each as it is named
    assert len(fake.calls) == 1
