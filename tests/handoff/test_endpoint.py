"""The endpoint: HTTP requests and answers, with a real delivery, a SQLite ledger and the stand-in over HTTP."""

from __future__ import annotations

import gzip
import io
import json
import logging
import os
import random
import re
import runpy
import shutil
import subprocess
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Request
from werkzeug.exceptions import ClientDisconnected
from werkzeug.test import EnvironBuilder

from dev.local_freshdesk import LocalFreshdesk
from handoff import bootstrap
from handoff import endpoint as endpoint_module
from handoff.inbound import Handoff
from handoff.responses import Reply
from handoff.settings import SettingsError
from handoff.strict_json import BODY_MAX, BodyTooLarge
from handoff.sweep import BUDGET_S
from handoff.version import VERSION, commit
from tests.endpoints import NOWHERE, ROOT, Endpoint, environ, open_endpoint
from tests.factories import EMAIL, PHONE, SECRET, SUMMARY, body, handoff, request

REFUSED_ADDRESS = "ñandú@example.com"  # valid by RFC 6531, but not for Freshdesk


def said(reply: Reply) -> Any:
    """Return the answer's body."""
    return json.loads(reply.body)


def kept(endpoint: Endpoint) -> list[tuple[str, bool]]:
    """Return the state of each row of the ledger, and whether its request was refused."""
    return [(str(entry.state), entry.refused) for entry in endpoint.delivery.writer.ledger.each()]


def test_a_handoff_becomes_a_ticket(endpoint: Endpoint, freshdesk: LocalFreshdesk) -> None:
    """201 with the number of the only ticket, in the group of its route."""
    reply = endpoint(request())
    ticket = freshdesk.tickets()[0]
    assert reply.status == 201
    assert (said(reply)["ticket_id"], said(reply)["group"], said(reply)["priority"]) == (
        ticket["id"],
        "Retiros",
        "high",
    )
    assert said(reply)["ticket_url"] == f"{freshdesk.url}/a/tickets/{ticket['id']}"
    assert (ticket["group_id"], ticket["priority"], len(freshdesk.tickets())) == (1070000000102, 3, 1)
    assert said(reply)["reference"] in ticket["subject"]


def test_a_repeat_gets_the_same_ticket(endpoint: Endpoint, freshdesk: LocalFreshdesk) -> None:
    """200, and no second ticket; new words become a note."""
    first, again = said(endpoint(request())), endpoint(request())
    assert (again.status, said(again)["status"], said(again)["ticket_id"]) == (200, "duplicate", first["ticket_id"])
    assert "warnings" not in said(again)
    more = endpoint(request(reason="ahora con otras palabras"))
    assert (more.status, len(said(more)["warnings"]), len(freshdesk.tickets())) == (200, 1, 1)
    assert "ahora con otras palabras" in freshdesk.notes(first["ticket_id"])[0]["body"]


def test_the_key_in_the_header_takes_precedence(endpoint: Endpoint, freshdesk: LocalFreshdesk) -> None:
    """Two messages under one Idempotency-Key are one handoff."""
    first = said(endpoint(request(headers={"Idempotency-Key": "k-1"})))
    again = said(endpoint(request(headers={"Idempotency-Key": '"k-1"'}, message_id="other")))
    assert (again["ticket_id"], len(freshdesk.tickets())) == (first["ticket_id"], 1)


def test_an_unknown_category_is_accepted(endpoint: Endpoint, freshdesk: LocalFreshdesk) -> None:
    """It goes to the default group, with a tag."""
    assert endpoint(request(category="cosa rara")).status == 201
    assert "sin-categoria" in freshdesk.tickets()[0]["tags"]


def test_unknown_fields_are_named_in_the_answer(endpoint: Endpoint) -> None:
    """They are only shown to the agent, and the bot's author should know."""
    assert said(endpoint(request(vip=True)))["warnings"] == [
        "The field vip is not known; it is shown in the ticket under Otros datos.",
    ]


