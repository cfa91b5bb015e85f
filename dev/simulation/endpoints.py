"""The real endpoint, for the simulation, fed with requests that no socket carried."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from flask import Request
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

from handoff.delivery import Delivery
from handoff.endpoint import Endpoint
from handoff.responses import MESSAGES_FILE, Messages
from handoff.routing import Routing, load_routing
from handoff.settings import DEFAULT_ROUTING

SECRET: Final = "local-secret"  # noqa: S105 -- opens nothing but this run

ROUTING: Final[Routing] = load_routing(DEFAULT_ROUTING.read_text(encoding="utf-8"))
MESSAGES: Final = Messages(MESSAGES_FILE.read_text(encoding="utf-8"))


def open_endpoint(delivery: Delivery) -> Endpoint:
    """Return the function over this delivery."""
    return Endpoint(delivery, (SECRET.encode(),), MESSAGES)


def post(endpoint: Endpoint, body: bytes, idempotency_key: str = "") -> tuple[int, dict[str, Any]]:
    """Send body as Botpress does; return the status and the JSON."""
    headers = Headers({"Authorization": f"Bearer {SECRET}"})
    if idempotency_key:
        headers["Idempotency-Key"] = idempotency_key
    environ = EnvironBuilder(method="POST", headers=headers, data=body, content_type="application/json").get_environ()
    reply = endpoint(Request(environ))
    return reply.status, json.loads(reply.body)


@contextmanager
def silence() -> Iterator[None]:
    """Keep thousands of log lines to themselves."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
