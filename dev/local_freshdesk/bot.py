"""Plays Botpress: hands a conversation over as the Contacto card does, with the very card where Node is present.

The card and its harness live in `botpress/`; without Node the same request is sent from Python.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import requests

ROOT: Final = Path(__file__).resolve().parents[2]
BOTS_FILE: Final = Path(__file__).with_name("bots.toml")
CARD: Final = "botpress/contacto.js"
# The card gives up after 45 s, Botpress ends a turn after 60 s.
_TURN_S: Final = 60
_CALL_S: Final = 20
_REFERENCE_S: Final = 5
CANNOT_CONFIRM: Final = "No pude confirmar el registro de tu pedido. ¿Querés que lo intente de nuevo?"
ASK_AGAIN: Final = "Ese dato no parece válido. ¿Me lo escribís de nuevo?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the person told the bot, and where: the same ids make it the same handoff."""

    bot: str
    category: str
    user_email: str
    user_name: str
    reason: str
    conversation_summary: str
    conversation_id: str
    message_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came of it: `message` is what the bot says, the rest is for the curious.

    `status` is None where no answer arrived; `ran_in` is "Node 20" or "Python".
    """

    message: str
    status: int | None = None
    body: dict[str, Any] = field(default_factory=dict)
    asks_for: str = ""
    error: str = ""
    attempts: int = 1
    ran_in: str = "Python"

    @property
    def ticket_id(self) -> str:
        """The ticket's number, or nothing."""
        return str(self.body.get("ticket_id") or "")

    @property
    def reference(self) -> str:
        """BF-…, or nothing."""
        return str(self.body.get("reference") or "")


class Bots:
    """Talks to the function at `function_url` with `secret`; `node` None means: from Python."""

    def __init__(
        self, function_url: str, secret: str, *, node: str | None = None, root: Path = ROOT, pause_s: float = 2.0
    ) -> None:
        self.function_url = function_url
        self._secret = secret
        self._pause_s = pause_s
        has_card = (root / CARD).is_file() and (root / "botpress" / "studio.mjs").is_file()
        self._node = node if has_card else None
        self._root = root
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy of this machine has no business with its loopback
        self.ran_in = _node_name(self._node) if self._node else "Python"

    @classmethod
    def found_here(cls, function_url: str, secret: str) -> Bots:
        """With Node where this machine has it."""
        return cls(function_url, secret, node=shutil.which("node"))

    def hand_over(self, said: Said) -> Reply:
        """Do what the Contacto node does; never raises for what goes wrong on the way."""
        if self._node:
            return self._with_the_card(said, self._node)
        return self._from_python(said)

    def became_of(self, reference: str) -> dict[str, Any]:
        """The function's answer to `GET /?reference=…`; empty where none arrived."""
        try:
            told = self._session.get(
                self.function_url,
                params={"reference": reference},
                headers={"Authorization": f"Bearer {self._secret}"},
                timeout=_REFERENCE_S,
                allow_redirects=False,
            )
            return _object(told)
        except requests.RequestException:
            return {}

    def _with_the_card(self, said: Said, node: str) -> Reply:
        order = {"card": CARD, "globals": _globals(said, self.function_url, self._secret)}
        try:
            done = subprocess.run(
                [node, "botpress/studio.mjs"],
                cwd=self._root,
                input=json.dumps(order),
                capture_output=True,
                text=True,
                timeout=_TURN_S,
                check=True,
            )
            return _reply_of_card(json.loads(done.stdout), self.ran_in)
        except (subprocess.SubprocessError, OSError, ValueError) as error:
            return Reply(message=CANNOT_CONFIRM, error=type(error).__name__, ran_in=self.ran_in)

    def _from_python(self, said: Said) -> Reply:
        reply = self._one_call(said, 1)
        if reply.status is None or reply.body.get("retryable") is True:
            time.sleep(self._pause_s)
            reply = self._one_call(said, 2)
        return reply

    def _one_call(self, said: Said, attempt: int) -> Reply:
        try:
            told = self._session.post(
                self.function_url,
                json=_handoff(said),
                headers={"Authorization": f"Bearer {self._secret}", "Idempotency-Key": _key(said)},
                timeout=_CALL_S,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            return Reply(message=CANNOT_CONFIRM, error=type(error).__name__, attempts=attempt)
        body = _object(told)
        asks_for = _field_to_ask(body)
        message = str(body.get("message") or "") or (ASK_AGAIN if asks_for else CANNOT_CONFIRM)
        code = str(body.get("code") or ("" if told.ok else f"http_{told.status_code}"))
        return Reply(
            message=message, status=told.status_code, body=body, asks_for=asks_for, error=code, attempts=attempt
        )


def load_bots(path: Path = BOTS_FILE) -> dict[str, dict[str, Any]]:
    """The bots the chat page offers, by slug: name, greeting, categories, samples."""
    return {bot["slug"]: bot for bot in tomllib.loads(path.read_text("utf-8"))["bots"]}


def _key(said: Said) -> str:
    return f"{said.conversation_id}:{said.message_id}"


def _handoff(said: Said) -> dict[str, str]:
    fields = {
        "bot": said.bot,
        "category": said.category,
        "user_email": said.user_email,
        "user_name": said.user_name,
        "reason": said.reason,
        "conversation_summary": said.conversation_summary or said.reason,
        "conversation_transcript": _transcript(said),
        "conversation_id": said.conversation_id,
        "message_id": said.message_id,
        "channel": "webchat",
        "language": "es",
    }
    return {name: value for name, value in fields.items() if value}


def _transcript(said: Said) -> str:
    return f"User: {said.reason}\nBot: ¿Me dejás tu correo?\nUser: {said.user_email}"


def _globals(said: Said, url: str, secret: str) -> dict[str, Any]:
    """What Studio gives a card: the names of botpress/README.md."""
    event = {
        "id": said.message_id,
        "messageId": said.message_id,
        "conversationId": said.conversation_id,
        "userId": "user_local",
        "botId": f"bot_{said.bot}",
        "integration": "webchat",
        "preview": said.reason,
    }
    workflow = {
        "category": said.category,
        "reason": said.reason,
        "user_email": said.user_email,
        "user_name": said.user_name,
    }
    return {
        "event": event,
        "workflow": workflow,
        "conversation": {"SummaryAgent": {"summary": said.conversation_summary, "transcript": _transcript(said)}},
        "user": {"TranslatorAgent": {"language": "es"}},
        "bot": {},
        "env": {"CONTACT_URL": url, "CONTACT_TOKEN": secret, "CONTACT_BOT": said.bot},
    }


def _reply_of_card(done: dict[str, Any], ran_in: str) -> Reply:
    workflow, calls = done.get("workflow") or {}, done.get("calls") or []
    last = calls[-1] if calls else {}
    body = last.get("body")
    return Reply(
        message=str(workflow.get("ticketMessage") or CANNOT_CONFIRM),
        status=last.get("status"),
        body=body if isinstance(body, dict) else {},
        asks_for=str(workflow.get("ticketField") or ""),
        error=str(workflow.get("ticketError") or done.get("error") or ""),
        attempts=max(len(calls), 1),
        ran_in=ran_in,
    )


def _object(told: requests.Response) -> dict[str, Any]:
    try:
        body = told.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _field_to_ask(body: dict[str, Any]) -> str:
    errors = body.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    return str(first.get("field") or "").lstrip("$./") if isinstance(first, dict) else ""


def _node_name(node: str) -> str:
    try:
        told = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (subprocess.SubprocessError, OSError):
        return "Node"
    major = re.match(r"v(\d+)", told)
    return f"Node {major[1]}" if major else "Node"