def test_a_handoff_that_must_wait_is_kept(endpoint: Endpoint, freshdesk: LocalFreshdesk) -> None:
    """202, with a reference and when to ask again."""
    freshdesk.weather("rate-limited", seconds=30)
    reply = endpoint(request())
    assert (reply.status, said(reply)["status"]) == (202, "queued")
    assert reply.headers["Retry-After"] == "60"
    assert said(reply)["reference"] in said(reply)["message"]
    assert kept(endpoint) == [("not_created", False)]


def test_an_address_that_freshdesk_refuses_is_asked_for_again(endpoint: Endpoint, freshdesk: LocalFreshdesk) -> None:
    """422 for the field, in the person's language; the row waits for the correction."""
    reply = endpoint(request(user_email=REFUSED_ADDRESS, language="en"))
    assert (reply.status, kept(endpoint), freshdesk.tickets()) == (422, [("rejected", True)], [])
    assert said(reply)["message"].startswith("That e-mail address does not look right.")
    assert [(e["field"], e["code"]) for e in said(reply)["errors"]] == [("user_email", "invalid")]


REFUSALS: list[tuple[dict[str, Any], int, str]] = [
    ({"raw": b"{"}, 400, "malformed-json"),
    ({"raw": b""}, 400, "malformed-json"),
    ({"raw": b"x" * (BODY_MAX + 1)}, 413, "payload-too-large"),
    ({"raw": b'{"a": 1', "content_type": "text/plain"}, 400, "malformed-json"),
    ({"raw": b"\x1f\x8b\x08 no"}, 400, "malformed-json"),
    ({"raw": b"hola", "content_type": "text/plain"}, 415, "unsupported-media-type"),
    ({"raw": b"a=b&c=d", "content_type": "application/x-www-form-urlencoded"}, 415, "unsupported-media-type"),
    ({"raw": b"hola", "content_type": None}, 415, "unsupported-media-type"),
    ({"raw": gzip.compress(b" " * (BODY_MAX + 1)), "headers": {"Content-Encoding": "gzip"}}, 413, "payload-too-large"),
    ({"user_email": "ana@"}, 422, "invalid-handoff"),
]


@pytest.mark.parametrize(("sent", "status", "code"), REFUSALS)
def test_a_refused_request_is_kept(endpoint: Endpoint, sent: dict[str, Any], status: int, code: str) -> None:
    """The problem has a reference, and the ledger has a row for it."""
    reply = endpoint(request(**sent))
    answer = said(reply)
    assert (reply.status, answer["status"], answer["code"], answer["retryable"]) == (status, status, code, False)
    assert kept(endpoint) == [("rejected", True)]
    assert endpoint(request(method="GET", path=f"/?reference={answer['reference']}")).status == 200


def test_a_corrected_request_becomes_the_ticket(endpoint: Endpoint, freshdesk: LocalFreshdesk) -> None:
    """The same message with a valid address: one ticket, and no refused row is left."""
    refused = endpoint(request(user_email="ana@"))
    corrected = endpoint(request())
    assert (refused.status, corrected.status) == (422, 201)
    assert said(refused)["reference"] == said(corrected)["reference"]
    assert (len(freshdesk.tickets()), kept(endpoint)) == (1, [("created", False)])


def test_a_refusal_names_the_fields_and_no_value(endpoint: Endpoint) -> None:
    """Each fault has a field, a code and a sentence; the answer repeats nothing of the request."""
    reply = endpoint(request(user_email="zoraida arroba", category=None, language="en"))
    assert [(e["field"], e["code"]) for e in said(reply)["errors"]] == [
        ("category", "required"),
        ("user_email", "invalid"),
    ]
    assert said(reply)["message"].startswith("That e-mail address does not look right.")
    assert "zoraida" not in reply.body


