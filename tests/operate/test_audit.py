"""`audit`: compares the ledger with Freshdesk, one ticket for each handoff."""

from __future__ import annotations

import io
import logging

import pytest

from freshdesk_client import Answer, FreshdeskClient, FreshdeskRefused, Request
from handoff.ledger import State
from operate.auditing import compared
from operate.screen import Screen
from tests.ledger_factories import answer
from tests.operate.operating import Station, ticket_with


def test_one_ticket_for_each_handoff_needs_no_action(station: Station) -> None:
    """The figure is exactly 1."""
    for number in (1, 2, 3):
        station.deliver(number)
    ran = station.run("audit")
    assert ran.status == 0
    assert "Handoffs with a ticket by the ledger: 3; with exactly one: 3\nTickets per handoff: 1.0000\n" in ran.out
    assert ran.out.endswith("Nothing to fix.\n")


def test_an_empty_ledger_needs_no_action(station: Station) -> None:
    """Without handoffs there is no figure."""
    assert "Tickets per handoff: none yet" in station.run("audit").out


def test_a_deleted_ticket_is_reported_as_missing(station: Station) -> None:
    """The row names a ticket that does not exist in Freshdesk."""
    row = station.has(state=State.CREATED, ticket_id=77, due_at=None)
    ran = station.run("audit", "--json")
    assert ran.status == 1
    named = {"reference": row.reference, "bot": "betsur", "category": "retiros"}
    assert ran.json["missing"] == [{**named, "ticket_id": 77}]
    assert (ran.json["tickets_per_handoff"], ran.json["with_one_ticket"], ran.json["drift"]) == (0.0, 0, True)
    assert "Without a ticket" in station.run("audit").out


def test_a_ticket_that_is_in_no_list_is_read_by_its_number(station: Station) -> None:
    """It was last changed before the requested days, and another handoff joined it."""
    number = ticket_with(station, "BF-ZZZZZZZZ")
    station.clock.time += 31 * 86_400
    station.has(state=State.CREATED, ticket_id=number, due_at=None)
    ran = station.run("audit")
    assert ran.status == 0
    assert "with exactly one: 1" in ran.out


def test_a_ticket_older_than_the_requested_days_is_not_audited(station: Station) -> None:
    """Only handoffs of the last N days are audited."""
    station.has(state=State.CREATED, ticket_id=77, due_at=None)
    station.clock.time += 2 * 86_400
    assert station.run("audit", "--days", "1").status == 0
    assert station.run("audit", "--days", "3").status == 1


def test_two_tickets_are_reported_with_the_merge_to_do(station: Station) -> None:
    """The younger into the older."""
    outcome = station.deliver()
    second = ticket_with(station, outcome.reference)
    ran = station.run("audit")
    assert ran.status == 1
    assert f"#{second} into #{outcome.ticket_id}" in ran.out
    assert "Tickets per handoff: 2.0000" in ran.out
    [double] = station.run("audit", "--json").json["doubles"]
    assert double["tickets"] == [outcome.ticket_id, second]


def test_two_tickets_are_an_error_in_the_log(station: Station, caplog: pytest.LogCaptureFixture) -> None:
    """With the reference and the numbers, because nobody reads the table of a scheduled audit."""
    outcome = station.deliver()
    second = ticket_with(station, outcome.reference)
    logging.getLogger("handoff").addHandler(caplog.handler)
    try:
        station.run("audit")
    finally:
        logging.getLogger("handoff").removeHandler(caplog.handler)
    [logged] = [vars(one) for one in caplog.records if one.getMessage() == "two tickets"]
    found = (logged["levelname"], logged["reference"], logged["tickets"])
    assert found == ("ERROR", outcome.reference, [outcome.ticket_id, second])


def test_a_handoff_that_is_no_longer_tried_is_reported_at_any_age(station: Station) -> None:
    """A row without a ticket never expires, and --days excludes none."""
    row = station.has(state=State.FAILED)
    station.clock.time += 40 * 86_400
    assert [one["reference"] for one in station.run("audit", "--json").json["parked"]] == [row.reference]


def test_two_tickets_of_a_row_in_doubt_are_reported(station: Station) -> None:
    """The row does not name a ticket yet."""
    row = station.has(state=State.IN_DOUBT)
    ticket_with(station, row.reference)
    assert station.run("audit").status == 0
    ticket_with(station, row.reference)
    shown = station.run("audit", "--json")
    assert (shown.status, len(shown.json["doubles"]), shown.json["waiting"]) == (1, 1, 1)


def test_a_deleted_second_ticket_is_not_counted(station: Station) -> None:
    """A handoff whose only ticket was deleted by an agent still had its ticket."""
    outcome = station.deliver()
    assert outcome.ticket_id
    station.freshdesk.delete(ticket_with(station, outcome.reference))
    assert station.run("audit").status == 0
    station.freshdesk.delete(outcome.ticket_id)
    shown = station.run("audit", "--json").json
    assert (shown["drift"], shown["tickets_per_handoff"], shown["with_one_ticket"]) == (False, 1.0, 1)


def test_a_ticket_in_the_spam_box_counts_and_is_reported(station: Station) -> None:
    """It exists, but agents do not look there."""
    outcome = station.deliver()
    assert outcome.ticket_id is not None
    station.freshdesk.mark_spam(outcome.ticket_id)
    ran = station.run("audit")
    assert ran.status == 0
    assert "In the spam box, where no agent looks" in ran.out
    assert station.run("audit", "--json").json["in_spam"][0]["tickets"] == [outcome.ticket_id]


