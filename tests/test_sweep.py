"""One pass: whom it takes, what stops it, and what it tells."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clock import SystemClock
from delivery import Delivery
from freshdesk_client import FreshdeskUnreachable, OutcomeUnknown
from ledger import Entry, LedgerUnavailable, State
from ledger.sqlite import SQLiteLedger
from local_freshdesk import LocalFreshdesk
from sweep import desks_fault, sweep
from tests.factories import EMAIL, handoff
from tests.ledger_factories import (
    NOW,
    FakeFreshdesk,
    FaultyLedger,
    VirtualClock,
    answer,
    busy,
    delivery,
    entry,
)
from transport import RequestsTransport

UNKNOWN = OutcomeUnknown("time-out")
REFUSED = FreshdeskUnreachable("refused")
WAIT_S = 600.0


@pytest.fixture
def clock() -> VirtualClock:
    """Return a clock that nobody waits for."""
    return VirtualClock()


@pytest.fixture
def fake(clock: VirtualClock) -> FakeFreshdesk:
    """Return a Freshdesk on that clock."""
    return FakeFreshdesk(clock)


@pytest.fixture
def rule(clock: VirtualClock, fake: FakeFreshdesk) -> Delivery:
    """Return a delivery on that clock to that Freshdesk."""
    return delivery(clock=clock, transport=fake)


@pytest.fixture
def local() -> Iterator[LocalFreshdesk]:
    """Return a stand-in of Freshdesk that answers over HTTP."""
    with LocalFreshdesk() as desk:
        yield desk


def keep(rule: Delivery, number: int, **overrides: Any) -> Entry:
    """Put a row into the ledger that is due now; each number is another handoff."""
    made = handoff(key=f"{number:08d}" + "A" * 44)
    given = {"entry": made.key, "reference": made.reference, "handoff": made.to_json(), "person": "", "due_at": NOW}
    row = entry(**{"state": State.NOT_CREATED, **given, **overrides})
    rule.ledger.claim(row, now=NOW, tickets_an_hour=9)
    return row


def doubtful(rule: Delivery, number: int) -> Entry:
    """Put a row in doubt there, its wait over."""
    return keep(rule, number, state=State.IN_DOUBT, doubt_since=NOW - WAIT_S)


def states(rule: Delivery) -> list[State]:
    """Return how the rows stand, in the order of their numbers."""
    return [row.state for row in sorted(rule.ledger.each(), key=lambda row: row.entry)]


# Over HTTP


def test_what_an_outage_left_behind_becomes_tickets(local: LocalFreshdesk, tmp_path: Path) -> None:
    """Queued while nobody listened, and lost on the way: one ticket each, once the desk is there again."""
    ledger = SQLiteLedger(tmp_path / "ledger.db")
    transport = RequestsTransport(local.url, "local-freshdesk-key")
    rule = delivery(clock=SystemClock(), transport=transport, ledger=ledger, deadline_s=4.0, in_doubt_wait_s=0.1)
    now = rule.clock.now()
    stamps = {"created_at": now, "due_at": now, "give_up_at": now + 1e5, "expires_at": now + 1e6}
    local.weather("answer-lost", times=1, only="create")
    for number in range(3):
        keep(rule, number, **stamps)
    keep(rule, 3, **stamps, state=State.IN_DOUBT, doubt_since=now - WAIT_S)
    report = sweep(rule, budget_s=30.0)
    assert len(local.tickets()) == 4
    assert states(rule) == [State.CREATED] * 4
    assert report.as_dict()["created"] == 4


def test_two_passes_at_once_make_one_ticket_each(local: LocalFreshdesk, tmp_path: Path) -> None:
    """Any number of sweeps may run: each row is taken by one of them."""
    path, transport = tmp_path / "ledger.db", RequestsTransport(local.url, "local-freshdesk-key")
    rules = [delivery(clock=SystemClock(), transport=transport, ledger=SQLiteLedger(path)) for _ in range(3)]
    now = rules[0].clock.now()
    for number in range(10):
        keep(rules[0], number, created_at=now, due_at=now, give_up_at=now + 1e5, expires_at=now + 1e6)
    threads = [threading.Thread(target=sweep, args=(rule,), kwargs={"budget_s": 30.0}) for rule in rules]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(local.tickets()) == 10
    assert states(rules[0]) == [State.CREATED] * 10


# Whom it takes


def test_a_pass_takes_every_batch(fake: FakeFreshdesk, rule: Delivery) -> None:
    """More rows than one batch holds are all taken in one pass, each once."""
    for number in range(105):
        keep(rule, number)
    assert sweep(rule, budget_s=600.0).as_dict()["created"] == 105
    assert fake.posts == 105


def test_a_row_that_breaks_the_code_holds_up_nobody(
    fake: FakeFreshdesk, rule: Delivery, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said as an error, without a word of it; the rest goes on."""
    keep(rule, 0, handoff="not JSON zoraida", due_at=NOW - 1)
    keep(rule, 1)
    sweep(rule, budget_s=120.0)
    assert states(rule)[1] is State.CREATED
    assert len(fake.tickets) == 1
    (record,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert (record.getMessage(), vars(record)["error"]) == ("row failed", "JSONDecodeError")
    assert "zoraida" not in caplog.text


def test_a_row_that_breaks_the_code_is_given_up_at_last(rule: Delivery, clock: VirtualClock) -> None:
    """It does not come back for ever."""
    keep(rule, 0, handoff="not JSON")
    clock.time = NOW + 72 * 3600.0
    for _ in range(3):
        sweep(rule, budget_s=120.0)
        clock.time += 900.0
    assert states(rule) == [State.FAILED]


def test_rows_that_only_waited_for_their_desk_come_forward(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock
) -> None:
    """Once something succeeds, what backed off because the desk was down need not wait its time."""
    keep(rule, 0, error="unreachable")
    keep(rule, 1, error="unreachable", due_at=NOW + 899.0)
    keep(rule, 2, error="status 500", state=State.IN_DOUBT, doubt_since=NOW - WAIT_S, due_at=NOW + 899.0)
    sweep(rule, budget_s=120.0)
    assert states(rule) == [State.CREATED] * 3
    assert (fake.posts, clock.time) == (3, NOW)


@pytest.mark.parametrize(
    "given",
    [
        {"error": "refused: 400 group_id: invalid_value"},
        {"error": "waiting", "state": State.IN_DOUBT, "doubt_since": NOW - WAIT_S},
        {"error": "status 500", "state": State.IN_DOUBT, "doubt_since": NOW - WAIT_S + 0.01},
        {"error": "crowded", "crowded": True},
        {"error": "unreachable", "crowded": True},
        {"error": "invalid-handoff", "state": State.REJECTED},
        {"error": "", "state": State.CREATING},
        {"error": "unreachable", "due_at": NOW + 901.0},
    ],
)
def test_rows_that_wait_for_themselves_do_not(rule: Delivery, given: dict[str, Any]) -> None:
    """What has a reason of its own to wait waits, and is not touched."""
    keep(rule, 0)
    row = keep(rule, 1, **{"due_at": NOW + 100.0, **given})
    sweep(rule, budget_s=120.0)
    assert states(rule)[0] is State.CREATED
    assert next(one for one in rule.ledger.each() if one.entry == row.entry) == row


def test_nothing_comes_forward_while_nothing_succeeds(fake: FakeFreshdesk, rule: Delivery) -> None:
    """A desk that does not answer is asked for what is due, and no more."""
    fake.always = REFUSED
    keep(rule, 0)
    keep(rule, 1, error="unreachable", due_at=NOW + 100.0)
    sweep(rule, budget_s=120.0)
    assert states(rule) == [State.NOT_CREATED] * 2
    assert [row.attempts for row in sorted(rule.ledger.each(), key=lambda row: row.entry)] == [1, 0]


def test_a_note_does_not_come_forward(rule: Delivery) -> None:
    """Notes keep to their times."""
    keep(rule, 0)
    note = keep(rule, 0, entry=f"{0:08d}{'A' * 44}#B", error="note: status 500", due_at=NOW + 100.0)
    sweep(rule, budget_s=120.0)
    assert next(row for row in rule.ledger.each() if row.is_note) == note


# One list for many


def test_one_list_serves_many_in_doubt(fake: FakeFreshdesk, rule: Delivery) -> None:
    """From three rows in doubt on, everybody's tickets are listed once: a page and the two boxes."""
    rows = [doubtful(rule, number) for number in range(3)]
    for row in rows[:-1]:
        fake.has(subject=f"x [{row.reference}]", email=EMAIL)
    sweep(rule, budget_s=120.0)
    assert [call.method for call in fake.calls].count("GET") == 3
    assert (fake.posts, states(rule)) == (1, [State.CREATED] * len(rows))


def test_a_few_in_doubt_are_looked_for_one_by_one(fake: FakeFreshdesk, rule: Delivery) -> None:
    """For one or two rows, their own addresses cost less."""
    for number in range(2):
        fake.has(subject=f"x [{doubtful(rule, number).reference}]", email=EMAIL)
    keep(rule, 2)
    sweep(rule, budget_s=120.0)
    assert all("email=" in call.path for call in fake.calls if call.method == "GET")
    assert fake.posts == 1


def test_a_list_too_long_is_left_for_the_addresses(fake: FakeFreshdesk, rule: Delivery) -> None:
    """Where there are too many tickets to list, each row is looked for by its address."""
    rows = [doubtful(rule, number) for number in range(3)]
    for row in rows:
        fake.has(subject=f"x [{row.reference}]", email=EMAIL)
    fake.headers["link"] = '<…>; rel="next"'
    sweep(rule, budget_s=120.0)
    assert (fake.posts, states(rule)) == (0, [State.CREATED] * len(rows))


def test_a_list_that_fails_is_left_for_the_addresses(fake: FakeFreshdesk, rule: Delivery) -> None:
    """Where the list was not to be had, the addresses are tried before anything is posted."""
    rows = [doubtful(rule, number) for number in range(3)]
    for row in rows:
        fake.has(subject=f"x [{row.reference}]", email=EMAIL)
    fake.fates.extend([UNKNOWN, UNKNOWN])
    sweep(rule, budget_s=120.0)
    assert (fake.posts, states(rule)) == (0, [State.CREATED] * len(rows))


# What stops it


def test_a_pass_ends_with_its_budget(fake: FakeFreshdesk, rule: Delivery) -> None:
    """No row is begun that could not be finished."""
    fake.taking_s = 5.0
    for number in range(5):
        keep(rule, number)
    report = sweep(rule, budget_s=20.0)
    assert (report.stopped, fake.posts) == ("budget", 2)
    assert report.waiting == 3


def test_a_pass_leaves_room_for_live_requests(fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock) -> None:
    """A fifth of the rate limit is not the sweep's; a minute later nobody knows, and it may ask again."""
    fake.headers = {"x-ratelimit-total": "50.0", "x-ratelimit-remaining": "10.0"}
    for number in range(3):
        keep(rule, number)
    assert (sweep(rule, budget_s=120.0).stopped, fake.posts) == ("rate-limit", 1)
    clock.time += 60.0
    assert (sweep(rule, budget_s=120.0).stopped, fake.posts) == ("rate-limit", 1)
    clock.time += 0.01
    sweep(rule, budget_s=120.0)
    assert fake.posts == 2


def test_with_room_enough_a_pass_goes_on(fake: FakeFreshdesk, rule: Delivery) -> None:
    """Just above the fifth, it goes on."""
    fake.headers = {"x-ratelimit-total": "50.0", "x-ratelimit-remaining": "10.5"}
    for number in range(3):
        keep(rule, number)
    assert (sweep(rule, budget_s=120.0).stopped, fake.posts) == ("", 3)


def test_a_pass_waits_for_a_limit_that_opens_in_time(fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock) -> None:
    """A 429 is waited out if the budget allows; its row comes again when Freshdesk said."""
    fake.fates.append(busy(20.0))
    keep(rule, 0)
    keep(rule, 1)
    report = sweep(rule, budget_s=120.0)
    assert clock.time == NOW + 20.0
    assert (report.stopped, states(rule)) == ("", [State.NOT_CREATED, State.CREATED])
    sweep(rule, budget_s=120.0)
    assert states(rule) == [State.CREATED] * 2


def test_a_pass_does_not_wait_for_a_limit_that_opens_too_late(fake: FakeFreshdesk, rule: Delivery) -> None:
    """A long one ends the pass for this desk."""
    fake.fates.append(busy(900.0))
    keep(rule, 0)
    keep(rule, 1)
    report = sweep(rule, budget_s=120.0)
    assert (report.stopped, fake.posts) == ("rate-limit", 1)
    assert [row.due_at for row in rule.ledger.each()] == [NOW + 900.0, NOW]


@pytest.mark.parametrize("fate", [REFUSED, answer(401), answer(404), UNKNOWN])
def test_a_desk_that_is_down_is_not_asked_for_ever(fake: FakeFreshdesk, rule: Delivery, fate: Any) -> None:
    """After three rows in a row that failed for the desk's sake, the others wait for the next pass."""
    fake.always = fate
    for number in range(6):
        keep(rule, number)
    report = sweep(rule, budget_s=600.0)
    assert report.stopped == "desk-down"
    assert sorted(row.attempts for row in rule.ledger.each()) == [0, 0, 0, 1, 1, 1]


def test_rows_that_fail_of_themselves_do_not_stop_the_pass(fake: FakeFreshdesk, rule: Delivery) -> None:
    """Refusals of a row's own are no sign that the desk is down."""
    fake.always = answer(400)
    for number in range(5):
        keep(rule, number)
    assert sweep(rule, budget_s=600.0).stopped == ""
    assert {row.attempts for row in rule.ledger.each()} == {1}


def test_failures_between_successes_do_not_stop_the_pass(fake: FakeFreshdesk, rule: Delivery) -> None:
    """Three in a row, not three in all."""
    for number in range(8):
        keep(rule, number)
        fake.fates.append(answer(401) if number % 2 else None)
    assert sweep(rule, budget_s=600.0).stopped == ""


def test_notes_to_tickets_that_are_gone_do_not_stop_the_pass(fake: FakeFreshdesk, rule: Delivery) -> None:
    """A deleted ticket refuses its notes; that is no fault of the desk's."""
    for number in range(4):
        row = keep(rule, number, state=State.CREATED, ticket_id=number + 1, due_at=None)
        keep(rule, number, entry=f"{row.entry}#B", due_at=NOW - 1)
    keep(rule, 9)
    fake.fates.extend([answer(404)] * 4)
    assert sweep(rule, budget_s=600.0).stopped == ""
    assert fake.posts == 1


@pytest.mark.parametrize(
    ("error", "state", "fault"),
    [
        ("unreachable", State.NOT_CREATED, True),
        ("busy", State.NOT_CREATED, True),
        ("refused: 401", State.NOT_CREATED, True),
        ("look: time-out", State.IN_DOUBT, True),
        ("note: status 500", State.NOT_CREATED, True),
        ("note: 401", State.NOT_CREATED, True),
        ("note: 404", State.NOT_CREATED, False),
        ("note: 405", State.NOT_CREATED, False),
        ("refused: fallback_requester: email", State.NOT_CREATED, False),
        ("note: 400 body: invalid_value", State.NOT_CREATED, False),
        ("refused: 400 email: invalid_value", State.NOT_CREATED, False),
        ("waiting", State.IN_DOUBT, False),
        ("unreachable", State.CREATED, False),
        ("unreachable", State.FAILED, False),
        ("refused: email", State.REJECTED, False),
    ],
)
def test_whose_fault_it_is(error: str, state: State, fault: bool) -> None:  # noqa: FBT001 -- a column of the table
    """What waits because of its desk is told from what waits because of itself."""
    assert desks_fault(entry(error=error, state=state)) is fault


def test_a_ledger_that_does_not_answer_ends_the_pass(fake: FakeFreshdesk, clock: VirtualClock) -> None:
    """The caller hears so, and runs the pass again later."""
    ledger = FaultyLedger(SQLiteLedger(":memory:"))
    ledger.always = "before"
    with pytest.raises(LedgerUnavailable):
        sweep(delivery(clock=clock, transport=fake, ledger=ledger), budget_s=120.0)


def test_a_ledger_that_fails_half_way_ends_the_pass(fake: FakeFreshdesk, clock: VirtualClock) -> None:
    """An outage in the middle is not taken for a broken row; what was taken is looked into when its lease is over."""
    ledger = FaultyLedger(SQLiteLedger(":memory:"), only="replace")
    rule = delivery(clock=clock, transport=fake, ledger=ledger)
    keep(rule, 0)
    ledger.always = "after"
    with pytest.raises(LedgerUnavailable):
        sweep(rule, budget_s=120.0)
    ledger.always = ""
    (row,) = rule.ledger.each()
    assert (row.state, row.due_at) == (State.CREATING, NOW + 60.0)
    for _ in range(2):
        clock.time += WAIT_S + 60.0
        sweep(rule, budget_s=120.0)
    assert (len(fake.tickets), states(rule)) == (1, [State.CREATED])


# What it tells


def test_a_pass_tells_what_it_did(rule: Delivery, fake: FakeFreshdesk, caplog: pytest.LogCaptureFixture) -> None:
    """Counts by state, what waits, and for how long the oldest has; the same in one line of the log."""
    caplog.set_level(logging.INFO, "handoff")
    fake.fates.append(None)
    keep(rule, 0)
    keep(rule, 1, created_at=NOW - 50.26, due_at=NOW + 5000.0)
    report = sweep(rule, budget_s=120.0).as_dict()
    assert report == {
        **{str(state): 0 for state in State},
        "created": 1,
        "taken_by_others": 0,
        "stopped": "",
        "waiting": 1,
        "oldest_waiting_s": 50.3,
    }
    (line,) = [record for record in caplog.records if record.getMessage() == "swept"]
    assert vars(line)["waiting"] == 1


def test_rows_taken_by_others_are_counted(clock: VirtualClock, fake: FakeFreshdesk) -> None:
    """What another sweep was quicker with is told apart."""

    class Overtaken(FaultyLedger):
        def replace(self, old: Entry, new: Entry) -> bool:
            return not (old or new)

    rule = delivery(clock=clock, transport=fake, ledger=Overtaken(SQLiteLedger(":memory:")))
    keep(rule, 0)
    assert sweep(rule, budget_s=120.0).taken_by_others == 1


def test_a_pass_tidies_up(rule: Delivery) -> None:
    """Rows past their life go."""
    keep(rule, 0, expires_at=NOW - 1, due_at=None, state=State.CREATED)
    sweep(rule, budget_s=120.0)
    assert list(rule.ledger.each()) == []


def test_a_pass_ends_between_two_rows_when_told_to(rule: Delivery, fake: FakeFreshdesk) -> None:
    """What was not reached stays due; nothing under way is cut off."""
    for number in range(3):
        told = handoff(key=f"{number}" * 52)
        due = entry(
            reference=told.reference, entry=told.key, handoff=told.to_json(), state=State.NOT_CREATED, due_at=NOW
        )
        rule.ledger.claim(due, now=NOW, tickets_an_hour=5)
    report = sweep(rule, budget_s=45.0, told_to_stop=lambda: len(fake.tickets) == 2)
    assert (report.stopped, len(fake.tickets), report.waiting) == ("told to stop", 2, 1)
