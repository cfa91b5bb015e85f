"""S15: a flood from one address makes five tickets an hour; none of it is lost, and others are not delayed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dev.local_freshdesk import LocalFreshdesk
from handoff import sweep
from tests.endpoints import Endpoint, open_endpoint
from tests.factories import EMAIL, request
from tests.ledger_factories import with_parts

FLOOD = 60
OTHERS = 10


def flood(endpoint: Endpoint, size: int) -> list[str]:
    """Send size different handoffs of one person with others between them; return the references of the flood."""
    references = []
    for number in range(size):
        reply = endpoint(request(message_id=f"m{number}", reason=f"pedido número {number}"))
        references.append(json.loads(reply.body)["reference"])
        if number % (size // OTHERS) == 0:
            other = endpoint(request(message_id=f"o{number}", user_email=f"otra{number}@example.com"))
            assert other.status == 201
    return references


def test_one_address_gets_five_tickets_an_hour(endpoint: Endpoint, freshdesk: LocalFreshdesk) -> None:
    """The other handoffs are answered 202 and kept; the sweep adds each to the open ticket as a private note, once."""
    references = flood(endpoint, FLOOD)
    person = {ticket["requester_id"] for ticket in freshdesk.tickets() if references[0] in ticket["subject"]}.pop()
    mine = [ticket for ticket in freshdesk.tickets() if ticket["requester_id"] == person]
    assert (len(mine), len(freshdesk.tickets())) == (5, 5 + OTHERS)
    sweep.sweep(endpoint.delivery.writer, budget_s=60.0)
    notes = [note["body"] for ticket in mine for note in freshdesk.notes(ticket["id"])]
    assert len(notes) == FLOOD - 5
    texts = [ticket["subject"] for ticket in mine] + notes
    assert [reference for reference in references if sum(reference in text for text in texts) != 1] == []
    assert {str(entry.state) for entry in endpoint.delivery.writer.ledger.each()} == {"created"}


@pytest.mark.parametrize("address", [EMAIL.upper(), f"  {EMAIL} "])
def test_another_spelling_is_the_same_address(endpoint: Endpoint, freshdesk: LocalFreshdesk, address: str) -> None:
    """Case and blanks make no difference."""
    for number in range(6):
        address_now = address if number % 2 else EMAIL
        endpoint(request(message_id=f"m{number}", user_email=address_now, reason=f"{number}"))
    assert len(freshdesk.tickets()) == 5


def test_a_tagged_address_is_the_same_mailbox(endpoint: Endpoint, freshdesk: LocalFreshdesk) -> None:
    """`victim+1@`, `victim+2@`: five tickets in all, and the rest is in them as notes."""
    for number in range(8):
        endpoint(request(message_id=f"m{number}", user_email=f"victim+{number}@example.com", reason=f"{number}"))
    sweep.sweep(endpoint.delivery.writer, budget_s=60.0)
    notes = [note for ticket in freshdesk.tickets() for note in freshdesk.notes(ticket["id"])]
    assert (len(freshdesk.tickets()), len(notes)) == (5, 3)


def test_control_without_the_limit_every_handoff_is_a_ticket(freshdesk: LocalFreshdesk, tmp_path: Path) -> None:
    """With a limit of a thousand, the flood makes one ticket each."""
    with open_endpoint(freshdesk.url, tmp_path) as opened:
        open_door = with_parts(opened.delivery, policy=replace(opened.delivery.writer.policy, tickets_an_hour=1000))
        flood(Endpoint(open_door, opened._secrets, opened._messages), 20)  # noqa: SLF001 -- the parts of a real one
    assert len(freshdesk.tickets()) == 20 + OTHERS
