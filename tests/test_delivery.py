"""The rule, live: row for row what happens when Freshdesk, or the ledger, does this or that."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clock import SystemClock
from delivery import NEW_WORDS, WITHOUT_MEMORY_S, Delivery, NothingKept, Outcome, Status
from freshdesk_client import FreshdeskUnreachable, OutcomeUnknown
from handoff import Handoff
from ledger import Claim, Entry, LedgerUnavailable, State
from ledger.sqlite import SQLiteLedger
from local_freshdesk import LocalFreshdesk
from routing import Route
from tests.factories import CANARIES, EMAIL, PHONE, REFERENCE, handoff
from tests.ledger_factories import (
    NOW,
    ROUTING,
    FakeFreshdesk,
    FaultyLedger,
    Lost,
    VirtualClock,
    answer,
    busy,
    delivery,
    entry,
    refusal,
)
from ticket import REFUSED_REMARK
from transport import RequestsTransport
from turn import Turn

LOST = Lost(OutcomeUnknown("reset"))
UNKNOWN = OutcomeUnknown("time-out")
REFUSED = FreshdeskUnreachable("refused")


@pytest.fixture
def desk() -> Iterator[LocalFreshdesk]:
    """Return a stand-in of Freshdesk that answers over HTTP."""
    with LocalFreshdesk() as local:
        yield local


@pytest.fixture
def over_http(desk: LocalFreshdesk, tmp_path: Path) -> Delivery:
    """Return a delivery to the stand-in, with everything real and a short deadline."""
    transport = RequestsTransport(desk.url, "local-freshdesk-key")
    ledger = SQLiteLedger(tmp_path / "ledger.db")
    return delivery(clock=SystemClock(), transport=transport, ledger=ledger, url=desk.url, deadline_s=5.0)


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


def down() -> FaultyLedger:
    """Return a ledger that never answers."""
    ledger = FaultyLedger(SQLiteLedger(":memory:"))
    ledger.always = "before"
    return ledger


def row_of(rule: Delivery) -> Entry:
    """Return the row of the one handoff there is."""
    (row,) = [one for one in rule.ledger.each() if not one.is_note]
    return row


def notes_in(rule: Delivery) -> list[Entry]:
    """Return the notes' rows."""
    return [one for one in rule.ledger.each() if one.is_note]


# Against the stand-in, over HTTP: the rows of the table


def test_a_handoff_is_a_ticket_with_one_call(desk: LocalFreshdesk, over_http: Delivery) -> None:
    """The good path costs one call, and the ticket is what the route says."""
    outcome = over_http.deliver(handoff())
    (ticket,) = desk.tickets()
    assert desk.calls == [("POST", "/api/v2/tickets")]
    assert outcome == Outcome(
        status=Status.CREATED,
        reference=REFERENCE,
        ticket_id=ticket["id"],
        ticket_url=f"{desk.url}/a/tickets/{ticket['id']}",
        group="Retiros",
        priority="high",
    )
    assert (ticket["group_id"], ticket["priority"], ticket["status"]) == (1070000000102, 3, 2)
    assert (row_of(over_http).state, row_of(over_http).handoff) == (State.CREATED, "")


def test_a_refused_connection_is_queued(desk: LocalFreshdesk, over_http: Delivery) -> None:
    """Nobody listens: tried again within the deadline, then kept as not created."""
    desk.stop()
    outcome = over_http.deliver(handoff())
    assert (outcome.status, row_of(over_http).state) == (Status.QUEUED, State.NOT_CREATED)
    assert row_of(over_http).error == "unreachable"


def test_a_desk_that_comes_up_in_time_gets_the_ticket(fake: FakeFreshdesk, rule: Delivery) -> None:
    """A refused connection is tried again: it wrote nothing."""
    fake.fates.extend([REFUSED, REFUSED])
    assert rule.deliver(handoff()).status is Status.CREATED
    assert len(fake.tickets) == 1


def test_a_short_rate_limit_is_waited_for(desk: LocalFreshdesk, over_http: Delivery) -> None:
    """429 with a `Retry-After` inside the deadline: one ticket, a moment later."""
    desk.weather("rate-limited", times=1, seconds=1)
    assert over_http.deliver(handoff()).status is Status.CREATED
    assert len(desk.tickets()) == 1
    assert len(desk.calls) == 2


