"""The real edge, for proofs: `main.Function`, fed with requests that no socket carried."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from unittest.mock import patch

from flask import Request
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

from handoff.delivery import Delivery
from handoff.responses import MESSAGES_FILE, Messages
from handoff.routing import Routing, load_routing
from handoff.settings import DEFAULT_ROUTING

SECRET: Final = "local-secret"  # noqa: S105 -- opens nothing but this run
_ENVIRONMENT: Final = {
    "FRESHDESK_URL": "http://127.0.0.1:9",
    "FRESHDESK_API_KEY": "local-freshdesk-key",
    "WEBHOOK_SECRET": SECRET,
}
with patch.dict(os.environ, _ENVIRONMENT):  # main reads its settings when it is imported
    from main import Function

__all__ = ["MESSAGES", "ROUTING", "open_function", "post", "silence"]

ROUTING: Final[Routing] = load_routing(DEFAULT_ROUTING.read_text(encoding="utf-8"))
MESSAGES: Final = Messages(MESSAGES_FILE.read_text(encoding="utf-8"))


def open_function(delivery: Delivery) -> Function:
    """Return the function over this delivery."""
    return Function(delivery, (SECRET.encode(),), MESSAGES)


def post(function: Function, body: bytes, idempotency_key: str = "") -> tuple[int, dict[str, Any]]:
    """Send body as Botpress does; return the status and the JSON."""
    headers = Headers({"Authorization": f"Bearer {SECRET}"})
    if idempotency_key:
        headers["Idempotency-Key"] = idempotency_key
    environ = EnvironBuilder(method="POST", headers=headers, data=body, content_type="application/json").get_environ()
    reply = function(Request(environ))
    return reply.status, json.loads(reply.body)


@contextmanager
def silence() -> Iterator[None]:
    """Keep thousands of log lines to themselves."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
