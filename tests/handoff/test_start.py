"""While the function starts, no caller gets a false success."""

from __future__ import annotations

import http.client
import json
import threading
import time
from pathlib import Path

from dev.local_freshdesk import LocalFreshdesk
from tests.factories import API_KEY, SECRET
from tests.serving import starting

CALLERS = 8
PATIENCE_S = 40.0
Heard = list[tuple[int | None, dict[str, object]]]  # status (None: no answer) and body of each attempt


def attempt(port: int, who: str) -> tuple[int | None, dict[str, object]]:
    """Send one new handoff, whether or not the function listens."""
    body = json.dumps({"user_email": f"{who}@example.com", "category": "retiros", "conversation_summary": "Hola"})
    headers = {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/json"}
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
    """Send handoffs until two were answered."""
    until, number = time.monotonic() + PATIENCE_S, 0
    answered = 0
    while answered < 2 and time.monotonic() < until:
        number += 1
        heard.append(attempt(port, f"persona.{name}.{number}"))
        answered += heard[-1][0] is not None


def test_every_success_during_the_start_is_a_ticket(tmp_path: Path) -> None:
    """Callers send from the first moment; each 2xx has its own ticket in Freshdesk."""
    heard: list[Heard] = [[] for _ in range(CALLERS)]
    with LocalFreshdesk(api_key=API_KEY) as freshdesk, starting(freshdesk.url, tmp_path) as served:
        port = served.port
        callers = [threading.Thread(target=keep_asking, args=(port, f"{n}", heard[n])) for n in range(CALLERS)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        made = [ticket["id"] for ticket in freshdesk.tickets()]
    everything = [one for answers in heard for one in answers]
    assert any(status is None for status, _ in everything), "nobody knocked before it was up"
    assert [status for status, _ in everything if status is not None] == [201] * (2 * CALLERS)
    assert sorted(str(body["ticket_id"]) for status, body in everything if status) == sorted(map(str, made))
