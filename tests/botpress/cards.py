"""Run a card under Node as Studio does, and a server that gives it scripted answers."""

from __future__ import annotations

import http.client
import json
import socket
import struct
import subprocess
import threading
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT: Final = Path(__file__).parents[2]
NODE_PACKAGES: Final = ROOT / "tests" / "botpress" / "node"
STUDIO: Final = ROOT / "botpress" / "studio.mjs"
CARDS: Final = {"cloud": ROOT / "botpress" / "contacto.js", "v12": ROOT / "botpress" / "contacto.v12.js"}
TOKEN: Final = "local-secret"
# What the card fills in: fields of `workflow.contacto`, and in older flows variables of their own.
OUTPUTS: Final = ("ticketOk", "ticketId", "ticketReference", "ticketMessage", "ticketError", "ticketField")

# Waits that a test does not need; the real values in the card are checked separately.
QUICK: Final = {
    "cloud": {
        "TIMEOUT_MS = 20000": "TIMEOUT_MS = 1500",
        "BUDGET_MS = 45000": "BUDGET_MS = 9000",
        "PAUSE_MS = 2000": "PAUSE_MS = 40",
    },
    "v12": {
        "|| 20000": "|| 1500",
        "TIMEOUT_MS > 5000 ? 45000 : TIMEOUT_MS": "9000",
        "PAUSE_MS = 2000": "PAUSE_MS = 40",
    },
}
PATIENT: Final = {"TIMEOUT_MS = 20000": "TIMEOUT_MS = 9000", "PAUSE_MS = 2000": "PAUSE_MS = 40"}


@dataclass(frozen=True, kw_only=True)
class Run:
    """The result of a card: its variables, log lines and calls, and an error if it threw one."""

    workflow: dict[str, Any]
    logs: list[str]
    error: str | None
    calls: list[dict[str, Any]]
    axios: str
    ms: int
    asked: list[dict[str, Any]]
    session: dict[str, Any] = field(default_factory=dict)

    @property
    def statuses(self) -> list[int | None]:
        """Return the status of each call, None if no answer came."""
        return [call["status"] for call in self.calls]


def conversation(**overrides: Any) -> dict[str, Any]:
    """Return the globals of a Cloud conversation; keywords replace or add workflow variables."""
    return {
        "event": {
            "id": "evt_1",
            "conversationId": "conv_1",
            "messageId": "msg_1",
            "userId": "user_1",
            "botId": "bot_1",
            "integration": "webchat",
            "preview": "quiero hablar con alguien",
        },
        "workflow": {
            "category": "retiros",
            "user_email": "ana@example.com",
            "user_name": "Ana Núñez",
            "reason": "No me llega el retiro",
            **overrides,
        },
        "conversation": {
            "SummaryAgent": {
                "summary": "Ana espera un retiro desde ayer. 👨‍👩‍👧",
                "transcript": "User: hola\nBot: ¿qué pasó?",
            },
        },
        "user": {"TranslatorAgent": {"language": "es"}},
        "bot": {},
        "env": {"CONTACT_TOKEN": TOKEN, "CONTACT_BOT": "betsur"},
    }


def message(text: str = "hola", **overrides: Any) -> dict[str, Any]:
    """Return a message of the person as Botpress lists it; keywords replace or add parts."""
    base = {"id": f"msg_{uuid.uuid4().hex}", "createdAt": "2026-11-25T17:03:20.000Z", "direction": "incoming"}
    return {**base, "type": "text", "payload": {"text": text}, "conversationId": "conv_1", **overrides}


def v12_conversation(**overrides: Any) -> dict[str, Any]:
    """Return the globals of a v12 conversation; keywords replace or add temp variables."""
    return {
        "event": {
            "id": "evt_1",
            "threadId": "conv_1",
            "target": "user_1",
            "botId": "bot_1",
            "channel": "web",
            "preview": "quiero hablar con alguien",
        },
        "temp": {
            "category": "retiros",
            "user_email": "ana@example.com",
            "user_name": "Ana Núñez",
            "reason": "No me llega el retiro",
            **overrides,
        },
        "session": {"lastMessages": [{"incomingPreview": "hola", "replyPreview": "¿qué pasó?"}]},
        "user": {"language": "es"},
        "args": {},
        "env": {"EXPOSED_CONTACT_TOKEN": TOKEN, "EXPOSED_CONTACT_BOT": "betsur"},
    }


@dataclass(frozen=True, kw_only=True)
class Card:
    """The text of a card, its mode, and the axios that it runs with."""

    mode: str
    text: str
    folder: Path
    axios: str | None = None

    def edited(self, changes: dict[str, str]) -> Card:
        """Return the card with parts of its text replaced; each part must be there."""
        text = self.text
        for old, new in changes.items():
            assert old in text, old
            text = text.replace(old, new, 1)
        return Card(mode=self.mode, text=text, folder=self.folder, axios=self.axios)

    def run(self, url: str | None = None, scene: dict[str, Any] | None = None, **options: Any) -> Run:
        """Run the card against url in scene (the globals); options are passed to the harness unchanged."""
        if scene is None:
            scene = v12_conversation() if self.mode == "v12" else conversation()
        name = "EXPOSED_CONTACT_URL" if self.mode == "v12" else "CONTACT_URL"
        if url is not None:
            scene = {**scene, "env": {name: url, **(scene.get("env") or {})}}
        path = self.folder / "card.js"
        path.write_text(self.text, encoding="utf-8")
        order = {"card": str(path), "globals": scene, "mode": self.mode, "axios": self.axios, **options}
        return studio(json.dumps(order))


