"""What the tests send and hold, with keyword overrides."""

from __future__ import annotations

from typing import Any

import requests

from dev.local_freshdesk import LocalFreshdesk
from dev.local_freshdesk.bot import Said

PAGOS = 1070000000101
RETIROS = 1070000000102


class Clock:
    """A clock that stands until it is moved; in seconds since 1970."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Tell the time."""
        return self.now

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


class Api(requests.Session):
    """A session with the key, and addresses from the API's root on."""

    def __init__(self, desk: LocalFreshdesk, key: str = "local-freshdesk-key") -> None:
        super().__init__()
        self.trust_env = False
        self.auth = (key, "X")
        self.desk = desk

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        """Send it to this desk; never longer than 20 s."""
        kwargs["timeout"] = kwargs.get("timeout") or 20
        return super().request(method, f"{self.desk.url}/api/v2/{url!s}", *args, **kwargs)

    def create(self, **overrides: Any) -> requests.Response:
        """POST /tickets."""
        return self.post("tickets", json=ticket(**overrides))

    def faults(self, **overrides: Any) -> list[tuple[str, str]]:
        """(field, code) of what is wrong with a ticket; it must be refused."""
        told = self.create(**overrides)
        assert told.status_code == 400, told.text
        assert told.json()["description"] == "Validation failed"
        return [(fault["field"], fault["code"]) for fault in told.json()["errors"]]


def ticket(**overrides: Any) -> dict[str, Any]:
    """A ticket as the function creates it; an override of None leaves the field out."""
    fields = {
        "email": "ana@example.com",
        "name": "Ana Núñez",
        "subject": "Retiros: no llega [BF-7K3QX2AB]",
        "description": "Hola<br>¿qué tal?",
        "status": 2,
        "priority": 3,
        "source": 2,
        "group_id": RETIROS,
        "tags": ["botpress", "bot:betsur"],
    }
    return {name: value for name, value in {**fields, **overrides}.items() if value is not None}


def said(**overrides: str) -> Said:
    """What a person told the bot."""
    words = {
        "bot": "betsur",
        "category": "retiros",
        "user_email": "ana@example.com",
        "user_name": "Ana Núñez",
        "reason": "No llega mi retiro",
        "conversation_summary": "Ana espera su retiro desde el jueves.",
        "conversation_id": "conv_1",
        "message_id": "msg_1",
    }
    return Said(**{**words, **overrides})
