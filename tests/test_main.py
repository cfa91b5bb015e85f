"""The edge: HTTP requests in, answers out, with a real delivery, a SQLite ledger and the stand-in over HTTP."""

from __future__ import annotations

import io
import json
import logging
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Request
from werkzeug.exceptions import ClientDisconnected
from werkzeug.test import EnvironBuilder

from answers import Reply
from local_freshdesk import LocalFreshdesk
from settings import SettingsError
from strict_json import BODY_MAX
from sweep import BUDGET_S
from tests.edge import NOWHERE, Function, environ, main, open_function
from tests.factories import EMAIL, PHONE, SECRET, SUMMARY, body, request
from version import VERSION, commit

ROOT = Path(main.__file__).parent
REFUSED_ADDRESS = "ñandú@example.com"  # an address by RFC 6531, and none to Freshdesk


def said(reply: Reply) -> Any:
    """Return the answer's body."""
    return json.loads(reply.body)


def kept(function: Function) -> list[tuple[str, bool]]:
    """Return the state of each row of the ledger, and whether it is a refused request's."""
    return [(str(entry.state), entry.refused) for entry in function.delivery.ledger.each()]


def test_a_handoff_becomes_a_ticket(function: Function, desk: LocalFreshdesk) -> None:
    """201 with the number of the one ticket there is, in the group the routing says."""
    reply = function(request())
    ticket = desk.tickets()[0]
    assert reply.status == 201
    assert (said(reply)["ticket_id"], said(reply)["group"], said(reply)["priority"]) == (
        ticket["id"],
        "Retiros",
        "high",
    )
    assert said(reply)["ticket_url"] == f"{desk.url}/a/tickets/{ticket['id']}"
    assert (ticket["group_id"], ticket["priority"], len(desk.tickets())) == (1070000000102, 3, 1)
    assert said(reply)["reference"] in ticket["subject"]


def test_a_repeat_is_told_the_same_ticket(function: Function, desk: LocalFreshdesk) -> None:
    """200, and no second ticket; new words become a note."""
    first, again = said(function(request())), function(request())
    assert (again.status, said(again)["status"], said(again)["ticket_id"]) == (200, "duplicate", first["ticket_id"])
    assert "warnings" not in said(again)
    more = function(request(reason="ahora con otras palabras"))
    assert (more.status, len(said(more)["warnings"]), len(desk.tickets())) == (200, 1, 1)
    assert "ahora con otras palabras" in desk.notes(first["ticket_id"])[0]["body"]


def test_the_key_in_the_header_comes_first(function: Function, desk: LocalFreshdesk) -> None:
    """Two messages under one Idempotency-Key are one handoff."""
    first = said(function(request(headers={"Idempotency-Key": "k-1"})))
    again = said(function(request(headers={"Idempotency-Key": '"k-1"'}, message_id="other")))
    assert (again["ticket_id"], len(desk.tickets())) == (first["ticket_id"], 1)


def test_an_unknown_category_is_no_fault(function: Function, desk: LocalFreshdesk) -> None:
    """It goes to the default group, with a tag."""
    assert function(request(category="cosa rara")).status == 201
    assert "sin-categoria" in desk.tickets()[0]["tags"]


def test_unknown_fields_are_named_in_the_answer(function: Function) -> None:
    """Whoever wires the bot sees that they are only shown."""
    assert said(function(request(vip=True)))["warnings"] == [
        "The field vip is not known; it is shown in the ticket under Otros datos.",
    ]


def test_a_handoff_that_must_wait_is_kept(function: Function, desk: LocalFreshdesk) -> None:
    """202, with a reference and when to ask again."""
    desk.weather("rate-limited", seconds=30)
    reply = function(request())
    assert (reply.status, said(reply)["status"]) == (202, "queued")
    assert reply.headers["Retry-After"] == "60"
    assert said(reply)["reference"] in said(reply)["message"]
    assert kept(function) == [("not_created", False)]