def test_an_older_ticket_with_the_same_reference_belongs_to_another_handoff(station: Station) -> None:
    """The same body, sent again after its row expired, has the same reference."""
    old = ticket_with(station, "BF-BBBBBBBB")
    station.clock.time += 3 * 86_400
    new = ticket_with(station, "BF-BBBBBBBB")
    station.has(state=State.CREATED, ticket_id=new, due_at=None)
    shown = station.run("audit", "--json").json
    assert (shown["drift"], shown["tickets_per_handoff"]) == (False, 1.0)
    assert old != new


def test_two_handoffs_with_one_reference_have_their_own_tickets(station: Station) -> None:
    """Eight characters of two keys may be the same; the rows name their tickets."""
    for number in (1, 2):
        ticket = ticket_with(station, "BF-BBBBBBBB")
        station.has(number, reference="BF-BBBBBBBB", state=State.CREATED, ticket_id=ticket, due_at=None)
    shown = station.run("audit", "--json").json
    assert (shown["drift"], shown["with_one_ticket"]) == (False, 2)


def test_handoffs_that_share_a_ticket_count_as_one_each(station: Station) -> None:
    """A handoff over the person's hourly limit joined another's ticket as a note."""
    outcome = station.deliver()
    station.has(state=State.CREATED, ticket_id=outcome.ticket_id, due_at=None, over_limit=True)
    shown = station.run("audit", "--json").json
    assert (shown["drift"], shown["tickets_per_handoff"]) == (False, 1.0)


@pytest.mark.parametrize("state", [State.FAILED, State.REJECTED])
def test_a_row_that_is_no_longer_tried_is_reported(station: Station, state: State) -> None:
    """Given up, or refused without a fallback; notes, too."""
    row = station.has(state=state, due_at=None, error="refused: 403")
    station.has(entry=f"{row.entry}#words", state=State.FAILED, due_at=None)
    shown = station.run("audit", "--json")
    assert shown.status == 1
    assert [one["note"] for one in shown.json["parked"]] == [False, True]
    assert "Nobody tries these any more" in station.run("audit").out


def test_an_unknown_ticket_is_reported_for_a_day(station: Station) -> None:
    """If it is older, its row may have expired."""
    number = ticket_with(station, "BF-ZZZZZZZZ")
    shown = station.run("audit", "--json")
    assert shown.status == 1
    assert shown.json["unknown"] == [{"reference": "BF-ZZZZZZZZ", "ticket_id": number}]
    assert "that no row knows" in station.run("audit").out
    station.clock.time += 86_400
    assert station.run("audit").status == 0


def test_a_row_made_while_the_tickets_are_read_is_known(station: Station) -> None:
    """The audit reads the ledger again before it calls a ticket unknown."""
    ticket_with(station, "BF-BBBBBBBB")
    station.freshdesk.limit(total_per_minute=7)  # a page with descriptions costs three
    waited = station.clock.sleep

    def sleep(seconds: float) -> None:
        station.has(state=State.CREATING)
        waited(seconds)

    object.__setattr__(station.clock, "sleep", sleep)
    assert station.run("audit").status == 0
    assert station.clock.slept == [60.0]


def test_the_rate_limit_is_left_to_live_requests(station: Station) -> None:
    """If a fifth of it is left the audit waits for the next minute, and after a 429 for the time it gives."""
    station.freshdesk.limit(total_per_minute=7)  # a page with descriptions costs three
    assert station.run("audit").status == 0
    assert station.clock.slept[0] == 60.0
    station.clock.slept.clear()
    station.freshdesk.limit(total_per_minute=700)
    station.freshdesk.weather("rate-limited", times=1, seconds=7)
    assert station.run("audit").status == 0
    assert station.clock.slept == [7.0]


def test_a_freshdesk_that_does_not_answer_ends_with_3(station: Station) -> None:
    """After two more attempts; handoffs that could not be searched for are not reported."""
    station.deliver()
    station.freshdesk.weather("html-502")
    ran = station.run("audit")
    assert (ran.status, ran.out) == (3, "")
    assert ran.err.startswith("FRESHDESK_URL: Freshdesk gave no usable answer (status 502)")
    assert station.clock.slept[-2:] == [1.0, 4.0]


def test_a_wrong_key_ends_with_3(station: Station) -> None:
    """A refused list is not an empty list."""
    ran = station.run("audit", FRESHDESK_API_KEY="wrong")
    assert ran.status == 3
    assert "401" in ran.err


def test_a_read_whose_answer_is_lost_is_repeated(station: Station) -> None:
    """One lost answer is no outage."""
    station.deliver()
    station.freshdesk.weather("down", times=1)
    assert station.run("audit").status == 0


def test_a_ticket_that_may_not_be_read_is_not_reported_as_missing(station: Station) -> None:
    """Only a 404 shows that it does not exist."""
    station.has(state=State.CREATED, ticket_id=77, due_at=None)

    def reply(request: Request) -> Answer:
        return answer(403, {}) if "/tickets/77" in request.path else answer(200, [])

    delivery = station.delivery()
    delivery.writer.helpdesks[""].client = FreshdeskClient(lambda request, _timeout_s: reply(request))
    with pytest.raises(FreshdeskRefused):
        compared(delivery.writer, Screen(io.StringIO(), io.StringIO(), as_json=False), station.rows(), 0.0)
