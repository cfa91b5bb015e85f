"""`audit`: the ledger against Freshdesk, one ticket each."""

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


def test_one_ticket_each_is_nothing_to_fix(station: Station) -> None:
    """The figure is exactly 1."""
    for number in (1, 2, 3):
        station.deliver(number)
    ran = station.run("audit")
    assert ran.status == 0
    assert "Handoffs with a ticket by the ledger: 3; with exactly one: 3\nTickets per handoff: 1.0000\n" in ran.out
    assert ran.out.endswith("Nothing to fix.\n")


def test_nothing_at_all_is_nothing_to_fix(station: Station) -> None:
    """Without handoffs there is no figure."""
    assert "Tickets per handoff: none yet" in station.run("audit").out


def test_a_ticket_that_is_gone_is_missing(station: Station) -> None:
    """The row says there is one; Freshdesk knows nothing of it."""
    row = station.has(state=State.CREATED, ticket_id=77, due_at=None)
    ran = station.run("audit", "--json")
    assert ran.status == 1
    named = {"reference": row.reference, "bot": "betsur", "category": "retiros"}
    assert ran.json["missing"] == [{**named, "ticket_id": 77}]
    assert (ran.json["tickets_per_handoff"], ran.json["with_one_ticket"], ran.json["drift"]) == (0.0, 0, True)
    assert "Without a ticket" in station.run("audit").out


def test_a_ticket_that_no_list_holds_is_asked_for_by_its_number(station: Station) -> None:
    """One touched last before the days asked for, which another handoff joined; it is there all the same."""
    number = ticket_with(station, "BF-ZZZZZZZZ")
    station.clock.time += 31 * 86_400
    station.has(state=State.CREATED, ticket_id=number, due_at=None)
    ran = station.run("audit")
    assert ran.status == 0
    assert "with exactly one: 1" in ran.out


def test_a_ticket_made_before_the_days_asked_for_is_not_audited(station: Station) -> None:
    """Only handoffs of the last N days are."""
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
    """With the reference and the numbers: an audit that a scheduler runs has nobody to read its table."""
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


def test_a_handoff_that_nobody_tries_is_reported_whatever_its_age(station: Station) -> None:
    """Without a ticket a row never is over, and --days leaves none out."""
    row = station.has(state=State.FAILED)
    station.clock.time += 40 * 86_400
    assert [one["reference"] for one in station.run("audit", "--json").json["parked"]] == [row.reference]


def test_two_tickets_of_a_row_still_in_doubt_are_two(station: Station) -> None:
    """Though the row names none yet."""
    row = station.has(state=State.IN_DOUBT)
    ticket_with(station, row.reference)
    assert station.run("audit").status == 0
    ticket_with(station, row.reference)
    shown = station.run("audit", "--json")
    assert (shown.status, len(shown.json["doubles"]), shown.json["waiting"]) == (1, 1, 1)


def test_a_second_ticket_that_was_deleted_counts_no_more(station: Station) -> None:
    """And a handoff whose only ticket an agent deleted had its ticket."""
    outcome = station.deliver()
    assert outcome.ticket_id
    station.freshdesk.delete(ticket_with(station, outcome.reference))
    assert station.run("audit").status == 0
    station.freshdesk.delete(outcome.ticket_id)
    shown = station.run("audit", "--json").json
    assert (shown["drift"], shown["tickets_per_handoff"], shown["with_one_ticket"]) == (False, 1.0, 1)


def test_a_ticket_in_the_spam_box_counts_and_is_reported(station: Station) -> None:
    """It exists, but no agent looks there."""
    outcome = station.deliver()
    assert outcome.ticket_id is not None
    station.freshdesk.mark_spam(outcome.ticket_id)
    ran = station.run("audit")
    assert ran.status == 0
    assert "In the spam box, where no agent looks" in ran.out
    assert station.run("audit", "--json").json["in_spam"][0]["tickets"] == [outcome.ticket_id]


def test_an_older_ticket_with_the_same_reference_is_another_handoffs(station: Station) -> None:
    """The same body, sent again after its row was over, has the same reference."""
    old = ticket_with(station, "BF-BBBBBBBB")
    station.clock.time += 3 * 86_400
    new = ticket_with(station, "BF-BBBBBBBB")
    station.has(state=State.CREATED, ticket_id=new, due_at=None)
    shown = station.run("audit", "--json").json
    assert (shown["drift"], shown["tickets_per_handoff"]) == (False, 1.0)
    assert old != new