def test_an_address_freshdesk_refuses_is_asked_for_again(function: Function, desk: LocalFreshdesk) -> None:
    """422 on the field, in the person's language; the row waits for the correction."""
    reply = function(request(user_email=REFUSED_ADDRESS, language="en"))
    assert (reply.status, kept(function), desk.tickets()) == (422, [("rejected", True)], [])
    assert said(reply)["message"].startswith("That e-mail address does not look right.")
    assert [(e["field"], e["code"]) for e in said(reply)["errors"]] == [("user_email", "invalid")]


REFUSALS: list[tuple[dict[str, Any], int, str]] = [
    ({"raw": b"{"}, 400, "malformed-json"),
    ({"raw": b""}, 400, "malformed-json"),
    ({"raw": b"x" * (BODY_MAX + 1)}, 413, "payload-too-large"),
    ({"content_type": "text/plain"}, 415, "unsupported-media-type"),
    ({"content_type": None}, 415, "unsupported-media-type"),
    ({"headers": {"Content-Encoding": "gzip"}}, 415, "unsupported-media-type"),
    ({"user_email": "ana@"}, 422, "invalid-handoff"),
]


@pytest.mark.parametrize(("sent", "status", "code"), REFUSALS)
def test_a_refused_request_is_kept(function: Function, sent: dict[str, Any], status: int, code: str) -> None:
    """Refusing is not losing: the problem tells a reference, and the ledger has a row under it."""
    reply = function(request(**sent))
    told = said(reply)
    assert (reply.status, told["status"], told["code"], told["retryable"]) == (status, status, code, False)
    assert kept(function) == [("rejected", True)]
    assert function(request(method="GET", path=f"/?reference={told['reference']}")).status == 200


def test_a_corrected_request_becomes_the_ticket(function: Function, desk: LocalFreshdesk) -> None:
    """The same message with a good address: one ticket, and nothing left in quarantine."""
    refused = function(request(user_email="ana@"))
    corrected = function(request())
    assert (refused.status, corrected.status) == (422, 201)
    assert said(refused)["reference"] == said(corrected)["reference"]
    assert (len(desk.tickets()), kept(function)) == (1, [("created", False)])


def test_a_refusal_names_the_fields_and_no_value(function: Function) -> None:
    """Each fault has a field, a code and a sentence; nothing of what was sent comes back."""
    reply = function(request(user_email="zoraida arroba", category=None, language="en"))
    assert [(e["field"], e["code"]) for e in said(reply)["errors"]] == [
        ("category", "required"),
        ("user_email", "invalid"),
    ]
    assert said(reply)["message"].startswith("That e-mail address does not look right.")
    assert "zoraida" not in reply.body


@pytest.mark.parametrize("size", [BODY_MAX - 1, BODY_MAX])
def test_a_body_may_be_as_large_as_the_bound(function: Function, size: int) -> None:
    """To the byte."""
    raw = json.dumps(body()).encode()[:-1] + b', "relleno": "'
    raw += b"x" * (size - len(raw) - 2) + b'"}'
    assert len(raw) == size
    assert function(request(raw=raw)).status == 201


def test_a_body_past_what_is_drained_is_refused_all_the_same(function: Function) -> None:
    """The rest is left unread: 413, and its beginning kept."""
    stream = io.BytesIO(b"x" * (main.DRAIN_MAX + 3 * BODY_MAX))
    sent = streamed(stream)
    assert function(sent).status == 413
    assert stream.tell() < main.DRAIN_MAX + 2 * BODY_MAX