@pytest.mark.parametrize("size", [BODY_MAX - 1, BODY_MAX])
def test_a_body_may_be_as_large_as_the_limit(endpoint: Endpoint, size: int) -> None:
    """The limit is exact to the byte."""
    raw = json.dumps(body()).encode()[:-1] + b', "relleno": "'
    raw += b"x" * (size - len(raw) - 2) + b'"}'
    assert len(raw) == size
    assert endpoint(request(raw=raw)).status == 201


def test_a_body_that_is_too_large_to_drain_is_refused_too(endpoint: Endpoint) -> None:
    """The rest is not read: 413, and its beginning is kept."""
    stream = io.BytesIO(b"x" * (endpoint_module.DRAIN_MAX + 3 * BODY_MAX))
    sent = streamed(stream)
    assert endpoint(sent).status == 413
    assert stream.tell() < endpoint_module.DRAIN_MAX + 2 * BODY_MAX


def streamed(stream: Any) -> Request:
    """Return a request whose body comes from stream without Content-Length, like a chunked one."""
    headers = {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/json"}
    wsgi = EnvironBuilder(method="POST", headers=list(headers.items())).get_environ()
    wsgi.pop("CONTENT_LENGTH", None)
    return Request({**wsgi, "wsgi.input": stream, "wsgi.input_terminated": True})


def test_a_chunked_body_is_read(endpoint: Endpoint) -> None:
    """Without Content-Length the body ends where the server says."""
    assert endpoint(streamed(io.BytesIO(json.dumps(body()).encode()))).status == 201


class Torn:
    """A body whose sender closed the connection."""

    def read(self, _size: int = -1) -> bytes:
        """Fail like the server's stream."""
        raise ConnectionResetError


def test_a_caller_that_closes_the_connection_raises_no_alarm(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    """503, to be sent again, and a warning instead of an error: nobody has to act."""
    reply = endpoint(streamed(Torn()))
    short = Request({**request().environ, "CONTENT_LENGTH": "5000", "wsgi.input_terminated": True})
    assert (reply.status, said(reply)["retryable"], endpoint(short).status) == (503, True, 503)
    assert kept(endpoint) == []
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_past_the_limit_of_the_framework_nothing_is_read(endpoint: Endpoint, caplog: pytest.LogCaptureFixture) -> None:
    """413; nothing could be kept, so an error is logged."""
    sent = request()
    sent.max_content_length = 10
    assert endpoint(sent).status == 413
    assert kept(endpoint) == []
    assert "too large to keep" in caplog.messages


MEDIA_TYPES = (
    *("application/json", "Application/JSON; charset=UTF-8", "application/problem+json", "text/json", "text/plain"),
    *("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", None, "application/octet-stream"),
    *("application/json; charset=rot13", "application/json; charset=undefined", "application/json; charset=../x"),
    "application/json; charset=utf-16",
)


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
def test_json_is_read_with_any_media_type(endpoint: Endpoint, media_type: str | None) -> None:
    """An object in UTF-8 is read whatever its media type and charset."""
    assert endpoint(request(content_type=media_type, reason="Débito")).status == 201


UTF_8 = json.dumps(body(reason="Pagué 500 €", message_id=None), ensure_ascii=False).encode()
PACKED: dict[str, tuple[bytes, dict[str, str]]] = {
    "gzip": (gzip.compress(UTF_8), {"Content-Encoding": "gzip"}),
    "gzip unannounced": (gzip.compress(UTF_8), {}),
    "deflate": (zlib.compress(UTF_8), {"Content-Encoding": "Deflate"}),
    "deflate without its header": (zlib.compress(UTF_8, wbits=-15), {"Content-Encoding": "deflate"}),
    "said to be gzip": (UTF_8, {"Content-Encoding": "gzip"}),
    "said to be deflate": (UTF_8, {"Content-Encoding": "deflate"}),
    "said to be br": (UTF_8, {"Content-Encoding": "br"}),
    "mark": (b"\xef\xbb\xbf" + UTF_8, {}),
    "utf-16": (UTF_8.decode().encode("utf-16"), {}),
    "utf-16-le": (UTF_8.decode().encode("utf-16-le"), {}),
    "windows-1252": (UTF_8.decode().encode("cp1252"), {}),
    "windows-1252 as latin-1": (UTF_8.decode().encode("cp1252"), {"Content-Type": "text/plain; charset=iso-8859-1"}),
    "iso-8859-15": (UTF_8.decode().encode("iso-8859-15"), {"Content-Type": "application/json; charset=ISO-8859-15"}),
    "made JSON twice": (json.dumps(UTF_8.decode()).encode(), {}),
}


@pytest.mark.parametrize("name", PACKED)
def test_json_is_read_in_any_encoding_and_compression(endpoint: Endpoint, freshdesk: LocalFreshdesk, name: str) -> None:
    """201 with its accents; sent again in UTF-8 and without an Idempotency-Key it is the same handoff."""
    raw, headers = PACKED[name]
    first = endpoint(request(raw=raw, headers=headers, content_type=None))
    assert first.status == 201
    assert "Pagué 500 €" in freshdesk.tickets()[0]["subject"]
    assert said(endpoint(request(raw=UTF_8)))["ticket_id"] == said(first)["ticket_id"]
    assert len(freshdesk.tickets()) == 1


GOOD = body(reason="Débito", message_id="msg_1", user_phone=PHONE)
TEXT = json.dumps(GOOD, ensure_ascii=False)
REFUSED_SPELLINGS: dict[str, tuple[bytes, str]] = {
    "cut": (TEXT[:-20].encode(), "application/json"),
    "comma": (TEXT.replace("}", ",}").encode(), "application/json"),
    "no comma": (TEXT.replace(", ", " ").encode(), "application/json"),
    "twice": (TEXT.replace("}", ', "category": "retiros"}').encode(), "application/json"),
    "nan": (TEXT.replace("}", ', "score": NaN}').encode(), "application/json"),
    "latin-1": (TEXT.replace("}", ",}").encode("latin-1"), "text/plain"),
    "quotes": (TEXT.replace("el retiro", 'el "retiro"').encode(), "application/json"),
    "newline": (TEXT.replace("el retiro", "el\nretiro").encode(), "application/json"),
    "half a character": (TEXT.replace("}", ', "x": "\\ud83d"}').encode(), "application/json"),
    "python": (repr(GOOD).encode(), "text/plain"),
    "list": (f"[{TEXT}]".encode(), "application/json"),
    "too large": (TEXT.replace("}", f', "conversation_transcript": "{"x" * BODY_MAX}"}}').encode(), "application/json"),
    "gzip, too large": (gzip.compress(TEXT.encode() + b" " * BODY_MAX), "application/json"),
    "gzip that is too large itself": (
        gzip.compress(TEXT.encode() + random.Random(1).randbytes(2 * BODY_MAX)),
        "application/json",
    ),
    "gzip that is too large, packed and unpacked": (
        gzip.compress((TEXT + random.Random(1).randbytes(2 * BODY_MAX).hex()).encode()),
        "application/json",
    ),
    "form": (urlencode(GOOD).encode(), "application/x-www-form-urlencoded"),
    "form in latin-1": (urlencode(GOOD, encoding="latin-1").encode(), "application/x-www-form-urlencoded"),
    "JSON in a form": (urlencode({"payload": TEXT}).encode(), "application/x-www-form-urlencoded"),
    "JSON as a form": (urlencode({TEXT: ""}).encode(), "application/x-www-form-urlencoded"),
    "multipart": (
        "".join(f'--x\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in GOOD.items()).encode(),
        "multipart/form-data; boundary=x",
    ),
    "lines": ("\n".join(f"{name}: {value}" for name, value in GOOD.items()).encode(), "text/plain"),
}


@pytest.mark.parametrize("name", REFUSED_SPELLINGS)
def test_the_correction_of_a_broken_request_is_the_same_handoff(
    endpoint: Endpoint, freshdesk: LocalFreshdesk, name: str
) -> None:
    """Sent again without an Idempotency-Key it is one ticket, because the ids were read from the broken request."""
    raw, media_type = REFUSED_SPELLINGS[name]
    assert endpoint(request(raw=raw, content_type=media_type)).status in {400, 413, 415}
    kept_now = [Handoff.from_json(entry.handoff) for entry in endpoint.delivery.writer.ledger.each()]
    assert [(one.user_email, one.category, one.bot, one.reason) for one in kept_now] == [
        (EMAIL, "retiros", "betsur", "Débito"),
    ]
    assert endpoint(request(raw=TEXT.encode())).status == 201
    assert (len(freshdesk.tickets()), kept(endpoint)) == (1, [("created", False)])


def test_an_invalid_phone_with_a_valid_email_is_accepted(endpoint: Endpoint) -> None:
    """201; the agent sees the phone as written, and the answer names the field."""
    reply = endpoint(request(user_phone="no tengo"))
    assert (reply.status, said(reply)["warnings"]) == (
        201,
        ["The value of user_phone cannot be used; it is shown in the ticket under Otros datos."],
    )


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "FOO"])
def test_other_methods_are_not_allowed(endpoint: Endpoint, method: str) -> None:
    """405 with the methods that are."""
    reply = endpoint(request(method=method))
    assert (reply.status, reply.headers["Allow"]) == (405, "GET, POST")


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "unauthorized"),
        ("Bearer ", "unauthorized"),
        (f"Basic {SECRET}", "unauthorized"),
        ("Bearer wrong", "wrong-secret"),
    ],
)
def test_only_the_log_distinguishes_a_wrong_secret_from_a_missing_one(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture, header: str | None, code: str
) -> None:
    """The bot's operator can see which one it is; a stranger cannot."""
    wrong = endpoint(request(authorization=header))
    assert wrong == endpoint(request(authorization=None))
    assert [vars(record)["code"] for record in caplog.records] == [code, "unauthorized"]