def test_a_long_rate_limit_is_queued(desk: LocalFreshdesk, over_http: Delivery) -> None:
    """429 with a `Retry-After` beyond the deadline: kept, due when Freshdesk said, and not asked again before."""
    desk.weather("rate-limited", times=1, seconds=30)
    outcome = over_http.deliver(handoff())
    row = row_of(over_http)
    assert (outcome.status, row.state, row.error) == (Status.QUEUED, State.NOT_CREATED, "busy")
    assert row.due_at is not None
    assert row.due_at - over_http.clock.now() == pytest.approx(30.0, abs=1.0)
    assert over_http.deliver(handoff(key="B" * 52)).status is Status.QUEUED
    assert len(desk.calls) == 1


def test_a_lost_answer_is_found_by_one_look(desk: LocalFreshdesk, over_http: Delivery) -> None:
    """Written though the answer never came: the look finds the ticket, and none is made twice."""
    desk.weather("answer-lost", times=1, only="create")
    outcome = over_http.deliver(handoff())
    (ticket,) = desk.tickets()
    assert [method for method, _ in desk.calls] == ["POST", "GET"]
    assert (outcome.status, outcome.ticket_id) == (Status.CREATED, ticket["id"])


@pytest.mark.parametrize("weather", ["broken", "html-502", "down", "late-write", "slow"])
def test_an_unknown_outcome_is_remembered_as_doubt(desk: LocalFreshdesk, over_http: Delivery, weather: str) -> None:
    """5xx, HTML, reset, time-out, or written too late: one look, then doubt; never a second POST."""
    desk.weather(weather, times=1, seconds={"late-write": 3.0, "slow": 5.0}.get(weather, 0.0), only="create")
    outcome = over_http.deliver(handoff())
    assert [method for method, _ in desk.calls] == ["POST", "GET"]
    assert (outcome.status, row_of(over_http).state) == (Status.QUEUED, State.IN_DOUBT)
    assert row_of(over_http).handoff


def test_a_telephone_alone_is_looked_for_among_all(desk: LocalFreshdesk, over_http: Delivery) -> None:
    """Without an address the look goes through everybody's tickets."""
    desk.weather("answer-lost", times=1, only="create")
    assert over_http.deliver(handoff(user_email="", user_phone=PHONE)).status is Status.CREATED
    assert len(desk.tickets()) == 1
    assert "email" not in desk.calls[1][1]


FIELDS: dict[str, Any] = {
    "group_id": 1,
    "product_id": 1,
    "type": "Nada",
    "source": 7,
    "responder_id": 1,
    "email_config_id": 1,
    "custom_fields": {"cf_nada": "x"},
    "tags": ("x" * 32, "y" * 33),
}


def with_route(rule: Delivery, **fields: Any) -> Delivery:
    """Return the delivery with every route changed so."""
    routes = {
        bot: {name: replace(route, **fields) for name, route in named.items()} for bot, named in ROUTING.routes.items()
    }
    return replace(rule, routing=replace(ROUTING, routes=routes))


@pytest.mark.parametrize("field", ["group_id", "product_id", "type", "source", "responder_id", "custom_fields"])
def test_a_field_freshdesk_refuses_costs_the_field(desk: LocalFreshdesk, over_http: Delivery, field: str) -> None:
    """The ticket goes out at once without it; the ticket, the answer and the row say so."""
    outcome = with_route(over_http, **{field: FIELDS[field]}).deliver(handoff())
    (ticket,) = desk.tickets()
    name = {"custom_fields": "custom_fields.cf_nada"}.get(field, field)
    assert (outcome.status, outcome.dropped) == (Status.CREATED, (name,))
    assert [method for method, _ in desk.calls] == ["POST", "POST"]
    assert "Freshdesk no aceptó" in ticket["description_text"]
    assert row_of(over_http).error == f"without: {name}"