def streamed(stream: Any) -> Request:
    """Return a request whose body comes from stream, without Content-Length, as a chunked one does."""
    headers = {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/json"}
    wsgi = EnvironBuilder(method="POST", headers=list(headers.items())).get_environ()
    wsgi.pop("CONTENT_LENGTH", None)
    return Request({**wsgi, "wsgi.input": stream, "wsgi.input_terminated": True})


def test_a_chunked_body_is_read(function: Function) -> None:
    """Without Content-Length the body ends where the server says it ends."""
    assert function(streamed(io.BytesIO(json.dumps(body()).encode()))).status == 201


class Torn:
    """A body whose sender hung up."""

    def read(self, _size: int = -1) -> bytes:
        """Fail as the server's stream does."""
        raise ConnectionResetError


def test_a_caller_who_hangs_up_raises_no_alarm(function: Function, caplog: pytest.LogCaptureFixture) -> None:
    """503, to be sent again; a warning and no error: nobody has to act."""
    reply = function(streamed(Torn()))
    short = Request({**request().environ, "CONTENT_LENGTH": "5000", "wsgi.input_terminated": True})
    assert (reply.status, said(reply)["retryable"], function(short).status) == (503, True, 503)
    assert kept(function) == []
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_past_the_frameworks_own_bound_nothing_is_read(function: Function, caplog: pytest.LogCaptureFixture) -> None:
    """413; nothing of it could be kept, so a person is told."""
    sent = request()
    sent.max_content_length = 10
    assert function(sent).status == 413
    assert kept(function) == []
    assert "too large to keep" in caplog.messages


@pytest.mark.parametrize(
    ("told", "plain"),
    [
        ("application/json", True),
        ("Application/JSON; charset=UTF-8", True),
        ('application/json; charset="utf-8"; x=y', True),
        ("application/json;", True),
        ("application/json; charset=utf8", True),
        ("application/json; charset=latin-1", False),
        ("application/json; charset=rot13", False),
        ("application/problem+json", False),
        ("text/json", False),
        ("", False),
    ],
)
def test_plain_json_is_known_by_its_headers(told: str, plain: bool) -> None:  # noqa: FBT001 -- a table's column
    """Media type and charset in any case, and nothing that a charset could do to the reader."""
    assert main.is_json(request(content_type=told).headers) is plain


@pytest.mark.parametrize(("encoding", "plain"), [("", True), ("Identity", True), ("gzip", False), ("br", False)])
def test_a_compressed_body_is_not_plain(encoding: str, plain: bool) -> None:  # noqa: FBT001 -- a table's column
    """What is never unpacked cannot be a bomb."""
    assert main.is_json(request(headers={"Content-Encoding": encoding}).headers) is plain


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "FOO"])
def test_other_methods_are_not_allowed(function: Function, method: str) -> None:
    """405 with what is."""
    reply = function(request(method=method))
    assert (reply.status, reply.headers["Allow"]) == (405, "GET, POST")


