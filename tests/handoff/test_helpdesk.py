"""One help desk inside a deadline: its limit, its pages, its boxes."""

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
    """A desk with many tickets: one a second up to now, the newest first, a hundred on a page."""

    def __init__(self, count: int, *, at: int = -1) -> None:
        self.count = count
        self.at = at  # which of them, from the oldest, bears the reference
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
    """Return a desk behind a transport."""
    return HelpDesk("https://betsur.freshdesk.com", FreshdeskClient(transport), clock)


def turn_on(clock: VirtualClock, seconds: float = 12.0) -> Deadline:
    """Return a turn of so many seconds."""
    return Deadline(clock, seconds)


# Time


def test_a_turn_knows_what_is_left() -> None:
    """Of a deadline, and of that how much Freshdesk took, also when it failed."""
    clock = VirtualClock()
    deadline = turn_on(clock, 10.0)
    clock.sleep(1.0)
    fake = FakeFreshdesk(clock, UNKNOWN, taking_s=2.0)
    with pytest.raises(OutcomeUnknown), deadline.at_freshdesk():
        fake(Request("GET", "/"), 1.0)
    assert (deadline.spent_s, deadline.left_s, deadline.freshdesk_s) == (3.0, 7.0, 2.0)


def test_a_turn_pauses_only_if_enough_is_left() -> None:
    """To the last moment, and not past it."""
    clock = VirtualClock()
    deadline = turn_on(clock, 10.0)
    assert not deadline.pause(6.1, keep=4.0)
    assert clock.slept == []
    assert deadline.pause(6.0, keep=4.0)
    assert deadline.left_s == 4.0


class Suspended(VirtualClock):
    """A machine that is suspended in each pause: its monotonic clock stands still, the wall clock goes on."""

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
def test_a_deadline_is_real_time(suspended_s: float, left_s: float) -> None:
    """A suspend counts, and a wall clock that is set back gives nothing."""
    clock = Suspended(suspended_s)
    deadline = turn_on(clock, 10.0)
    clock.sleep(1.0)
    assert (deadline.left_s, deadline.spent_s) == (left_s, 10.0 - left_s)


def test_nothing_is_posted_after_a_suspend() -> None:
    """Another may have posted meanwhile."""
    clock = Suspended(60.0)
    fake = FakeFreshdesk(clock)
    assert desk_of(fake, clock).create({}, turn_on(clock)) == Unavailable(Cause.UNAVAILABLE, "no-time")
    assert fake.posts == 0


def test_the_systems_clock_is_the_machines() -> None:
    """Now is now, time goes on, and a negative wait is none."""
    clock = SystemClock()
    assert clock.now() == pytest.approx(time.time(), abs=5.0)
    began_at = clock.monotonic()
    clock.sleep(-1.0)
    clock.sleep(0.01)
    assert 0.01 <= clock.monotonic() - began_at < 5.0


# The rate limit


def test_a_closed_desk_is_not_called() -> None:
    """A 429 closes the desk for every caller, until Freshdesk said."""
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
    """Up to the moment where a POST and its look would no longer fit."""
    clock = VirtualClock()
    fake = FakeFreshdesk(clock, busy(wait))
    attempt = desk_of(fake, clock).create({"email": "a@example.com"}, turn_on(clock))
    assert isinstance(attempt, Unavailable) == (wait > 8.5)
    assert fake.timeouts[-1] == pytest.approx(1.0 if wait == 8.5 else 9.5)


def test_head_room_is_known_for_a_minute() -> None:
    """Unknown, told long ago, or more than a fifth: there is room."""
    clock = VirtualClock()
    fake = FakeFreshdesk(clock)
    freshdesk = desk_of(fake, clock)
    assert desk_of(fake, clock).has_headroom
    fake.headers = {"x-ratelimit-total": "50.0", "x-ratelimit-remaining": "10.0"}
    freshdesk.look(REFERENCE, turn_on(clock), email="a@example.com", since=NOW, everywhere=False)
    assert not freshdesk.has_headroom
    rooms = []
    for seconds in (60.0, 0.01):
        clock.time += seconds
        rooms.append(freshdesk.has_headroom)
    assert rooms == [False, True]


