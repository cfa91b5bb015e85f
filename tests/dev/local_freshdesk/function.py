"""A function of the tests' own: answers what it is told to, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Answer = tuple[int, Any]
CREATED: Answer = (
    201,
    {"status": "created", "ticket_id": 1, "reference": "BF-7K3QX2AB", "group": "Retiros", "priority": "high"}
    | {"message": "Listo, Ana. Tu ticket es el 1."},
)
QUEUED: Answer = (202, {"status": "queued", "reference": "BF-7K3QX2AB", "message": "Tu referencia es BF-7K3QX2AB."})
BAD_EMAIL: Answer = (
    422,
    {
        "status": 422,
        "code": "invalid-handoff",
        "retryable": False,
        "reference": "BF-7K3QX2AB",
        "message": "El correo no parece válido. ¿Me lo escribís de nuevo?",
        "errors": [{"field": "user_email", "code": "invalid", "message": "is not an e-mail address"}],
    },
)
UNAVAILABLE: Answer = (503, {"status": 503, "code": "unavailable", "retryable": True, "message": "Probá más tarde."})


class ScriptedFunction:
    """Gives its answers in turn, the last one for ever; `asked` holds (method, path, headers, body)."""

    def __init__(self, *answers: Answer, became: Any = None) -> None:
        self._answers = list(answers)
        self.became = became
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, method: str) -> Answer:
        """The next answer."""
        if method == "GET":
            return 200, self.became
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_told: object) -> None:
                """Say nothing."""

            def do_GET(self) -> None:
                """Answer."""
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                endpoint.asked.append((self.command, self.path, headers, json.loads(body) if body else None))
                status, told = endpoint.answer(self.command)
                content = told.encode() if isinstance(told, str) else json.dumps(told).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.send_header("Content-Type", "text/html" if isinstance(told, str) else "application/json")
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET  # noqa: N815 - the base class's name

        return Handler