def test_a_stranger_gets_nothing(endpoint: Endpoint, freshdesk: LocalFreshdesk) -> None:
    """401 with how to authenticate; nothing is kept or called."""
    reply = endpoint(request(authorization="Bearer wrong"))
    assert (reply.status, reply.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert (kept(endpoint), freshdesk.calls) == ([], [])


@pytest.mark.parametrize("header", [f"bearer {SECRET}", f"BEARER   {SECRET}  "])
def test_the_scheme_is_not_case_sensitive(endpoint: Endpoint, header: str) -> None:
    """RFC 9110 compares schemes without case."""
    assert endpoint(request(authorization=header)).status == 201


def test_every_configured_secret_is_accepted(freshdesk: LocalFreshdesk, tmp_path: Path) -> None:
    """While a secret is changed, both the old and the new one are, also in UTF-8."""
    accented = "contraseña-" * 3
    with open_endpoint(freshdesk.url, tmp_path, WEBHOOK_SECRET=f"{SECRET},{accented}") as endpoint:
        sent = accented.encode().decode("latin-1")  # WSGI gives a header in UTF-8 like this
        assert endpoint(request(authorization=f"Bearer {sent}")).status == 201
        assert endpoint(request()).status == 200


def test_the_status_of_a_handoff_can_be_read(endpoint: Endpoint, freshdesk: LocalFreshdesk) -> None:
    """GET answers like POST did, for the reference in any case, always with 200."""
    reference = said(endpoint(request()))["reference"]
    answer = endpoint(request(method="GET", path=f"/?reference={reference.lower()}"))
    assert (answer.status, said(answer)["status"], said(answer)["ticket_id"]) == (
        200,
        "created",
        freshdesk.tickets()[0]["id"],
    )
    assert EMAIL not in answer.body
    assert SUMMARY not in answer.body


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/", 400, "missing-reference"),
        ("/?reference=", 400, "missing-reference"),
        ("/?reference=BF-AAAAAAAA", 404, "unknown-reference"),
        ("/?reference=BF-7K3QX2A1", 404, "unknown-reference"),
        ("/?reference=%00%ff'--", 404, "unknown-reference"),
        ("/?reference=" + "A" * 5000, 404, "unknown-reference"),
    ],
)
def test_a_reference_that_does_not_exist_is_unknown(endpoint: Endpoint, path: str, status: int, code: str) -> None:
    """A text that is no reference does not reach the ledger."""
    reply = endpoint(request(method="GET", path=path))
    assert (reply.status, said(reply)["code"]) == (status, code)


