"""Delivery over HTTP: what happens for each response of Freshdesk, and how long it takes."""

from __future__ import annotations

import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

import pytest

from dev.local_freshdesk import LocalFreshdesk
from freshdesk_client import Answer, Request
from handoff.deadline import SystemClock
from handoff.delivery import Delivery
from handoff.ledger import Claim, Entry, State
from handoff.responses import Outcome, Status
from handoff.transport import RequestsTransport
from tests.closing import sqlite_ledger
from tests.factories import EMAIL, PHONE, REASON, REFERENCE, SUMMARY, handoff
from tests.handoff.delivery.keeping import (
    LOST,
    REFUSED,
    UNKNOWN,
    only_row,
    pass_over,
    with_route,
)
from tests.ledger_factories import (
    NOW,
    FakeFreshdesk,
    FaultyLedger,
    VirtualClock,
    answer,
    delivery,
    refusal,
)

# Against the stand-in, over HTTP


def test_a_handoff_becomes_a_ticket_with_one_call(freshdesk: LocalFreshdesk, over_http: Delivery) -> None:
    """Without faults it takes one call, and the ticket has the fields of its route."""
    outcome = over_http.deliver(handoff())
    (ticket,) = freshdesk.tickets()
    assert freshdesk.calls == [("POST", "/api/v2/tickets")]
    assert outcome == Outcome(
        status=Status.CREATED,
        reference=REFERENCE,
        ticket_id=ticket["id"],
        ticket_url=f"{freshdesk.url}/a/tickets/{ticket['id']}",
        group="Retiros",
        priority="high",
    )
    assert (ticket["group_id"], ticket["priority"], ticket["status"]) == (1070000000102, 3, 2)
    assert (only_row(over_http).state, only_row(over_http).handoff) == (State.CREATED, "")


def test_a_refused_connection_is_queued(freshdesk: LocalFreshdesk, over_http: Delivery) -> None:
    """If nothing listens, the call is tried again until the deadline, then the row is kept as not created."""
    freshdesk.stop()
    outcome = over_http.deliver(handoff())
    assert (outcome.status, only_row(over_http).state) == (Status.QUEUED, State.NOT_CREATED)
    assert only_row(over_http).error == "unreachable refused"


def test_an_account_that_comes_back_before_the_deadline_gets_the_ticket(fake: FakeFreshdesk, rule: Delivery) -> None:
    """A refused connection is tried again, because nothing was written."""
    fake.fates.extend([REFUSED, REFUSED])
    assert rule.deliver(handoff()).status is Status.CREATED
    assert len(fake.tickets) == 1


def test_a_short_rate_limit_is_waited_out(freshdesk: LocalFreshdesk, over_http: Delivery) -> None:
    """After a 429 with a `Retry-After` inside the deadline, there is one ticket a moment later."""
    freshdesk.weather("rate-limited", times=1, seconds=1)
    assert over_http.deliver(handoff()).status is Status.CREATED
    assert len(freshdesk.tickets()) == 1
    assert len(freshdesk.calls) == 2


def test_a_long_rate_limit_is_queued(freshdesk: LocalFreshdesk, over_http: Delivery) -> None:
    """After a 429 with a `Retry-After` past the deadline, the row is due when Freshdesk said, and not tried before."""
    freshdesk.weather("rate-limited", times=1, seconds=30)
    outcome = over_http.deliver(handoff())
    row = only_row(over_http)
    assert (outcome.status, row.state, row.error) == (Status.QUEUED, State.NOT_CREATED, "busy")
    assert row.due_at is not None
    assert row.due_at - over_http.writer.clock.now() == pytest.approx(30.0, abs=1.0)
    assert over_http.deliver(handoff(key="B" * 52)).status is Status.QUEUED
    assert len(freshdesk.calls) == 1