def studio(order: str) -> Run:
    """Give the harness one command (JSON) and return its answer; it must exit with 0."""
    done = subprocess.run(["node", str(STUDIO)], input=order.encode(), capture_output=True, check=True, timeout=70)
    out = json.loads(done.stdout)
    out["workflow"] = out.pop("temp", None) or out["workflow"]
    return Run(**{**out, "session": out.get("session") or {}})


def well_ended(run: Run) -> bool:
    """Return True if the card did not throw, set every variable and has a sentence to show."""
    texts = [run.workflow[name] for name in OUTPUTS[1:]]
    return (
        run.error is None
        and isinstance(run.workflow["ticketOk"], bool)
        and all(isinstance(text, str) for text in texts)
        and bool(run.workflow["ticketMessage"].strip())
        and run.workflow["ticketOk"] == (run.workflow["ticketError"] == "")
    )


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((dict(self.headers), body))
        at = min(len(self.server.received), len(self.server.answers)) - 1
        self.server.answers[at](self)
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the name in the base class
        """Log nothing; the requests are in `received`."""


class MessagesApi:
    """A server in the place of Botpress' API that lists messages, newest first, two a page."""

    def __init__(self, messages: list[dict[str, Any]]) -> None:
        self.paths: list[str] = []
        paths = self.paths

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                paths.append(self.path)
                query = parse_qs(urlsplit(self.path).query)
                start = int(query.get("nextToken", ["0"])[0])
                meta = {"nextToken": str(start + 2)} if start + 2 < len(messages) else {}
                body = json.dumps({"messages": messages[start : start + 2], "meta": meta}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the name in the base class
                """Log nothing; the requests are in `paths`."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        """Start answering."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answers: tuple[Callable[[_Handler], None], ...]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = answers
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.closing = threading.Event()


class ScriptedFunction:
    """A server in the place of the function that gives scripted answers in order, and repeats the last one."""

    def __init__(self, *answers: Callable[[_Handler], None]) -> None:
        self._server = _Server(answers)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        """Start answering."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and release callers that still wait."""
        self._server.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def headers(self) -> list[dict[str, str]]:
        """Return the headers of each request, in order."""
        return [headers for headers, _ in self._server.received]

    @property
    def bodies(self) -> list[bytes]:
        """Return the body of each request, in order."""
        return [body for _, body in self._server.received]

    @property
    def handoffs(self) -> list[dict[str, Any]]:
        """Return each body, read as strict JSON in UTF-8."""
        return [json.loads(body.decode("utf-8")) for body in self.bodies]


def reply(
    status: int, body: Any = b"", *, kind: str = "application/json", headers: dict[str, str] | None = None
) -> Callable[[_Handler], None]:
    """Answer with status and body: bytes as they are, anything else as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    def answer(handler: _Handler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Type": kind, **(headers or {})}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def reset(handler: _Handler) -> None:
    """Break the connection after the request was read, like a process that crashes."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def swallowed(url: str) -> Callable[[_Handler], None]:
    """Pass the request on to url, and lose the answer."""

    def answer(handler: _Handler) -> None:
        headers, body = handler.server.received[-1]
        there = urlsplit(url)
        connection = http.client.HTTPConnection(str(there.hostname), there.port, timeout=20)
        connection.request("POST", there.path, body, headers)
        connection.getresponse().read()
        connection.close()
        reset(handler)

    return answer


def half(handler: _Handler) -> None:
    """Announce more bytes than are sent."""
    handler.wfile.write(b'HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\n{"status": "crea')


def slow(seconds: float, then: Callable[[_Handler], None]) -> Callable[[_Handler], None]:
    """Answer after some seconds."""

    def answer(handler: _Handler) -> None:
        if not handler.server.closing.wait(seconds):
            try:
                then(handler)
            except ConnectionError:
                return  # the card closed the connection, as the test expects

    return answer


def dripping(handler: _Handler) -> None:
    """Send a byte now and then for ever: each one resets a time-out that counts only silence."""
    handler.wfile.write(b"HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\n")
    while not handler.server.closing.wait(0.1):
        try:
            handler.wfile.write(b" ")
        except ConnectionError:
            return


def created(**overrides: Any) -> dict[str, Any]:
    """Return the body of a 201."""
    base = {"status": "created", "ticket_id": 1234, "ticket_url": "https://x.example/a/tickets/1234"}
    return {**base, "reference": "BF-7K3QX2AB", "message": "Listo, es el ticket 1234.", **overrides}


def problem(code: str, *, retryable: bool, **overrides: Any) -> dict[str, Any]:
    """Return the body of a problem answer."""
    base = {
        "type": f"urn:problem:{code}",
        "title": code,
        "detail": code,
        "code": code,
        "retryable": retryable,
    }
    return {**base, "message": f"Frase de la función: {code}.", **overrides}
