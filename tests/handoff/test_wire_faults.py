"""A lost answer, and a Freshdesk with odd lists: the ticket is found all the same, over real sockets."""

from __future__ import annotations

from typing import Any

import pytest

from freshdesk_client import FreshdeskClient, OutcomeUnknown, Requester
from handoff.deadline import Deadline, SystemClock
from handoff.helpdesk import HelpDesk
from handoff.marks import mark, with_mark
from handoff.transitions import Created, InDoubt
from handoff.transport import RequestsTransport
from tests.wire import DATES, ORDERS, Start, WireFreshdesk

REFERENCE = "BF-7K3QX2AB"
EMAIL = "ana@example.com"
FIELDS = {"email": EMAIL, "subject": f"Retiros {mark(REFERENCE)}", "description": with_mark("<p>x</p>", REFERENCE)}

NOTHING = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"
NOBODY = b'{"description":"Validation failed","errors":[{"field":"email","code":"invalid_value"}]}'
REFUSED = b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%b" % (len(NOBODY), NOBODY)

FAULTS: dict[str, dict[str, Any]] = {
    "none": {},
    "interim answers": {"interim": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"},
    "chunks": {"chunked": True},
    "drip": {"drip_s": 0.0001},
    "no Link": {"linked": False},
    "no Link, wrong order": {"linked": False, "order": "ascending"},
    "nothing by address": {"by_email": NOTHING, "linked": False},
    "address refused": {"by_email": REFUSED},
    "clock 400 s behind": {"skew_s": -400.0, "by_email": NOTHING},
    "clock two days behind": {"skew_s": -172_800.0},
    "clock two days ahead": {"skew_s": 172_800.0},
    "clock 400 s behind and no Date": {"skew_s": -400.0, "dated": False},
    **{f"order: {order}": {"order": order, "by_email": NOTHING} for order in ORDERS},
    **{f"date: {date}": {"date": date} for date in DATES},
}


def desk_of(start: Start, wire: WireFreshdesk) -> HelpDesk:
    """Return a help desk account over a real socket."""
    url = f"http://127.0.0.1:{start(wire.talk).port}"
    return HelpDesk(url, FreshdeskClient(RequestsTransport(url, "key")), SystemClock())


@pytest.mark.parametrize("name", FAULTS)
def test_a_ticket_whose_answer_was_lost_is_found(start: Start, name: str) -> None:
    """Among 250 others, before anything is posted again."""
    wire = WireFreshdesk(lost=1, **FAULTS[name])
    for number in range(125):
        wire.add({"subject": f"Otro pedido {number}", "email": "other@example.com"}, ago_s=5.0)
    freshdesk = desk_of(start, wire)
    since = freshdesk.clock.now()
    deadline = Deadline(freshdesk.clock, 30.0)
    assert isinstance(freshdesk.create(FIELDS, deadline), InDoubt)
    for number in range(125):
        wire.add({"subject": f"Otro pedido {number}", "email": "other@example.com"}, ago_s=-5.0)
    assert freshdesk.look(REFERENCE, deadline, requester=Requester(EMAIL), since=since, everywhere=True) == 126
    assert sum(one.startswith("POST") for one in wire.seen) == 1


@pytest.mark.parametrize("subject", ["Retiros: no llegó el dine", f"retiros &#91;{REFERENCE.lower()}&#93; (VIP)"])
def test_a_ticket_whose_subject_was_changed_is_found(start: Start, subject: str) -> None:
    """By its description if necessary."""
    wire = WireFreshdesk()
    wire.add({**FIELDS, "subject": subject})
    freshdesk = desk_of(start, wire)
    deadline = Deadline(freshdesk.clock, 10.0)
    since = freshdesk.clock.now()
    assert freshdesk.look(REFERENCE, deadline, requester=Requester(EMAIL), since=since, everywhere=True) == 1
    assert freshdesk.look("BF-AAAAAAAA", deadline, requester=Requester(EMAIL), since=since, everywhere=True) is None


def test_control_without_a_fault_a_ticket_takes_one_request(start: Start) -> None:
    """Nothing is lost, and nothing is searched for."""
    wire = WireFreshdesk()
    freshdesk = desk_of(start, wire)
    assert freshdesk.create(FIELDS, Deadline(freshdesk.clock, 10.0)) == Created(1)
    assert wire.seen == ["POST /api/v2/tickets"]


def test_a_list_that_is_cut_off_fails(start: Start) -> None:
    """It does not show whether the ticket exists."""
    cut = b'HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n[{"id": 1, "subject": "x"}'
    freshdesk = desk_of(start, WireFreshdesk(by_email=cut))
    with pytest.raises(OutcomeUnknown):
        freshdesk.look(
            REFERENCE, Deadline(freshdesk.clock, 1.5), requester=Requester(EMAIL), since=0.0, everywhere=True
        )