def test_reading_a_status_needs_the_secret_too(endpoint: Endpoint) -> None:
    """A reference alone is not enough."""
    assert endpoint(request(method="GET", path="/?reference=BF-AAAAAAAA", authorization=None)).status == 401


def break_ledger(endpoint: Endpoint, folder: Path) -> None:
    """Remove the ledger's folder, so that no file can be opened there."""
    endpoint.delivery.writer.ledger.close()
    shutil.rmtree(folder)


def test_without_a_ledger_a_ticket_is_still_created(freshdesk: LocalFreshdesk, tmp_path: Path) -> None:
    """The ticket is created all the same; a request that is neither created nor kept is answered 503."""
    folder = tmp_path / "gone"
    folder.mkdir()
    with open_endpoint(freshdesk.url, folder) as endpoint:
        break_ledger(endpoint, folder)
        assert endpoint(request()).status == 201
        refused = endpoint(request(raw=b"{"))
        asked = endpoint(request(method="GET", path="/?reference=BF-AAAAAAAA"))
        assert [(one.status, one.headers["Retry-After"]) for one in (refused, asked)] == [(503, "5")] * 2


def test_if_nothing_works_the_caller_must_send_again(tmp_path: Path) -> None:
    """503, retryable: never a false success."""
    folder = tmp_path / "gone"
    folder.mkdir()
    with open_endpoint(NOWHERE, folder) as endpoint:
        break_ledger(endpoint, folder)
        reply = endpoint(request())
        assert (reply.status, said(reply)["retryable"]) == (503, True)


