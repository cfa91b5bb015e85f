"""What most connectors do, for comparison: one POST, and an error answer when it did not end well."""

from __future__ import annotations

from typing import Any

from dev.simulation.endpoints import ROUTING
from freshdesk_client import FreshdeskError
from handoff.delivery import Delivery
from handoff.inbound import InvalidHandoff, read_handoff
from handoff.routing import MAIN_ACCOUNT
from handoff.strict_json import MalformedJSON, parse_body
from handoff.ticket import to_ticket

TIMEOUT_S = 10.0


def post_once(delivery: Delivery, body: bytes) -> tuple[int, dict[str, Any]]:
    """Make the ticket, remember nothing."""
    try:
        handoff = read_handoff(parse_body(body))
    except (InvalidHandoff, MalformedJSON):
        return 422, {}
    fields = to_ticket(handoff, ROUTING.route(handoff.bot, handoff.category))
    try:
        ticket_id = delivery.writer.helpdesks[MAIN_ACCOUNT].client.create_ticket(fields, TIMEOUT_S)
    except FreshdeskError:
        return 503, {}
    return 201, {"status": "created", "ticket_id": ticket_id, "reference": handoff.reference}