def test_two_handoffs_of_one_reference_each_have_their_own(station: Station) -> None:
    """Eight characters of the key may be the same; the rows name their tickets."""
    for number in (1, 2):
        ticket = ticket_with(station, "BF-BBBBBBBB")
        station.has(number, reference="BF-BBBBBBBB", state=State.CREATED, ticket_id=ticket, due_at=None)
    shown = station.run("audit", "--json").json
    assert (shown["drift"], shown["with_one_ticket"]) == (False, 2)


def test_handoffs_that_share_a_ticket_have_one_each(station: Station) -> None:
    """One past the person's hourly bound joined another's ticket as a note."""
    outcome = station.deliver()
    station.has(state=State.CREATED, ticket_id=outcome.ticket_id, due_at=None, over_limit=True)
    shown = station.run("audit", "--json").json
    assert (shown["drift"], shown["tickets_per_handoff"]) == (False, 1.0)


@pytest.mark.parametrize("state", [State.FAILED, State.REJECTED])
def test_what_nobody_tries_any_more_is_reported(station: Station, state: State) -> None:
    """Given up, or refused without a fallback; notes, too."""
    row = station.has(state=state, due_at=None, error="refused: 403")
    station.has(entry=f"{row.entry}#words", state=State.FAILED, due_at=None)
    shown = station.run("audit", "--json")
    assert shown.status == 1
    assert [one["note"] for one in shown.json["parked"]] == [False, True]
    assert "Nobody tries these any more" in station.run("audit").out


def test_a_ticket_no_row_knows_is_reported_for_a_day(station: Station) -> None:
    """Later than that its row may have been over."""
    number = ticket_with(station, "BF-ZZZZZZZZ")
    shown = station.run("audit", "--json")
    assert shown.status == 1
    assert shown.json["unknown"] == [{"reference": "BF-ZZZZZZZZ", "ticket_id": number}]
    assert "that no row knows" in station.run("audit").out
    station.clock.time += 86_400
    assert station.run("audit").status == 0


def test_a_row_that_came_while_the_tickets_were_read_is_known(station: Station) -> None:
    """The audit asks once more before it calls a ticket unknown."""
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
    """When a fifth of it is left the audit waits for the next minute, and a 429 for as long as it says."""
    station.freshdesk.limit(total_per_minute=7)  # a page with descriptions costs three
    assert station.run("audit").status == 0
    assert station.clock.slept[0] == 60.0
    station.clock.slept.clear()
    station.freshdesk.limit(total_per_minute=700)
    station.freshdesk.weather("rate-limited", times=1, seconds=7)
    assert station.run("audit").status == 0
    assert station.clock.slept == [7.0]


def test_a_freshdesk_that_stays_away_ends_with_3(station: Station) -> None:
    """After two more tries; nothing is claimed of handoffs nobody could look for."""
    station.deliver()
    station.freshdesk.weather("html-502")
    ran = station.run("audit")
    assert (ran.status, ran.out) == (3, "")
    assert ran.err.startswith("FRESHDESK_URL: Freshdesk gave no usable answer (status 502)")
    assert station.clock.slept[-2:] == [1.0, 4.0]


def test_a_wrong_key_ends_with_3(station: Station) -> None:
    """Refused lists are no empty lists."""
    ran = station.run("audit", FRESHDESK_API_KEY="wrong")
    assert ran.status == 3
    assert "401" in ran.err


def test_one_lost_answer_is_read_again(station: Station) -> None:
    """An outage is more than one lost answer."""
    station.deliver()
    station.freshdesk.weather("down", times=1)
    assert station.run("audit").status == 0


def test_a_ticket_that_may_not_be_read_is_not_called_missing(station: Station) -> None:
    """Only a 404 says that it does not exist."""
    station.has(state=State.CREATED, ticket_id=77, due_at=None)

    def reply(request: Request) -> Answer:
        return answer(403, {}) if "/tickets/77" in request.path else answer(200, [])

    delivery = station.delivery()
    delivery.writer.helpdesks[""].client = FreshdeskClient(lambda request, _timeout_s: reply(request))
    with pytest.raises(FreshdeskRefused):
        compared(delivery.writer, Screen(io.StringIO(), io.StringIO(), as_json=False), station.rows(), 0.0)