def test_an_unforeseen_error_is_answered(endpoint: Endpoint, caplog: pytest.LogCaptureFixture) -> None:
    """503, and an error in the log with the class and the place; the answer has nothing internal."""
    unforeseen = Endpoint(None, (SECRET.encode(),), endpoint._messages)  # type: ignore[arg-type]  # noqa: SLF001 -- a part that breaks
    reply = unforeseen(request())
    assert (reply.status, said(reply)["code"]) == (503, "unavailable")
    assert "AttributeError" not in reply.body
    [logged] = [vars(one) for one in caplog.records if one.message == "unforeseen"]
    assert logged["error"] == "AttributeError"
    assert re.fullmatch(r"handoff/endpoint\.py:\d+ _delivered", logged["place"])


def test_the_entry_points_serve_the_function_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are called by functions-framework, Lambda and the schedule."""
    monkeypatch.setattr(os, "environ", environ(ledger=tmp_path / "handoffs.db"))
    main = runpy.run_path(str(ROOT / "main.py"))
    assert main["create_ticket"](request(authorization=None)).status == 401
    assert main["sweep_once"](1.0).as_dict()["waiting"] == 0
    main["ENDPOINT"].delivery.writer.ledger.close()


def test_the_first_log_line_has_version_and_commit(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """It identifies the running code."""
    with caplog.at_level(logging.INFO, "handoff.bootstrap"), open_endpoint(NOWHERE, tmp_path):
        pass
    [started] = [vars(record) for record in caplog.records if record.message == "started"]
    assert (started["version"], started["commit"]) == (VERSION, commit())


def test_a_broken_environment_stops_the_start() -> None:
    """The error names every fault, and no secret."""
    with pytest.raises(SettingsError, match="DEADLINE_S"):
        bootstrap.open_endpoint(environ(DEADLINE_S="x"))


def test_a_process_with_a_broken_environment_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends with the list of faults."""
    monkeypatch.setenv("DEADLINE_S", "x")
    with pytest.raises(SystemExit, match=r"\AThe function cannot start. Fix this and start it again:\n- "):
        runpy.run_path(str(ROOT / "main.py"))


