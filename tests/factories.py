"""Factories for tests, with keyword overrides: a body, a handoff, a route, a request. Every text in it is a canary.

No canary may ever show up in a log: `tests/conftest.py` looks for them after every test.
"""

from __future__ import annotations

import json
from typing import Any, Final

from flask import Request
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

from handoff.inbound import OTHER_FIELDS_SHOWN, OTHER_NAME_KEPT, Handoff, schema
from handoff.routing import Route
from handoff.strict_json import BODY_MAX

SECRET: Final = "canary-secret-5f0c1d9b7e3a42868c55"
API_KEY: Final = "canary-key-Zq81LmT0"
EMAIL: Final = "zoraida.canario@example.com"
PHONE: Final = "+54 9 11 5555-7391"
NAME: Final = "Zoraida Canario"
SUMMARY: Final = "Canario del resumen: el retiro no llegó."
REASON: Final = "Canario del motivo: quiero hablar con alguien."
TRANSCRIPT: Final = "Persona: canario de la charla\nBot: te paso con alguien"
CANARIES: Final = (SECRET, API_KEY, EMAIL, PHONE, NAME, "Canario del", "canario de la charla")

KEY: Final = "7K3QX2AB" + "A" * 44
REFERENCE: Final = "BF-7K3QX2AB"
SMALL_ROUTING = """\
default_bot = "betsur"
[default]
group_id = 1
priority = "low"
[bots.betsur]
name = "Betsur"
"""


def body(**overrides: Any) -> dict[str, Any]:
    """Return what Botpress sends, as a JSON object."""
    return {
        "user_email": EMAIL,
        "user_name": NAME,
        "conversation_summary": SUMMARY,
        "category": "retiros",
        "bot": "betsur",
        "reason": REASON,
        "conversation_id": "conv_1",
        "message_id": "msg_1",
        **overrides,
    }


def worst_body(character: str = "😀", bytes_each: int = 4) -> dict[str, Any]:
    r"""Return a valid body that takes as much space as any in the ledger: every field full of one character.

    Args:
        character: what fills the fields; a quote, or a newline between letters, takes more room as JSON.
        bytes_each: how many bytes the character takes as it is sent, with its escape.
    """
    rules = schema()["properties"]
    texts = {name: character * rule["x-cut-at"] for name, rule in rules.items() if "x-cut-at" in rule}
    more = {f"{number:02}{character * (OTHER_NAME_KEPT - 2)}": character * 200 for number in range(OTHER_FIELDS_SHOWN)}
    full = {**texts, **more, "user_email": EMAIL, "user_phone": PHONE, "conversation_transcript": ""}
    used = sum(len(name) + len(value) for name, value in full.items()) * bytes_each + 16 * len(full)
    return {**full, "conversation_transcript": character * ((BODY_MAX - used) // bytes_each)}


def handoff(**overrides: Any) -> Handoff:
    """Return a checked handoff."""
    given = {
        "key": KEY,
        "user_email": EMAIL,
        "user_name": NAME,
        "conversation_summary": SUMMARY,
        "category": "retiros",
        "bot": "betsur",
        "reason": REASON,
        **overrides,
    }
    return Handoff(**given)


def route(**overrides: Any) -> Route:
    """Return the route of Betsur's withdrawals."""
    given = {
        "bot": "betsur",
        "bot_name": "Betsur",
        "account": "",
        "category": "retiros",
        "label": "Retiros",
        "priority": "high",
        "group_id": 1070000000102,
        "group": "Retiros",
        **overrides,
    }
    return Route(**given)


def request(
    *,
    method: str = "POST",
    path: str = "/",
    authorization: str | None = f"Bearer {SECRET}",
    content_type: str | None = "application/json",
    raw: bytes | None = None,
    headers: dict[str, str] | None = None,
    **fields: Any,
) -> Request:
    """Return the request with `body(**fields)`, or with exactly the bytes of raw."""
    data = json.dumps(body(**fields)).encode() if raw is None and method == "POST" else raw
    given = {"Authorization": authorization, "Content-Type": content_type, **(headers or {})}
    sent = {name: value for name, value in given.items() if value is not None}
    return Request(EnvironBuilder(method=method, path=path, data=data, headers=Headers(sent)).get_environ())