def test_a_stranger_gets_nothing(function: Function, desk: LocalFreshdesk) -> None:
    """401 with how to authenticate; nothing is kept, nobody is called."""
    reply = function(request(authorization="Bearer wrong"))
    assert (reply.status, reply.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert (kept(function), desk.calls) == ([], [])


@pytest.mark.parametrize("told", [f"bearer {SECRET}", f"BEARER   {SECRET}  "])
def test_the_scheme_has_no_case(function: Function, told: str) -> None:
    """RFC 9110: schemes are compared without case."""
    assert function(request(authorization=told)).status == 201


def test_every_configured_secret_is_good(desk: LocalFreshdesk, tmp_path: Path) -> None:
    """While a secret is changed, the old and the new one both are; one in UTF-8, too."""
    accented = "contraseña-" * 3
    with open_function(desk.url, tmp_path, WEBHOOK_SECRET=f"{SECRET},{accented}") as function:
        sent = accented.encode().decode("latin-1")  # as WSGI hands over a header in UTF-8
        assert function(request(authorization=f"Bearer {sent}")).status == 201
        assert function(request()).status == 200


def test_what_became_of_a_handoff_can_be_asked(function: Function, desk: LocalFreshdesk) -> None:
    """GET tells the same as POST did, in any case, always with 200."""
    reference = said(function(request()))["reference"]
    told = function(request(method="GET", path=f"/?reference={reference.lower()}"))
    assert (told.status, said(told)["status"], said(told)["ticket_id"]) == (200, "created", desk.tickets()[0]["id"])
    assert EMAIL not in told.body
    assert SUMMARY not in told.body


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
def test_a_reference_nobody_has_is_unknown(function: Function, path: str, status: int, code: str) -> None:
    """And what is no reference at all never reaches the ledger."""
    reply = function(request(method="GET", path=path))
    assert (reply.status, said(reply)["code"]) == (status, code)


def test_asking_takes_the_secret_too(function: Function) -> None:
    """A reference alone tells nothing."""
    assert function(request(method="GET", path="/?reference=BF-AAAAAAAA", authorization=None)).status == 401


def break_ledger(function: Function, folder: Path) -> None:
    """Take the folder of the ledger away, so that no file can be opened there."""
    function.delivery.ledger.close()  # type: ignore[attr-defined]  # SQLite's; the protocol has none
    shutil.rmtree(folder)


def test_without_a_ledger_the_person_comes_first(desk: LocalFreshdesk, tmp_path: Path) -> None:
    """The ticket is made all the same; what cannot be made nor kept is answered 503."""
    folder = tmp_path / "gone"
    folder.mkdir()
    with open_function(desk.url, folder) as function:
        break_ledger(function, folder)
        assert function(request()).status == 201
        refused = function(request(raw=b"{"))
        asked = function(request(method="GET", path="/?reference=BF-AAAAAAAA"))
        assert [(one.status, one.headers["Retry-After"]) for one in (refused, asked)] == [(503, "5")] * 2


def test_with_everything_down_the_caller_must_send_again(tmp_path: Path) -> None:
    """503, retryable: never a false success."""
    folder = tmp_path / "gone"
    folder.mkdir()
    with open_function(NOWHERE, folder) as function:
        break_ledger(function, folder)
        reply = function(request())
        assert (reply.status, said(reply)["retryable"]) == (503, True)


def test_what_nobody_foresaw_is_answered(function: Function, caplog: pytest.LogCaptureFixture) -> None:
    """503 and an error in the log with the class's name; nothing internal in the answer."""
    unforeseen = Function(None, (SECRET.encode(),), function._messages)  # type: ignore[arg-type]  # noqa: SLF001 -- a part that breaks
    reply = unforeseen(request())
    assert (reply.status, said(reply)["code"]) == (503, "unavailable")
    assert "AttributeError" not in reply.body
    assert [vars(one)["error"] for one in caplog.records if one.message == "unforeseen"] == ["AttributeError"]


def test_the_entry_points_serve_the_function_of_the_environment() -> None:
    """What functions-framework, Lambda and the schedule call."""
    assert main.create_ticket(request(authorization=None)).status == 401
    assert main.sweep_once(1.0).as_dict()["waiting"] == 0


def test_the_start_names_version_and_commit(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever reads the log knows what runs."""
    with caplog.at_level(logging.INFO, "handoff.edge"):
        main.start(environ())
    [started] = [vars(record) for record in caplog.records if record.message == "started"]
    assert (started["version"], started["commit"]) == (VERSION, commit())


def test_a_broken_environment_stops_the_start() -> None:
    """With every fault named, and no secret."""
    with pytest.raises(SettingsError, match="DEADLINE_S"):
        main.start(environ(DEADLINE_S="x"))


def test_a_process_with_a_broken_environment_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the list of faults as its last words."""
    monkeypatch.setenv("DEADLINE_S", "x")
    with pytest.raises(SystemExit, match=r"\AThe function cannot start. Mend this and start it again:\n- "):
        runpy.run_path(str(ROOT / "main.py"))


def test_a_broken_file_of_sentences_stops_the_start(tmp_path: Path) -> None:
    """It is a fault like those of the settings."""
    (tmp_path / "messages.toml").write_text("[es", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"\A- templates: this is not TOML"):
        main.start(environ(), tmp_path / "messages.toml")


def copy_of_the_function(folder: Path) -> Path:
    """Copy what the function is made of, so that a test can break it."""
    for file in [*ROOT.glob("*.py"), ROOT / "routing.toml"]:
        shutil.copy(file, folder)
    for name in ("schemas", "templates", "ledger"):
        shutil.copytree(ROOT / name, folder / name)
    return folder


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("templates/messages.toml", "#{ticket_id}", "#{numero}", "{numero} is not filled in here"),
        ("templates/ticket.html", "handoff.reason | lines", "handoff.motivo | lines", "has no attribute 'motivo'"),
        ("templates/ticket.html", "⚠ {{ remark }}", "⚠ {{ aviso }}", "'aviso' is undefined"),
        ("templates/note.html", "{{ why }}", "{{ porque }}", "'porque' is undefined"),
        (
            "routing.toml",
            'priority = "medium"',
            'priority = "media"',
            'default.priority: "media" no vale: escribí priority = "medium"',
        ),
    ],
)
def test_a_broken_file_stops_the_start_of_the_process(tmp_path: Path, file: str, old: str, new: str, told: str) -> None:
    """Whoever changed it reads what to mend; no handoff meets the fault first."""
    folder = copy_of_the_function(tmp_path)
    broken = folder / file
    broken.write_text(broken.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "main.py"], cwd=folder, env=environ(), capture_output=True, text=True, check=False, timeout=30
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("The function cannot start. Mend this and start it again:\n- ")
    assert told in ended.stderr
    assert SECRET not in ended.stderr