def test_a_broken_file_of_sentences_stops_the_start(tmp_path: Path) -> None:
    """It is reported like faults of the settings."""
    (tmp_path / "messages.toml").write_text("[es", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"\A- templates: this is not TOML"):
        bootstrap.open_endpoint(environ(), tmp_path / "messages.toml")


def copy_of_the_function(folder: Path) -> Path:
    """Copy the function's files, so that a test can break one."""
    for file in ROOT.glob("*.py"):
        shutil.copy(file, folder)
    for name in ("schemas", "config", "handoff"):
        shutil.copytree(ROOT / name, folder / name)
    return folder


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("config/messages.toml", "#{ticket_id}", "#{numero}", "{numero} is not filled in here"),
        ("config/ticket.html", "handoff.reason | lines", "handoff.motivo | lines", "has no attribute 'motivo'"),
        ("config/ticket.html", "⚠ {{ remark }}", "⚠ {{ aviso }}", "'aviso' is undefined"),
        ("config/note.html", "{{ why }}", "{{ porque }}", "'porque' is undefined"),
        (
            "config/routing.toml",
            'priority = "medium"',
            'priority = "media"',
            'default.priority: "media" no vale: escribí priority = "medium"',
        ),
    ],
)
def test_a_broken_file_stops_the_start_of_the_process(
    tmp_path: Path, file: str, old: str, new: str, message: str
) -> None:
    """The error says what to correct, before any handoff."""
    folder = copy_of_the_function(tmp_path)
    broken = folder / file
    broken.write_text(broken.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "main.py"], cwd=folder, env=environ(), capture_output=True, text=True, check=False, timeout=30
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("The function cannot start. Fix this and start it again:\n- ")
    assert message in ended.stderr
    assert SECRET not in ended.stderr


def test_a_phone_is_enough(endpoint: Endpoint, freshdesk: LocalFreshdesk) -> None:
    """A person without an e-mail address gets a ticket as well."""
    assert endpoint(request(user_email=None, user_phone=PHONE)).status == 201
    assert len(freshdesk.tickets()) == 1


class Flow:
    """A body that gives up to `size` bytes, at most `at_once` at a time, and counts the bytes taken."""

    def __init__(self, size: int, at_once: int) -> None:
        self.left = size
        self.at_once = at_once
        self.taken = 0

    def read(self, most: int) -> bytes:
        """Give as much as is asked for and left."""
        given = min(most, self.left, self.at_once)
        self.left -= given
        self.taken += given
        return b"x" * given


def flowing(size: int, announced: int | None = None, *, at_once: int = 10**9) -> Any:
    """Return a request whose body is a Flow."""
    return SimpleNamespace(stream=Flow(size, at_once), content_length=announced)


def test_a_body_is_read_up_to_the_limit() -> None:
    """262,144 bytes are read, and no more; of a longer body that much of its beginning is kept."""
    whole = flowing(262_144)
    assert len(endpoint_module.read_body(whole)) == 262_144
    with pytest.raises(BodyTooLarge) as caught:
        endpoint_module.read_body(flowing(262_145, announced=262_145))
    assert len(caught.value.head) == 262_144


