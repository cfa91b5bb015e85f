"""One function, two ways to serve it: functions-framework and AWS Lambda answer alike."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from dev.local_freshdesk import LocalFreshdesk
from tests.deploy.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

AUTH = {"Authorization": "Bearer local-secret"}
JSON = {**AUTH, "Content-Type": "application/json"}
HANDOFF: dict[str, Any] = {
    "user_email": "ana@example.com",
    "category": "retiros",
    "bot": "betsur",
    "conversation_summary": "No llegó mi retiro. ¿Qué pasó? 👩‍💻",
    "conversation_id": "c-1",
    "message_id": "m-1",
}
LATIN_1 = json.dumps(HANDOFF, ensure_ascii=False).replace("👩‍💻", "").encode("latin-1")
BODY = json.dumps(HANDOFF, ensure_ascii=False).encode()

REQUESTS: dict[str, tuple[str, str, dict[str, str], bytes]] = {
    "a handoff": ("POST", "/", JSON, BODY),
    "the same again": ("POST", "/", JSON, BODY),
    "new words": ("POST", "/", JSON, BODY.replace("No llegó".encode(), b"Sigue sin llegar")),
    "with a charset": ("POST", "/", {**AUTH, "Content-Type": "application/json; charset=utf-8"}, BODY),
    "with a key": ("POST", "/", {**JSON, "Idempotency-Key": "k-1"}, BODY),
    "on a deeper path": ("POST", "/contacto/betsur", JSON, BODY),
    "on a path with an accent": ("POST", "/atenci%C3%B3n", JSON, BODY),
    "with a query": ("POST", "/?a=1&a=2&b=%20", JSON, BODY),
    "a type that Lambda sends in base64": (
        "POST",
        "/",
        {**AUTH, "Content-Type": "application/octet-stream"},
        BODY,
    ),
    "a form": ("POST", "/", {**AUTH, "Content-Type": "application/x-www-form-urlencoded"}, b"a=1"),
    "no type": ("POST", "/", AUTH, BODY),
    "bad UTF-8": ("POST", "/", JSON, b'{"category": "\xff\xfe"}'),
    "Latin-1": ("POST", "/", JSON, LATIN_1),
    "not JSON": ("POST", "/", JSON, b"{"),
    "a list": ("POST", "/", JSON, b"[]"),
    "two of a key": ("POST", "/", JSON, b'{"bot": "a", "bot": "b"}'),
    "nothing": ("POST", "/", JSON, b""),
    "no address": ("POST", "/", JSON, b'{"category": "otros", "conversation_summary": "Hola"}'),
    "too large": ("POST", "/", JSON, b'"' + b"x" * 300_000 + b'"'),
    "no secret": ("POST", "/", {"Content-Type": "application/json"}, BODY),
    "a wrong secret": ("POST", "/", {**JSON, "Authorization": "Bearer wrong"}, BODY),
    "a secret with an accent": ("POST", "/", {**JSON, "Authorization": "Bearer señor"}, BODY),
    "what became of it": ("GET", "/?reference=BF-AAAAAAAA", AUTH, b""),
    "no reference": ("GET", "/", AUTH, b""),
    "HEAD": ("HEAD", "/", AUTH, b""),
    "PUT": ("PUT", "/", JSON, BODY),
    "PATCH": ("PATCH", "/", JSON, BODY),
    "DELETE": ("DELETE", "/", AUTH, b""),
    "OPTIONS": ("OPTIONS", "/", {"Origin": "https://example.com"}, b""),
    "TRACE": ("TRACE", "/", AUTH, b""),
    "a crawler": ("GET", "/robots.txt", {}, b""),
    "a browser": ("GET", "/favicon.ico", {}, b""),
    "a scanner": ("GET", "/.env", {}, b""),
}
OWN_HEADERS = frozenset({"content-length", "connection", "date", "server"})
"""Written by whatever serves, not by the function."""


def answers(way: str, folder: Path) -> dict[str, Any]:
    """Return each request's answer, from an empty ledger and an empty help desk."""
    packed = [
        (method, path, headers, base64.b64encode(body).decode()) for method, path, headers, body in REQUESTS.values()
    ]
    with LocalFreshdesk(port=0) as freshdesk:
        env = {
            "PATH": os.environ["PATH"],
            "FRESHDESK_URL": freshdesk.url,
            "FRESHDESK_API_KEY": "local-freshdesk-key",
            "WEBHOOK_SECRET": "local-secret",
            "LEDGER_URL": f"sqlite:///{folder / way}.db",
        }
        command = [sys.executable, "tests/deploy/answers_of.py", way]
        done = subprocess.run(
            command, cwd=ROOT, env=env, input=json.dumps(packed), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        found = [
            [status, headers, body.replace(freshdesk.url, "DESK")] for status, headers, body in json.loads(done.stdout)
        ]
    return dict(zip(REQUESTS, found, strict=True))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return all answers of the two ways."""
    folder = tmp_path_factory.mktemp("ledgers")
    return answers("framework", folder), answers("lambda", folder)


@pytest.mark.parametrize("name", REQUESTS)
def test_both_ways_answer_alike(name: str, both: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Status, body and every header that the function itself writes are the same."""
    one, other = (
        (status, {k: v for k, v in headers.items() if k not in OWN_HEADERS}, body)
        for status, headers, body in (way[name] for way in both)
    )
    assert one == other


def test_the_table_of_requests_reaches_every_kind_of_answer(
    both: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    """A comparison of refusals alone would prove little."""
    statuses = {answer[0] for answer in both[1].values()}
    assert {200, 201, 400, 401, 404, 405, 413, 415, 422} <= statuses


def said_on_lambda(tmp_path: Path, program: str) -> str:
    """Return what a program prints in a Lambda's environment."""
    env = {
        "FRESHDESK_URL": "http://127.0.0.1:9",
        "FRESHDESK_API_KEY": "local-freshdesk-key",
        "WEBHOOK_SECRET": "local-secret",
        "LEDGER_URL": f"sqlite:///{tmp_path}/handoffs.db",
        "LAMBDA_TASK_ROOT": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_on_lambda_the_packages_that_were_sent_along_come_first(tmp_path: Path) -> None:
    """Before those the runtime has: its botocore is another one."""
    assert said_on_lambda(tmp_path, "import sys, lambda_handler; print(sys.path[0])") == f"{tmp_path}/vendor\n"


def test_garbage_is_collected_again_once_all_is_imported(tmp_path: Path) -> None:
    """It is not while a copy starts; left so, a copy that lives for hours would grow until it is killed."""
    program = "import gc, lambda_handler; print(gc.isenabled(), gc.get_freeze_count() > 10_000)"
    assert said_on_lambda(tmp_path, program) == "True True\n"