def test_a_telephone_is_enough(function: Function, desk: LocalFreshdesk) -> None:
    """A person without e-mail gets a ticket as well."""
    assert function(request(user_email=None, user_phone=PHONE)).status == 201
    assert len(desk.tickets()) == 1


class Flow:
    """A body that gives up to `size` bytes, not more than `at_once`, and counts what was taken of it."""

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


def test_a_body_is_read_to_the_byte() -> None:
    """262,144 bytes are taken, not one more is read; a longer one keeps that much of its beginning."""
    whole = flowing(262_144)
    assert len(main.read_body(whole)) == 262_144
    with pytest.raises(main.BodyTooLarge) as caught:
        main.read_body(flowing(262_145, announced=262_145))
    assert len(caught.value.head) == 262_144


def test_what_is_too_long_is_drained_within_bounds() -> None:
    """So that the caller hears the answer; whoever never stops is not listened to for ever."""
    endless = flowing(10**9)
    with pytest.raises(main.BodyTooLarge):
        main.read_body(endless)
    first, chunk = 262_145, 65_536
    assert endless.stream.taken == first + -(-(8_388_608 - first) // chunk) * chunk


def test_eight_megabytes_are_drained_and_no_more() -> None:
    """However small the pieces are that it comes in."""
    endless = flowing(10**9, at_once=1_000)
    with pytest.raises(main.BodyTooLarge):
        main.read_body(endless)
    assert 8_388_608 <= endless.stream.taken < 8_388_608 + 1_000


@pytest.mark.parametrize(("came", "announced"), [(5, 10), (0, 1), (262_144, 300_000), (262_143, 262_144)])
def test_half_a_body_is_no_body(came: int, announced: int) -> None:
    """Whoever hung up half-way sends it again; half of it kept would be a second ticket."""
    with pytest.raises(ClientDisconnected):
        main.read_body(flowing(came, announced))


@pytest.mark.parametrize(("told", "handlers"), [({}, 1), ({"AWS_LAMBDA_LOG_FORMAT": "JSON"}, 0)])
def test_the_log_is_json_by_us_or_by_the_platform(told: dict[str, str], handlers: int) -> None:
    """On Lambda the runtime formats; two formatters would write every line twice."""
    log = logging.getLogger("handoff")
    before = (list(log.handlers), log.propagate, log.level)
    log.handlers.clear()
    try:
        main.start(environ(**told))
        assert len(log.handlers) == handlers
    finally:
        log.handlers[:], log.propagate = before[0], before[1]
        log.setLevel(before[2])


def test_a_pass_of_the_schedule_ends_within_its_minute() -> None:
    """serverless.yml stops the sweep after 60 s; a pass begins no row that could last longer."""
    assert BUDGET_S == 55.0