def test_a_call_that_tells_no_limit_does_not_renew_it() -> None:
    """What was told minutes ago holds nobody back, however often one has called since."""
    clock = VirtualClock()
    fake = FakeFreshdesk(clock)
    fake.headers = {"x-ratelimit-total": "50.0", "x-ratelimit-remaining": "10.0"}
    freshdesk = desk_of(fake, clock)
    for _ in range(3):
        freshdesk.add_note(7, "x", turn_on(clock))
        fake.headers = {}
        clock.time += 40.0
    assert freshdesk.has_headroom


# Looking


def test_a_look_reads_on_to_the_ticket() -> None:
    """Page after page, and no further than it must."""
    clock, shelf = VirtualClock(), Shelf(450, at=120)
    found = desk_of(shelf, clock).look(REFERENCE, turn_on(clock), email="", since=NOW - 1000, everywhere=True)
    assert (found, shelf.pages) == (121, [1, 2, 3, 4])


def test_a_look_asks_only_for_what_was_touched_since() -> None:
    """Before the handoff's own time there is nothing to find."""
    clock, shelf = VirtualClock(), Shelf(2_000, at=10)
    freshdesk = desk_of(shelf, clock)
    assert freshdesk.look(REFERENCE, turn_on(clock), email="", since=NOW - 100.0, everywhere=False) is None
    assert len(shelf.pages) == 12  # a thousand tickets: a quarter of an hour more


def test_a_look_that_goes_too_far_is_no_answer() -> None:
    """More than a hundred pages prove nothing."""
    clock, shelf = VirtualClock(), Shelf(9_200, at=0)
    with pytest.raises(TooManyPages):
        desk_of(shelf, clock).look(REFERENCE, turn_on(clock), email="", since=NOW - 1e5, everywhere=False)
    assert len(shelf.pages) == 100


def test_a_snapshot_has_its_bound() -> None:
    """With twenty pages everything is listed; with more, nothing."""
    clock = VirtualClock()
    whole = desk_of(Shelf(1_780), clock).snapshot(turn_on(clock), since=NOW - 1e5)
    assert whole is not None
    assert len(whole) == 1_780
    assert desk_of(Shelf(1_800), clock).snapshot(turn_on(clock), since=NOW - 1e5) is None


@pytest.mark.parametrize("fate", [UNKNOWN, FreshdeskUnreachable("refused"), busy(1.0)])
def test_a_page_that_fails_is_asked_for_again(fate: Any) -> None:
    """Reading is safe to repeat, once."""
    clock = VirtualClock()
    fake = FakeFreshdesk(clock, fate)
    fake.has(subject=f"[{REFERENCE}]", email="a@example.com")
    freshdesk = desk_of(fake, clock)
    assert freshdesk.look(REFERENCE, turn_on(clock), email="a@example.com", since=NOW, everywhere=False) == 1
    assert len(fake.calls) == 2


@pytest.mark.parametrize(
    ("fates", "error"),
    [
        ([UNKNOWN, UNKNOWN], OutcomeUnknown),
        ([busy(60.0)], FreshdeskBusy),
        ([answer(401), answer(401)], FreshdeskRefused),
    ],
)
def test_a_look_that_fails_says_so(fates: list[Any], error: type[Exception]) -> None:
    """Without a whole look nothing is known."""
    clock = VirtualClock()
    freshdesk = desk_of(FakeFreshdesk(clock, *fates), clock)
    with pytest.raises(error):
        freshdesk.look(REFERENCE, turn_on(clock), email="a@example.com", since=NOW, everywhere=True)


def test_without_time_there_is_no_look() -> None:
    """A look that has no time left asks nothing."""
    clock = VirtualClock()
    fake = FakeFreshdesk(clock)
    with pytest.raises(OutcomeUnknown, match="no time"):
        desk_of(fake, clock).look(REFERENCE, turn_on(clock, 0.5), email="", since=NOW, everywhere=False)
    assert fake.calls == []


def test_nobody_has_no_open_ticket() -> None:
    """Without an address nothing is asked."""
    clock = VirtualClock()
    fake = FakeFreshdesk(clock)
    assert desk_of(fake, clock).open_ticket_of("", turn_on(clock), since=NOW) is None
    assert fake.calls == []


def test_a_desk_knows_where_an_agent_sees_a_ticket() -> None:
    """The address that stands in the answer."""
    clock = VirtualClock()
    assert desk_of(FakeFreshdesk(clock), clock).ticket_url(7) == "https://betsur.freshdesk.com/a/tickets/7"
