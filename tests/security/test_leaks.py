"""S13, S14: no log line contains personal data or a secret, and each is one line of JSON."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from dev.local_freshdesk import LocalFreshdesk
from handoff import sweep
from handoff.log import JSONLines, log_as_json
from handoff.responses import Reply
from tests.corpora import TEXTS
from tests.endpoints import Endpoint, open_endpoint
from tests.factories import API_KEY, CANARIES, EMAIL, NAME, PHONE, SECRET, body, request
from tests.handoff.conftest import start
from tests.leaks import LEAKS, canaries_in
from tests.serving import serve
from tests.wire import Start, answering

__all__ = ["start"]  # the fixture

WEATHERS = ("slow", "rate-limited", "broken", "html-502", "down", "answer-lost", "late-write")


class Lines(logging.Handler):
    """Keeps every log record as its formatted line."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line, with its traceback if it has one."""
        line = JSONLines().format(record)
        self.lines.append(line + (logging.Formatter().formatException(record.exc_info) if record.exc_info else ""))


@contextmanager
def listening() -> Iterator[list[str]]:
    """Collect every line that any logger writes from here on, down to DEBUG."""
    handler, loggers = Lines(), (logging.getLogger(), logging.getLogger("handoff"), logging.getLogger("urllib3"))
    before = [logger.level for logger in loggers]
    for logger in loggers[:2]:
        logger.addHandler(handler)
    loggers[0].setLevel(logging.INFO)
    try:
        yield handler.lines
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)


def everything(endpoint: Endpoint, freshdesk: LocalFreshdesk) -> Iterator[Reply]:
    """Make every kind of request (valid, repeated, refused) with every fault of Freshdesk, and a sweep after each."""
    for number, weather in enumerate(WEATHERS):
        freshdesk.weather(weather, times=3, seconds=0.05)
        fresh = {"message_id": f"w{number}", "user_email": EMAIL if number < 3 else f"{number}{EMAIL}"}
        yield endpoint(request(raw=json.dumps(body(**fresh, user_phone=PHONE, otro=NAME)).encode()))
        freshdesk.weather("healthy")
        sweep.sweep(endpoint.delivery.writer, budget_s=13.0)
    yield endpoint(request(reason=f"otras palabras de {NAME}"))
    yield endpoint(request(reason=f"más palabras de {NAME}"))
    for name, wrong in (("user_email", f"{NAME}@"), ("user_phone", NAME), ("category", [NAME]), ("reason", {NAME: 1})):
        yield endpoint(request(raw=json.dumps(body(**{name: wrong}, message_id=name)).encode()))
    for raw in (f'{{"user_name": "{NAME}", '.encode(), b"\xff" + NAME.encode(), NAME.encode() * 30_000):
        yield endpoint(request(raw=raw))
    yield endpoint(request(content_type=f"text/{NAME}"))
    yield endpoint(request(authorization=f"Bearer {SECRET}{NAME}"))
    yield endpoint(request(method="GET", path=f"/?reference={EMAIL}"))
    yield endpoint(request(method=NAME.upper().replace(" ", "")))
    yield endpoint(request(headers={"Idempotency-Key": EMAIL, "X-Forwarded-For": NAME, "User-Agent": EMAIL}))


def test_no_request_leaks(endpoint: Endpoint, freshdesk: LocalFreshdesk) -> None:
    """Logs and answers contain no secret, name, address or words."""
    with listening() as lines:
        answers = [reply.body for reply in everything(endpoint, freshdesk)]
    assert len(answers) >= 20
    assert len(lines) >= 30
    assert [(line, found) for line in lines if (found := canaries_in(line))] == []
    assert [(text, found) for text in answers if (found := canaries_in(text))] == []
    assert [line for line in lines if not isinstance(json.loads(line), dict)] == []


@pytest.mark.parametrize("platform_formats", [False, True])
def test_an_unreadable_header_leaks_nothing(start: Start, tmp_path: Path, *, platform_formats: bool) -> None:
    """urllib3 would log a warning with the URL of the call, and so with the address that is searched for."""
    host = start(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nno header\r\nX-A: 1\r\n\r\n[]"))
    with listening() as lines, open_endpoint(f"http://127.0.0.1:{host.port}", tmp_path) as endpoint:
        log_as_json(platform_formats=platform_formats)
        assert endpoint(request()).status == 202
    assert len(lines) >= 1
    assert [(line, found) for line in lines if (found := canaries_in(line))] == []


def test_control_the_search_finds_a_leak() -> None:
    """One careless log line is enough."""
    with listening() as lines:
        logging.getLogger("handoff.edge").info("refused", extra={"sent": {"name": NAME}})
        assert [canaries_in(line) for line in lines if "refused" in line] != [[]]
    assert LEAKS.found  # the check after every test has seen it, too
    LEAKS.found.clear()


def test_no_error_page_leaks(tmp_path: Path) -> None:
    """If everything is down, the answer is our problem document, without a traceback."""
    with open_endpoint("http://127.0.0.1:9", tmp_path) as endpoint:
        endpoint.delivery.writer.ledger.close()
        (tmp_path / "handoffs.db").unlink(missing_ok=True)
        (tmp_path / "handoffs.db").mkdir()
        reply = endpoint(request())
    assert reply.status == 503
    assert canaries_in(reply.body) == []
    assert "Traceback" not in reply.body


def test_every_line_of_the_running_function_is_json(tmp_path: Path) -> None:
    """Control characters in fields and headers start no line of their own, and no line contains personal data."""
    with LocalFreshdesk(api_key=API_KEY) as freshdesk, serve(freshdesk.url, tmp_path) as served:
        for number, text in enumerate([*TEXTS.values()][::4]):
            fields = dict.fromkeys(("reason", "bot", "category", "user_name", "language", f"n{text}"), f"{NAME}{text}")
            sent = body(**fields, message_id=f"m{number}{text}", user_email=f"{number}{EMAIL}")
            headers = {"Authorization": f"Bearer {SECRET}", "Idempotency-Key": f"{EMAIL}{number}"}
            requests.post(served.url, json=sent, headers=headers, timeout=20)
            requests.post(served.url, data=text.encode("utf-8", "replace"), headers=headers, timeout=20)
            requests.get(served.url, params={"reference": text[:2000]}, headers=headers, timeout=20)
    lines = served.log.read_text(encoding="utf-8").splitlines()
    assert len(lines) >= 60
    assert [line for line in lines if not line.startswith("{") or "timestamp" not in json.loads(line)] == []
    assert [canary for canary in CANARIES for line in lines if canary in line] == []
