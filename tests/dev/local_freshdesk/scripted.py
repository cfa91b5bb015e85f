"""A function of the tests' own: answers what a script says, and keeps what it was asked."""

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
        "message": "El correo no parece válido. ¿Me lo escribís de nuevo?",
        "errors": [{"field": "user_email", "code": "invalid", "message": "is not an e-mail address"}],
    },
)
UNAVAILABLE: Answer = (503, {"status": 503, "code": "unavailable", "retryable": True, "message": "Probá más tarde."})


class ScriptedFunction:
    """Gives its answers in order, the last one for ever; `became` answers GET.

    `asked` holds (path, headers, body) of each request.
    """

    def __init__(self, *answers: Answer, became: Any = None) -> None:
        self._answers = list(answers)
        self.became = became
        self.asked: list[tuple[str, dict[str, str], Any]] = []
        function = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_args: object) -> None:
                """Log nothing."""

            def do_GET(self) -> None:
                """Answer what it was given to answer."""
                self._answer(200, function.became)

            def do_POST(self) -> None:
                """Answer the next of the script."""
                answers = function._answers
                self._answer(*(answers.pop(0) if len(answers) > 1 else answers[0]))

            def _answer(self, status: int, body: Any) -> None:
                asked = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                function.asked.append((self.path, headers, json.loads(asked) if asked else None))
                content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
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