def test_many_refused_fields_cost_one_more_call(desk: LocalFreshdesk, over_http: Delivery) -> None:
    """Freshdesk names them all at once, so one more call is enough."""
    broken = {name: FIELDS[name] for name in ("group_id", "type", "custom_fields", "responder_id")}
    outcome = with_route(over_http, **broken).deliver(handoff())
    assert outcome.dropped == ("custom_fields.cf_nada", "group_id", "responder_id", "type")
    assert len(desk.calls) == 2


def test_a_refusal_that_names_nothing_leaves_the_bare_ticket(fake: FakeFreshdesk, rule: Delivery) -> None:
    """Where Freshdesk does not say which field it minds, all go that can, once."""
    fake.fates.append(refusal("made_up"))
    outcome = rule.deliver(handoff())
    assert outcome.status is Status.CREATED
    assert set(fake.tickets[0]) - {"id", "created_at", "box"} == {"email", "name", "subject", "description", "status"}
    assert "group_id" in outcome.dropped


def test_a_bare_ticket_refused_is_kept_for_a_person(
    fake: FakeFreshdesk, rule: Delivery, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing more can be left out: kept, tried again later, and loud."""
    fake.always = refusal()
    assert rule.deliver(handoff()).status is Status.QUEUED
    assert (row_of(rule).state, row_of(rule).error) == (State.NOT_CREATED, "refused: 400")
    assert fake.posts == 2
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == ["refused"]


@pytest.mark.parametrize("status", [401, 403, 404, 409, 415])
def test_a_key_or_account_that_fails_keeps_the_handoff(
    fake: FakeFreshdesk, rule: Delivery, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    """What only a person can mend is kept, and logged as an error for the alarm; no field is to blame."""
    fake.always = answer(status)
    assert rule.deliver(handoff()).status is Status.QUEUED
    assert (row_of(rule).state, fake.posts) == (State.NOT_CREATED, 1)
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == ["refused"]


def test_a_wrong_key_over_http_keeps_the_handoff(desk: LocalFreshdesk, tmp_path: Path) -> None:
    """401 from a real answer: kept."""
    transport = RequestsTransport(desk.url, "another-key")
    rule = delivery(clock=SystemClock(), transport=transport, ledger=SQLiteLedger(tmp_path / "l.db"), deadline_s=5.0)
    assert rule.deliver(handoff()).status is Status.QUEUED
    assert row_of(rule).error == "refused: 401"


def test_an_address_freshdesk_refuses_is_asked_for_again(fake: FakeFreshdesk, rule: Delivery) -> None:
    """400 on `email`: the bot is told which field, and what there is waits in quarantine."""
    fake.fates.append(refusal("email"))
    outcome = rule.deliver(handoff())
    assert (outcome.status, outcome.bad_field) == (Status.REJECTED, "email")
    assert (row_of(rule).state, row_of(rule).refused) == (State.REJECTED, True)


def test_a_refused_telephone_beside_an_address_is_left_out(fake: FakeFreshdesk, rule: Delivery) -> None:
    """With an address the ticket can do without the telephone."""
    fake.fates.append(refusal("phone"))
    assert rule.deliver(handoff(user_phone=PHONE)).dropped == ("phone",)


def test_a_refused_telephone_alone_is_asked_for_again(fake: FakeFreshdesk, rule: Delivery) -> None:
    """Without an address it is the address."""
    fake.fates.append(refusal("phone"))
    outcome = rule.deliver(handoff(user_email="", user_phone=PHONE))
    assert (outcome.status, outcome.bad_field) == (Status.REJECTED, "phone")


# The deadline


def test_no_call_outlives_the_deadline(fake: FakeFreshdesk, clock: VirtualClock, rule: Delivery) -> None:
    """Every call gets the time there is left, and a POST leaves room for the look after it."""
    fake.always = UNKNOWN
    fake.taking_s = 9.0
    rule.deliver(handoff())
    assert fake.timeouts[0] == pytest.approx(9.5)
    assert clock.time - NOW <= 12.0 + 9.0  # the fake takes its nine seconds whatever it is given
    assert all(timeout_s <= 12.0 for timeout_s in fake.timeouts)


def test_without_time_for_a_look_there_is_doubt(fake: FakeFreshdesk, rule: Delivery) -> None:
    """A POST that used up everything is not looked for now; the sweep does."""
    fake.taking_s = 11.5
    fake.fates.append(LOST)
    assert rule.deliver(handoff()).status is Status.QUEUED
    assert (len(fake.calls), row_of(rule).state) == (1, State.IN_DOUBT)


def test_a_refused_connection_is_not_tried_past_the_deadline(clock: VirtualClock, rule: Delivery) -> None:
    """Trying again ends while there is time to answer."""
    fake = FakeFreshdesk(clock, taking_s=3.0)
    fake.always = REFUSED
    assert delivery(clock=clock, transport=fake).deliver(handoff()).status is Status.QUEUED
    assert clock.time - NOW <= 12.0
    assert fake.posts == 3
    assert rule.clock is clock


def test_without_time_left_nothing_is_posted(clock: VirtualClock, fake: FakeFreshdesk) -> None:
    """A ledger that took all the time leaves none for a POST that could not be looked for."""

    class Slow(FaultyLedger):
        def claim(self, entry: Entry, *, now: float, tickets_an_hour: int) -> Claim:
            clock.time += 9.0
            return self.ledger.claim(entry, now=now, tickets_an_hour=tickets_an_hour)

    rule = delivery(clock=clock, transport=fake, ledger=Slow(SQLiteLedger(":memory:")))
    assert rule.deliver(handoff()).status is Status.QUEUED
    assert fake.calls == []
    assert row_of(rule).error == "no-time"


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
    rule.ledger.claim(
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
    rule.ledger.claim(given_up, now=NOW, tickets_an_hour=5)
    assert rule.deliver(same).status is Status.QUEUED
    assert (row_of(rule).state, row_of(rule).due_at, row_of(rule).doubt_since) == (State.IN_DOUBT, NOW, NOW - 9)
    assert fake.calls == []


def test_a_corrected_address_makes_the_ticket(fake: FakeFreshdesk, rule: Delivery) -> None:
    """Refused, corrected under the same key: a ticket at once."""
    fake.fates.append(refusal("email"))
    rule.deliver(handoff(user_email="wrong@example.com"))
    assert rule.deliver(handoff()).status is Status.CREATED
    assert (len(fake.tickets), row_of(rule).state, row_of(rule).refused) == (1, State.CREATED, False)


def test_two_corrections_at_once_make_one_ticket(fake: FakeFreshdesk, clock: VirtualClock) -> None:
    """Of two copies of a correction, the one that finds the row changed is told that it is kept."""

    class Overtaken(FaultyLedger):
        def replace(self, old: Entry, new: Entry) -> bool:
            return old.state is not State.REJECTED and self.ledger.replace(old, new)

    fake.fates.append(refusal("email"))
    rule = delivery(clock=clock, transport=fake, ledger=Overtaken(SQLiteLedger(":memory:")))
    rule.deliver(handoff(user_email="wrong@example.com"))
    outcome = rule.deliver(handoff())
    assert (outcome.status, outcome.new_words) == (Status.QUEUED, True)
    assert fake.tickets == []


def test_the_sixth_of_an_hour_is_set_aside(fake: FakeFreshdesk, rule: Delivery) -> None:
    """One address may make so many tickets an hour; what comes after is kept, and joins an open one later."""
    outcomes = [rule.deliver(handoff(key=f"{n:052d}")) for n in range(6)]
    assert [one.status for one in outcomes] == [Status.CREATED] * 5 + [Status.QUEUED]
    assert fake.posts == 5
    (row,) = [one for one in rule.ledger.each() if one.crowded]
    assert (row.state, row.due_at, row.error) == (State.NOT_CREATED, NOW, "crowded")


# Refused requests


def test_a_refused_request_is_kept(fake: FakeFreshdesk, rule: Delivery) -> None:
    """Refusing is not losing: a quarter of an hour to correct it, then the sweep makes of it what it can."""
    assert rule.keep_refused(handoff(user_email="")) == REFERENCE
    assert (row_of(rule).state, row_of(rule).due_at) == (State.REJECTED, NOW + 900.0)
    assert fake.calls == []


def test_a_better_refused_request_takes_the_others_place(rule: Delivery, clock: VirtualClock) -> None:
    """Sent again with other faults, the last version counts, but the wait does not begin again."""
    rule.keep_refused(handoff(reason="first"))
    clock.time += 600.0
    rule.keep_refused(handoff(reason="second"))
    assert Handoff.from_json(row_of(rule).handoff).reason == "second"
    assert row_of(rule).due_at == NOW + 900.0
    assert row_of(rule).give_up_at == NOW + 72 * 3600.0


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
    rule.ledger.claim(entry(state=state), now=NOW, tickets_an_hour=5)
    assert rule.look_up(REFERENCE) == Outcome(status=told, reference=REFERENCE)


def test_a_desk_that_is_gone_belongs_to_the_main_one(rule: Delivery) -> None:
    """A row of a desk that the routing no longer knows still shows its ticket somewhere."""
    rule.ledger.claim(entry(state=State.CREATED, desk="gone", ticket_id=7), now=NOW, tickets_an_hour=5)
    told = rule.look_up(REFERENCE)
    assert told is not None
    assert told.ticket_url == "https://betsur.freshdesk.com/a/tickets/7"


# The ledger fails


@pytest.mark.parametrize("fate", ["before", "after"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_hiccup_of_the_ledger_changes_nothing(fake: FakeFreshdesk, fate: str, times: int) -> None:
    """One lost answer, or three, is no outage: the claim is sent again, and its place counted once."""
    ledger = FaultyLedger(SQLiteLedger(":memory:"), *[fate] * times)
    rule = delivery(clock=fake.clock, transport=fake, ledger=ledger, tickets_an_hour=1)
    assert rule.deliver(handoff()).status is Status.CREATED
    assert (len(fake.calls), row_of(rule).state) == (1, State.CREATED)


def test_without_a_ledger_there_is_still_a_ticket(fake: FakeFreshdesk, caplog: pytest.LogCaptureFixture) -> None:
    """The person comes first: a look, one POST, and an error for the alarm."""
    rule = delivery(clock=fake.clock, transport=fake, ledger=down())
    assert rule.deliver(handoff()).status is Status.CREATED
    assert [call.method for call in fake.calls] == ["GET", "POST"]
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == ["ledger down"]


def test_without_a_ledger_a_repeat_finds_its_ticket(fake: FakeFreshdesk) -> None:
    """The look before the POST keeps a repeat from being a second ticket."""
    rule = delivery(clock=fake.clock, transport=fake, ledger=down())
    rule.deliver(handoff())
    outcome = rule.deliver(handoff())
    assert (outcome.status, outcome.ticket_id, len(fake.tickets)) == (Status.DUPLICATE, 1, 1)


def test_without_a_ledger_a_lost_answer_is_found(fake: FakeFreshdesk) -> None:
    """A POST whose answer is lost is looked for, here too."""
    fake.fates.extend([None, LOST])
    rule = delivery(clock=fake.clock, transport=fake, ledger=down())
    assert rule.deliver(handoff()).status is Status.CREATED
    assert len(fake.tickets) == 1


@pytest.mark.parametrize(
    "fates", [[UNKNOWN] * 2, [None, UNKNOWN], [None, *[UNKNOWN] * 3], [None, answer(401)], [None, refusal("email")]]
)
def test_without_a_ledger_and_without_a_desk_nothing_is_kept(fake: FakeFreshdesk, fates: list[Any]) -> None:
    """Neither took it: the caller hears so, and sends it again."""
    fake.fates.extend(fates)
    with pytest.raises(NothingKept):
        delivery(clock=fake.clock, transport=fake, ledger=down()).deliver(handoff())


def test_a_refused_request_needs_the_ledger(fake: FakeFreshdesk) -> None:
    """What cannot be kept is not refused as if it were."""
    rule = delivery(clock=fake.clock, transport=fake, ledger=down())
    with pytest.raises(NothingKept):
        rule.keep_refused(handoff())
    with pytest.raises(NothingKept):
        rule.look_up(REFERENCE)


def test_new_words_need_the_ledger(fake: FakeFreshdesk) -> None:
    """Words that could not be kept are not answered as if they were."""
    ledger = FaultyLedger(SQLiteLedger(":memory:"))
    rule = delivery(clock=fake.clock, transport=fake, ledger=ledger)
    rule.deliver(handoff())
    ledger.fates.extend(["", *["before"] * 4])
    with pytest.raises(NothingKept):
        rule.deliver(handoff(reason="algo nuevo"))


def test_a_correction_needs_the_ledger(fake: FakeFreshdesk) -> None:
    """A correction that could not be claimed is not posted: its row may be under way elsewhere."""
    ledger = FaultyLedger(SQLiteLedger(":memory:"))
    rule = delivery(clock=fake.clock, transport=fake, ledger=ledger)
    rule.keep_refused(handoff(user_email=""))
    ledger.fates.extend(["", *["before"] * 4])
    with pytest.raises(NothingKept):
        rule.deliver(handoff())
    assert fake.calls == []


def test_a_ledger_down_while_settling_costs_no_answer(fake: FakeFreshdesk, caplog: pytest.LogCaptureFixture) -> None:
    """The ticket is there, so the person hears its number; the row is due when its lease ends."""
    ledger = FaultyLedger(SQLiteLedger(":memory:"), *["before"] * 4, only="replace")
    rule = delivery(clock=fake.clock, transport=fake, ledger=ledger)
    assert rule.deliver(handoff()).status is Status.CREATED
    assert (row_of(rule).state, row_of(rule).due_at) == (State.CREATING, NOW + 60.0)
    assert [record.levelname for record in caplog.records if "settling" in record.getMessage()] == ["ERROR"]


def test_a_row_settled_by_another_is_left_to_it(fake: FakeFreshdesk, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever comes too late to write says so, and changes nothing."""
    rule = delivery(clock=fake.clock, transport=fake)
    fresh = entry(entry=handoff().key, handoff=handoff().to_json())
    rule.create(fresh, rule.turn())
    assert list(rule.ledger.each()) == []
    assert [record.levelname for record in caplog.records if record.getMessage() == "settled by another"] == ["WARNING"]


def test_a_locked_ledger_leaves_time_for_the_ticket(desk: LocalFreshdesk, tmp_path: Path) -> None:
    """A store that hangs, and does not fail, must not use up the deadline: the person still gets a ticket in time."""
    ledger = SQLiteLedger(tmp_path / "ledger.db")
    assert list(ledger.each()) == []
    clock = SystemClock()
    transport = RequestsTransport(desk.url, "local-freshdesk-key")
    rule = delivery(clock=clock, transport=transport, ledger=ledger, deadline_s=12.0)
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        began_at = clock.monotonic()
        assert rule.deliver(handoff()).status is Status.CREATED
        assert clock.monotonic() - began_at < 12.0
    assert len(desk.tickets()) == 1


# The log


def lines(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Return the lines that tell of handoffs."""
    return [record for record in caplog.records if record.getMessage() == "handoff"]


def test_a_handoff_leaves_one_line(fake: FakeFreshdesk, rule: Delivery, caplog: pytest.LogCaptureFixture) -> None:
    """With exactly the agreed fields, and the times taken."""
    caplog.set_level(logging.INFO, "handoff")
    fake.taking_s = 0.25
    rule.deliver(handoff())
    (line,) = lines(caplog)
    told = {name: value for name, value in vars(line).items() if name not in vars(logging.makeLogRecord({}))}
    told.pop("message")
    assert told == {
        "reference": REFERENCE,
        "bot": "betsur",
        "category": "retiros",
        "group": "Retiros",
        "outcome": "created",
        "state": "created",
        "attempts": 1,
        "error": "",
        "freshdesk_ms": 250.0,
        "total_ms": 250.0,
    }
    assert line.levelname == "INFO"


def test_a_ticket_without_a_field_is_a_warning(
    fake: FakeFreshdesk, rule: Delivery, caplog: pytest.LogCaptureFixture
) -> None:
    """The routing file needs mending, but nobody has to get up for it."""
    fake.fates.append(refusal("group_id"))
    rule.deliver(handoff(category="nunca vista"))
    (line,) = lines(caplog)
    assert (line.levelname, vars(line)["category"]) == ("WARNING", "sin-categoria")


def test_no_line_names_the_person(fake: FakeFreshdesk, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever goes wrong, the log holds no word and no address of theirs."""
    caplog.set_level(logging.DEBUG)
    fates: list[Any] = [refusal("email"), refusal("phone", "group_id"), UNKNOWN, LOST, REFUSED, busy(900), answer(401)]
    for number, fate in enumerate(fates):
        fake.fates.append(fate)
        rule = delivery(clock=fake.clock, transport=fake, ledger=FaultyLedger(SQLiteLedger(":memory:"), "before"))
        rule.deliver(handoff(key=f"{number:052d}", user_phone=PHONE))
    told = "\n".join(str(vars(record)) for record in caplog.records)
    assert len(lines(caplog)) == len(fates)
    assert [canary for canary in (*CANARIES, EMAIL) if canary in told] == []


# Controls: the guard taken out, the promise broken


def test_control_without_the_claim_there_are_two_tickets(fake: FakeFreshdesk) -> None:
    """A ledger that lets everybody in makes a ticket of each copy: so the claim is what keeps them one."""

    class LetsIn(FaultyLedger):
        def claim(self, entry: Entry, *, now: float, tickets_an_hour: int) -> Claim:
            assert now
            assert tickets_an_hour
            return Claim(entry, mine=True)

    rule = delivery(clock=fake.clock, transport=fake, ledger=LetsIn(SQLiteLedger(":memory:")))
    rule.deliver(handoff())
    rule.deliver(handoff())
    assert len(fake.tickets) == 2


def test_control_routes_are_changed_for_real() -> None:
    """The tests of refused fields do change the routes: else they would prove nothing."""
    changed = with_route(delivery(clock=VirtualClock(), transport=FakeFreshdesk(VirtualClock())), group_id=1)
    route: Route = changed.routing.route("betsur", "retiros")
    assert route.group_id == 1


# How patient the rule is with its ledger


def calls_of(rule: Delivery, clock: VirtualClock, *, taking_s: float, left_s: float = 12.0) -> list[float]:
    """Return when a ledger that always fails after so many seconds is asked, in seconds from the first call."""
    began_at, asked = clock.time, list[float]()

    def fail() -> None:
        asked.append(clock.time - began_at)
        clock.time += taking_s
        raise LedgerUnavailable

    with pytest.raises(LedgerUnavailable):
        rule.firmly(fail, Turn(clock, left_s))
    return asked


@pytest.mark.parametrize(
    ("taking_s", "left_s", "calls"),
    [
        (0.0, 12.0, [0.0, 0.05, 0.25, 0.75]),
        (1.2, 12.0, [0.0, 1.25]),  # two seconds are over: the person comes before the ledger
        (2.0, 12.0, [0.0, 2.05]),
        (2.1, 12.0, [0.0]),
        (0.0, 0.5, [0.0, 0.05, 0.25]),  # never past the deadline
        (0.0, 0.02, [0.0]),
    ],
)
def test_a_failing_ledger_is_asked_again_within_bounds(
    rule: Delivery, clock: VirtualClock, taking_s: float, left_s: float, calls: list[float]
) -> None:
    """One lost answer is no outage, and a store that hangs leaves Freshdesk the better part of the deadline."""
    assert calls_of(rule, clock, taking_s=taking_s, left_s=left_s) == pytest.approx(calls)


def test_two_handoffs_may_share_a_reference(rule: Delivery) -> None:
    """Eight characters can meet; the first row is told then, whole, not a bit of each."""
    for key, state, ticket_id in (("A" * 52, State.CREATED, 1), ("A" * 8 + "B" * 44, State.FAILED, None)):
        rule.ledger.claim(entry(entry=key, state=state, ticket_id=ticket_id), now=NOW, tickets_an_hour=5)
    outcome = rule.look_up(REFERENCE)
    assert outcome is not None
    assert (outcome.status, outcome.ticket_id) == (Status.CREATED, 1)


def test_a_ticket_made_without_a_ledger_says_nothing_of_faults(fake: FakeFreshdesk) -> None:
    """It is a good handoff; the look before it goes a day back."""
    delivery(clock=fake.clock, transport=fake, ledger=down()).deliver(handoff())
    assert REFUSED_REMARK not in fake.tickets[0]["description"]
    assert WITHOUT_MEMORY_S == 86_400.0