def test_a_ticket_whose_answer_was_lost_is_found_by_one_search(freshdesk: LocalFreshdesk, over_http: Delivery) -> None:
    """The ticket was written though no answer came: the search finds it, and no second one is made."""
    freshdesk.weather("answer-lost", times=1, only="create")
    outcome = over_http.deliver(handoff())
    (ticket,) = freshdesk.tickets()
    assert [method for method, _ in freshdesk.calls] == ["POST", "GET"]
    assert (outcome.status, outcome.ticket_id) == (Status.CREATED, ticket["id"])


@pytest.mark.parametrize("weather", ["broken", "html-502", "down", "late-write", "slow"])
def test_an_unknown_outcome_is_kept_in_doubt(freshdesk: LocalFreshdesk, over_http: Delivery, weather: str) -> None:
    """After 5xx, HTML, a reset, a time-out or a late write: one search, then in doubt; never a second POST."""
    freshdesk.weather(weather, times=1, seconds={"late-write": 3.0, "slow": 5.0}.get(weather, 0.0), only="create")
    outcome = over_http.deliver(handoff())
    assert [method for method, _ in freshdesk.calls] == ["POST", "GET"]
    assert (outcome.status, only_row(over_http).state) == (Status.QUEUED, State.IN_DOUBT)
    assert only_row(over_http).handoff


def test_a_handoff_with_only_a_phone_is_searched_among_all_tickets(
    freshdesk: LocalFreshdesk, over_http: Delivery
) -> None:
    """Without an address the search goes through everybody's tickets."""
    freshdesk.weather("answer-lost", times=1, only="create")
    assert over_http.deliver(handoff(user_email="", user_phone=PHONE)).status is Status.CREATED
    assert len(freshdesk.tickets()) == 1
    assert "email" not in freshdesk.calls[1][1]


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


@pytest.mark.parametrize("field", ["group_id", "product_id", "type", "source", "responder_id", "custom_fields"])
def test_a_field_that_freshdesk_refuses_is_left_out(freshdesk: LocalFreshdesk, over_http: Delivery, field: str) -> None:
    """The ticket is created at once without the field; the ticket, the answer and the row say so."""
    outcome = with_route(over_http, **{field: FIELDS[field]}).deliver(handoff())
    (ticket,) = freshdesk.tickets()
    name = {"custom_fields": "custom_fields.cf_nada"}.get(field, field)
    assert (outcome.status, outcome.dropped) == (Status.CREATED, (name,))
    assert [method for method, _ in freshdesk.calls] == ["POST", "POST"]
    assert "Freshdesk no aceptó" in ticket["description_text"]
    assert only_row(over_http).error == f"without: {name}"


def test_many_refused_fields_take_one_more_call(freshdesk: LocalFreshdesk, over_http: Delivery) -> None:
    """Freshdesk names all of them at once, so one more call is enough."""
    broken = {name: FIELDS[name] for name in ("group_id", "type", "custom_fields", "responder_id")}
    outcome = with_route(over_http, **broken).deliver(handoff())
    assert outcome.dropped == ("custom_fields.cf_nada", "group_id", "responder_id", "type")
    assert len(freshdesk.calls) == 2


def test_a_refusal_that_names_no_field_drops_all_optional_fields(fake: FakeFreshdesk, rule: Delivery) -> None:
    """If Freshdesk does not say which field it refuses, all optional fields are left out at once."""
    fake.fates.append(refusal("made_up"))
    outcome = rule.deliver(handoff())
    assert outcome.status is Status.CREATED
    assert set(fake.tickets[0]) - {"id", "created_at", "box"} == {"email", "name", "subject", "description", "status"}
    assert "group_id" in outcome.dropped