def test_a_body_that_is_too_long_is_drained_within_limits() -> None:
    """The caller must be able to read the answer, but a sender that never ends is cut off."""
    endless = flowing(10**9)
    with pytest.raises(BodyTooLarge):
        endpoint_module.read_body(endless)
    first, chunk = 262_145, 65_536
    assert endless.stream.taken == first + -(-(8_388_608 - first) // chunk) * chunk


def test_at_most_eight_megabytes_are_drained() -> None:
    """However small the pieces of the body are."""
    endless = flowing(10**9, at_once=1_000)
    with pytest.raises(BodyTooLarge):
        endpoint_module.read_body(endless)
    assert 8_388_608 <= endless.stream.taken < 8_388_608 + 1_000


@pytest.mark.parametrize(("came", "announced"), [(5, 10), (0, 1), (262_144, 300_000), (262_143, 262_144)])
def test_an_incomplete_body_is_not_kept(came: int, announced: int) -> None:
    """The caller sends it again; if half of it were kept, there would be a second ticket."""
    with pytest.raises(ClientDisconnected):
        endpoint_module.read_body(flowing(came, announced))


@pytest.mark.parametrize(("variables", "handlers"), [({}, 1), ({"AWS_LAMBDA_LOG_FORMAT": "JSON"}, 0)])
def test_the_log_is_formatted_once(variables: dict[str, str], handlers: int, tmp_path: Path) -> None:
    """On Lambda the runtime formats the log; two formatters would write every line twice."""
    log = logging.getLogger("handoff")
    before = (list(log.handlers), log.propagate, log.level)
    log.handlers.clear()
    try:
        with open_endpoint(NOWHERE, tmp_path, **variables):
            assert len(log.handlers) == handlers
    finally:
        log.handlers[:], log.propagate = before[0], before[1]
        log.setLevel(before[2])


def test_a_scheduled_pass_ends_within_a_minute() -> None:
    """serverless.yml stops the sweep after 60 s; a pass starts no row that could last longer."""
    assert BUDGET_S == 55.0


def test_an_ambiguous_reference_is_a_409_without_a_number(endpoint: Endpoint) -> None:
    """The answer must not show somebody else's ticket."""
    delivery = endpoint.delivery
    for key in ("B" * 8 + "C" * 44, "B" * 8 + "D" * 44):
        delivery.deliver(handoff(key=key, reason=key))
    reply = endpoint(request(method="GET", path="/?reference=BF-BBBBBBBB"))
    assert (reply.status, said(reply)["code"], "ticket_id" in reply.body) == (409, "ambiguous-reference", False)


def test_an_unknown_bot_and_a_value_that_does_not_fit_are_warned_of(tmp_path: Path, freshdesk: LocalFreshdesk) -> None:
    """The ticket is made, under the default bot and with the value shown, and whoever tests the bot sees it."""
    routing = (ROOT / "config" / "routing.toml").read_text(encoding="utf-8")
    file = tmp_path / "routing.toml"
    file.write_text(routing + '\n[fields]\nveces = { field = "cf_intentos", type = "number" }\n', encoding="utf-8")
    with open_endpoint(freshdesk.url, tmp_path, ROUTING_FILE=str(file)) as endpoint:
        answer = json.loads(endpoint(request(bot="instituccional", fields={"veces": "tres"})).body)
    assert answer["warnings"] == [
        "The value of fields.veces does not fit the help desk's field; it is shown in the ticket.",
        "The bot is not in routing.toml; the default bot's routes apply.",
    ]
    (ticket,) = freshdesk.tickets()
    assert "bot-desconocido" in ticket["tags"]


@pytest.mark.parametrize(("channel", "status"), [("WhatsApp", 201), ("webchat", 422), ("", 422)])
def test_on_a_messenger_nobody_needs_an_address(
    tmp_path: Path, freshdesk: LocalFreshdesk, channel: str, status: int
) -> None:
    """The person is a contact of their own, by the bot's name and Botpress's id of the user."""
    sent = request(user_email="", user_id="user_01HZX1", channel=channel, bot="betsur")
    with open_endpoint(freshdesk.url, tmp_path) as endpoint:
        assert endpoint(sent).status == status
    tickets = freshdesk.tickets()
    assert len(tickets) == (status == 201)
    for ticket in tickets:
        assert "contestale en la conversación" in ticket["description"]
