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
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import requests

ROOT: Final = Path(__file__).resolve().parents[2]
CARD: Final = "botpress/contacto.js"
HARNESS: Final = "botpress/studio.mjs"
_CARD_S: Final = 60  # the card gives up after 45 s
_CALL_S: Final = 20
CANNOT_CONFIRM: Final = "No pude confirmar el registro de tu pedido. ¿Querés que lo intente de nuevo?"
ASK_AGAIN: Final = "Ese dato no parece válido. ¿Me lo escribís de nuevo?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a person wrote to the bot, and where: the same ids make it the same handoff."""

    bot: str
    category: str
    user_email: str
    user_name: str
    reason: str
    conversation_summary: str
    conversation_id: str
    message_id: str

    @property
    def transcript(self) -> str:
        """The conversation as the card sends it."""
        return f"User: {self.reason}\nBot: ¿Me dejás tu correo?\nUser: {self.user_email}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came of it: `message` is what the bot answers, the rest is for the curious.

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
    """Talks to the function at `function_url` with `secret`; from Python where `node` is None."""

    def __init__(
        self, function_url: str, secret: str, *, node: str | None = None, root: Path = ROOT, pause_s: float = 2.0
    ) -> None:
        self._url = function_url
        self._secret = secret
        self._pause_s = pause_s
        has_card = (root / CARD).is_file() and (root / HARNESS).is_file()
        self._node = node if has_card else None
        self._root = root
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy of this machine has no business with its loopback
        self._session.headers["Authorization"] = f"Bearer {secret}"
        self.ran_in = _node_name(self._node) if self._node else "Python"

    @classmethod
    def found_here(cls, function_url: str, secret: str) -> Bots:
        """Return one that uses Node where this machine has it."""
        return cls(function_url, secret, node=shutil.which("node"))

    def hand_over(self, message: Message) -> Reply:
        """Do what the Contacto node does; never raises for what goes wrong on the way."""
        if self._node:
            return self._run_card(message, self._node)
        reply = self._post(message, 1)
        if reply.status is None or reply.body.get("retryable") is True:
            time.sleep(self._pause_s)
            reply = self._post(message, 2)
        return reply

    def became_of(self, reference: str) -> dict[str, Any]:
        """Return the function's answer to `GET /?reference=…`; empty where none arrived."""
        query = {"reference": reference}
        try:
            return _object(self._session.get(self._url, params=query, timeout=5, allow_redirects=False))
        except requests.RequestException:
            return {}

    def _run_card(self, message: Message, node: str) -> Reply:
        order = {"card": CARD, "globals": _studio_globals(message, self._url, self._secret)}
        try:
            done = subprocess.run(
                [node, HARNESS],
                cwd=self._root,
                input=json.dumps(order),
                capture_output=True,
                text=True,
                timeout=_CARD_S,
                check=True,
            )
            return _reply_of_card(json.loads(done.stdout), self.ran_in)
        except (subprocess.SubprocessError, OSError, ValueError) as error:
            return Reply(message=CANNOT_CONFIRM, error=type(error).__name__, ran_in=self.ran_in)

    def _post(self, message: Message, attempt: int) -> Reply:
        more = {"conversation_transcript": message.transcript, "channel": "webchat", "language": "es"}
        fields = {name: value for name, value in {**asdict(message), **more}.items() if value}
        fields.setdefault("conversation_summary", message.reason)
        try:
            answer = self._session.post(
                self._url,
                json=fields,
                headers={"Idempotency-Key": f"{message.conversation_id}:{message.message_id}"},
                timeout=_CALL_S,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            return Reply(message=CANNOT_CONFIRM, error=type(error).__name__, attempts=attempt)
        body = _object(answer)
        asks_for = _field_to_ask(body)
        return Reply(
            message=str(body.get("message") or "") or (ASK_AGAIN if asks_for else CANNOT_CONFIRM),
            status=answer.status_code,
            body=body,
            asks_for=asks_for,
            error=str(body.get("code") or ("" if answer.ok else f"http_{answer.status_code}")),
            attempts=attempt,
        )


def load_bots() -> dict[str, dict[str, Any]]:
    """Return the bots the chat page offers, by slug: name, greeting, categories, samples."""
    text = Path(__file__).with_name("bots.toml").read_text("utf-8")
    return {bot["slug"]: bot for bot in tomllib.loads(text)["bots"]}


def _studio_globals(message: Message, url: str, secret: str) -> dict[str, Any]:
    """Return what Studio gives a card: the names of botpress/README.md."""
    event = {
        "id": message.message_id,
        "messageId": message.message_id,
        "conversationId": message.conversation_id,
        "userId": "user_local",
        "botId": f"bot_{message.bot}",
        "integration": "webchat",
        "preview": message.reason,
    }
    summary = {"summary": message.conversation_summary, "transcript": message.transcript}
    return {
        "event": event,
        "workflow": {name: getattr(message, name) for name in ("category", "reason", "user_email", "user_name")},
        "conversation": {"SummaryAgent": summary},
        "user": {"TranslatorAgent": {"language": "es"}},
        "bot": {},
        "env": {"CONTACT_URL": url, "CONTACT_TOKEN": secret, "CONTACT_BOT": message.bot},
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


def _object(answer: requests.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _field_to_ask(body: dict[str, Any]) -> str:
    errors = body.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    return str(first.get("field") or "").lstrip("$./") if isinstance(first, dict) else ""


def _node_name(node: str) -> str:
    try:
        version = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (subprocess.SubprocessError, OSError):
        return "Node"
    major = re.match(r"v(\d+)", version)
    return f"Node {major[1]}" if major else "Node"