@pytest.mark.parametrize("status", [400, 402, 405, 409, 413, 415, 422])
def test_refused_content_is_sent_again_in_ever_simpler_form(
    fake: FakeFreshdesk, rule: Delivery, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    """Complete, then without optional fields, without the phone, shortened, and under the fallback requester."""
    fake.always = answer(status)
    assert rule.deliver(handoff(user_phone=PHONE)).status is Status.QUEUED
    sent = [json.loads(call.body or b"") for call in fake.calls]
    assert ["group_id" in fields for fields in sent] == [True, False, False, False, False]
    assert ["phone" in fields for fields in sent] == [True, True, False, False, False]
    assert [SUMMARY in fields["description"] and "<b>Bot:</b>" in fields["description"] for fields in sent][2:] == [
        True,
        False,
        False,
    ]
    assert [fields["email"] == EMAIL for fields in sent] == [True, True, True, True, False]
    row = only_row(rule)
    assert (row.state, row.rung, row.due_at) == (State.NOT_CREATED, 4, NOW + 3600.0)
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == ["refused"]


@pytest.mark.parametrize("rung", [1, 2, 3, 4])
def test_the_first_form_that_freshdesk_accepts_ends_the_attempts(
    fake: FakeFreshdesk, rule: Delivery, rung: int
) -> None:
    """A shortened ticket is followed by a private note with the complete text."""
    fake.fates.extend([answer(422)] * rung)
    outcome = rule.deliver(handoff(user_phone=PHONE))
    assert (outcome.status, fake.posts, only_row(rule).rung) == (Status.CREATED, rung + 1, rung)
    assert "group_id" in outcome.dropped
    fake.clock.time += 120.0
    pass_over(rule)
    assert [REASON in html for _, html in fake.notes] == ([True] if rung >= 3 else [])


def test_a_call_offers_a_ticket_five_times_at_most(fake: FakeFreshdesk, rule: Delivery) -> None:
    """However many of its optional fields are refused one after another."""
    fake.fates.extend(refusal(name) for name in ("group_id", "type", "source", "tags", "product_id"))
    routed = with_route(rule, type="Incidente", product_id=7)
    assert routed.deliver(handoff()).status is Status.QUEUED
    assert (fake.posts, only_row(rule).state, only_row(rule).rung) == (5, State.NOT_CREATED, 0)


def test_a_short_ticket_is_offered_only_if_the_rest_is_kept(fake: FakeFreshdesk, clock: VirtualClock) -> None:
    """The ledger went down after the claim, so the whole text waits for a ticket of its own."""
    ledger = FaultyLedger(sqlite_ledger(), "", *["before"] * 4, only="claim")
    rule = delivery(clock=clock, transport=fake, ledger=ledger)
    fake.always = answer(422)
    assert rule.deliver(handoff()).status is Status.QUEUED
    assert (fake.posts, only_row(rule).error) == (2, "rest not kept")


def test_the_form_reached_is_remembered(fake: FakeFreshdesk, rule: Delivery) -> None:
    """The next pass does not start again with forms that were refused."""
    fake.always = answer(422)
    rule.deliver(handoff())
    fake.calls.clear()
    fake.always = None
    fake.clock.time += 3600.0
    pass_over(rule)
    assert (only_row(rule).state, fake.posts) == (State.CREATED, 1)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_an_account_that_refuses_every_ticket_keeps_the_handoff(
    fake: FakeFreshdesk, rule: Delivery, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    """A person must act: the row is kept and logged as an error for the alarm; no field is named as the cause."""
    fake.always = answer(status)
    assert rule.deliver(handoff()).status is Status.QUEUED
    assert (only_row(rule).state, only_row(rule).rung, fake.posts) == (State.NOT_CREATED, 0, 1)
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == ["refused"]


def test_a_wrong_key_over_http_keeps_the_handoff(freshdesk: LocalFreshdesk, tmp_path: Path) -> None:
    """After a real 401 the row is kept."""
    transport = RequestsTransport(freshdesk.url, "another-key")
    rule = delivery(clock=SystemClock(), transport=transport, ledger=sqlite_ledger(tmp_path / "l.db"), deadline_s=5.0)
    assert rule.deliver(handoff()).status is Status.QUEUED
    assert only_row(rule).error == "refused: 401 invalid_credentials"


def test_an_address_that_freshdesk_refuses_is_asked_for_again(fake: FakeFreshdesk, rule: Delivery) -> None:
    """After a 400 on `email` the answer names the field, and the row waits as rejected."""
    fake.fates.append(refusal("email"))
    outcome = rule.deliver(handoff())
    assert (outcome.status, outcome.bad_field) == (Status.REJECTED, "email")
    assert (only_row(rule).state, only_row(rule).refused) == (State.REJECTED, True)


def test_a_refused_phone_is_left_out_if_there_is_an_address(fake: FakeFreshdesk, rule: Delivery) -> None:
    """With an address the ticket does not need the phone."""
    fake.fates.append(refusal("phone"))
    assert rule.deliver(handoff(user_phone=PHONE)).dropped == ("phone",)


def test_a_refused_phone_without_an_address_is_asked_for_again(fake: FakeFreshdesk, rule: Delivery) -> None:
    """Without an address the phone is the only way to reach the person."""
    fake.fates.append(refusal("phone"))
    outcome = rule.deliver(handoff(user_email="", user_phone=PHONE))
    assert (outcome.status, outcome.bad_field) == (Status.REJECTED, "phone")


# The deadline


def test_no_call_lasts_past_the_deadline(fake: FakeFreshdesk, clock: VirtualClock, rule: Delivery) -> None:
    """Every call gets the time that is left, and a POST leaves time for the search after it."""
    fake.always = UNKNOWN
    fake.taking_s = 9.0
    rule.deliver(handoff())
    assert fake.timeouts[0] == pytest.approx(9.5)
    assert clock.time - NOW <= 12.0 + 9.0  # the fake takes nine seconds, whatever its time-out
    assert all(timeout_s <= 12.0 for timeout_s in fake.timeouts)


def test_without_time_for_a_search_the_row_is_in_doubt(fake: FakeFreshdesk, rule: Delivery) -> None:
    """After a POST that used up all the time, there is no search now; the sweep does it."""
    fake.taking_s = 11.5
    fake.fates.append(LOST)
    assert rule.deliver(handoff()).status is Status.QUEUED
    assert (len(fake.calls), only_row(rule).state) == (1, State.IN_DOUBT)


def test_a_refused_connection_is_not_tried_again_past_the_deadline(clock: VirtualClock, rule: Delivery) -> None:
    """The attempts end while there is time to answer."""
    fake = FakeFreshdesk(clock, taking_s=3.0)
    fake.always = REFUSED
    assert delivery(clock=clock, transport=fake).deliver(handoff()).status is Status.QUEUED
    assert clock.time - NOW <= 12.0
    assert fake.posts == 3
    assert rule.writer.clock is clock


def test_without_time_left_nothing_is_posted(clock: VirtualClock, fake: FakeFreshdesk) -> None:
    """If the ledger took all the time, none is left for a POST and its search."""

    class Slow(FaultyLedger):
        def claim(self, entry: Entry, *, now: float, tickets_an_hour: int) -> Claim:
            clock.time += 9.0
            return self.ledger.claim(entry, now=now, tickets_an_hour=tickets_an_hour)

    rule = delivery(clock=clock, transport=fake, ledger=Slow(sqlite_ledger()))
    assert rule.deliver(handoff()).status is Status.QUEUED
    assert fake.calls == []
    assert only_row(rule).error == "no-time"


def test_a_freshdesk_that_hangs_leaves_a_thread_to_the_next_caller(fake: FakeFreshdesk, clock: VirtualClock) -> None:
    """Else whoever comes when all threads hang waits for their deadline, and then for one of their own."""
    entered, go_on = threading.Event(), threading.Event()

    def hanging(request: Request, timeout_s: float) -> Answer:
        entered.set()
        go_on.wait(30.0)
        return fake(request, timeout_s)

    writer = delivery(clock=clock, transport=hanging).writer
    rule = Delivery(writer, BoundedSemaphore(1))
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(rule.deliver, handoff())
        entered.wait(30.0)
        second = rule.deliver(handoff(key="B" * 52, reason="más"))
        go_on.set()
    assert (first.result().status, second.status) == (Status.CREATED, Status.QUEUED)
    assert rule.deliver(handoff(key="C" * 52, reason="otra")).status is Status.CREATED
    pass_over(rule)
    assert len(fake.tickets) == 3
