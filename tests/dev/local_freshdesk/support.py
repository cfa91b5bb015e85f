"""What the tests send, and who sends it: a program with a key, a browser without scripts."""

from __future__ import annotations

from typing import Any

import requests

from dev.local_freshdesk import LocalFreshdesk
from dev.local_freshdesk.bot import Message
from dev.local_freshdesk.helpdesk import DEFAULT_KEY

PAGOS = 1070000000101
RETIROS = 1070000000102
HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(1)">\u202egnp.exe 👩‍👩‍👧'
INERT = "&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x onerror=&#34;alert(1)&#34;&gt;gnp.exe 👩‍👩‍👧"


class Api(requests.Session):
    """A session with a key, and addresses from the API's root on."""

    def __init__(self, freshdesk: LocalFreshdesk, key: str = DEFAULT_KEY) -> None:
        super().__init__()
        self.trust_env = False
        self.auth = (key, "X")
        self.freshdesk = freshdesk

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request to this stand-in; never longer than 20 s."""
        kwargs["timeout"] = kwargs.get("timeout") or 20
        return super().request(method, f"{self.freshdesk.url}/api/v2/{url!s}", *args, **kwargs)

    def create(self, **overrides: Any) -> requests.Response:
        """POST /tickets."""
        return self.post("tickets", json=ticket(**overrides))

    def faults(self, path: str = "tickets", fields: Any = None) -> list[tuple[str, str]]:
        """Return (field, code) of what is wrong with a request; it must be refused."""
        answer = self.get(path) if fields is None else self.post(path, json=fields)
        assert (answer.status_code, answer.json()["description"]) == (400, "Validation failed")
        return [(fault["field"], fault["code"]) for fault in answer.json()["errors"]]


class Browser(requests.Session):
    """A browser without scripts, for paths of one stand-in."""

    def __init__(self, freshdesk: LocalFreshdesk) -> None:
        super().__init__()
        self.trust_env = False
        self._url = freshdesk.url

    def see(self, path: str, status: int = 200) -> str:
        """Return the page at a path."""
        answer = self.get(self._url + path, timeout=10)
        assert answer.status_code == status, answer.text
        return answer.text

    def submit(self, path: str, expected: int = 200, /, **fields: str) -> requests.Response:
        """Send a form and follow where it leads."""
        answer = self.post(self._url + path, data=fields, timeout=10)
        assert answer.status_code == expected, answer.text
        return answer


def ticket(**overrides: Any) -> dict[str, Any]:
    """Return a ticket as the function creates it; an override of None leaves the field out."""
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


def message(**overrides: str) -> Message:
    """Return what a person wrote to the bot."""
    fields = {
        "bot": "betsur",
        "category": "retiros",
        "user_email": "ana@example.com",
        "user_name": "Ana Núñez",
        "reason": "No llega mi retiro",
        "conversation_summary": "Ana espera su retiro desde el jueves.",
        "conversation_id": "conv_1",
        "message_id": "msg_1",
    }
    return Message(**{**fields, **overrides})
