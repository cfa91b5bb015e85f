"""While the function starts, nobody hears a success that is none."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.local_freshdesk import LocalFreshdesk

ROOT = Path(__file__).parents[2]
CALLERS = 8
PATIENCE_S = 40.0
Heard = list[tuple[int | None, dict[str, object]]]  # status (None: no answer) and body of each attempt


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def starting(port: int, freshdesk: LocalFreshdesk, folder: Path) -> Iterator[None]:
    """Start the function and do not wait for it."""
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "FRESHDESK_URL": freshdesk.url,
        "FRESHDESK_API_KEY": "local-freshdesk-key",
        "WEBHOOK_SECRET": "local-secret",
        "LEDGER_URL": f"sqlite:///{folder / 'ledger.db'}",
        "THREADS": "64",
    }
    served = ["--source", "main.py", "--target", "create_ticket", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "function.log").open("wb") as log:
        command = [sys.executable, "-m", "functions_framework", *served]
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait()


def attempt(port: int, who: str) -> tuple[int | None, dict[str, object]]:
    """Send one new handoff, whether or not somebody listens."""
    body = json.dumps({"user_email": f"{who}@example.com", "category": "retiros", "conversation_summary": "Hola"})
    headers = {"Authorization": "Bearer local-secret", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("POST", "/", body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    except (OSError, http.client.HTTPException):
        return None, {}
    finally:
        connection.close()


def keep_asking(port: int, name: str, heard: Heard) -> None:
    """Send handoff after handoff until two were answered."""
    until, number = time.monotonic() + PATIENCE_S, 0
    answered = 0
    while answered < 2 and time.monotonic() < until:
        number += 1
        heard.append(attempt(port, f"persona.{name}.{number}"))
        answered += heard[-1][0] is not None


def test_every_success_while_starting_is_a_ticket(tmp_path: Path) -> None:
    """Callers knock from the first instant; whoever hears 2xx has a ticket of their own in Freshdesk."""
    heard: list[Heard] = [[] for _ in range(CALLERS)]
    port = free_port()
    with (
        LocalFreshdesk(port=0, db=None, api_key="local-freshdesk-key") as freshdesk,
        starting(port, freshdesk, tmp_path),
    ):
        callers = [threading.Thread(target=keep_asking, args=(port, f"{n}", heard[n])) for n in range(CALLERS)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        made = [ticket["id"] for ticket in freshdesk.tickets()]
    everything = [one for told in heard for one in told]
    assert any(status is None for status, _ in everything), "nobody knocked before it was up"
    assert [status for status, _ in everything if status is not None] == [201] * (2 * CALLERS)
    assert sorted(str(body["ticket_id"]) for status, body in everything if status) == sorted(map(str, made))
