"""What is looked at before a ticket: host, key, rate limit, path, method, media types, JSON."""

from __future__ import annotations

import base64
import http.client
import socket
import struct

import pytest
import requests

from dev.local_freshdesk import LocalFreshdesk
from dev.local_freshdesk.limits import Limits
from tests.dev.local_freshdesk.factories import Api, Clock, ticket

LOGIN = {"code": "invalid_credentials", "message": "You have to be logged in to perform this action."}


def raw(desk: LocalFreshdesk, request: bytes) -> bytes:
    """What the server answers to these bytes, until it closes or pauses."""
    host, port = desk.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=2) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
        return answer


@pytest.mark.parametrize(
    "header",
    [
        None,
        "Basic ",
        "Basic !!!",
        "Bearer local-freshdesk-key",
        "Basic " + base64.b64encode(b"wrong:X").decode(),
        "Basic " + base64.b64encode("ñandú:X".encode()).decode(),
    ],
)
def test_without_the_key_nothing_is_told(desk: LocalFreshdesk, header: str | None) -> None:
    """401, before anything else is looked at: even an unknown path."""
    headers = {"Authorization": header} if header else {}
    told = requests.get(f"{desk.url}/api/v2/nada", headers=headers, timeout=5)
    assert (told.status_code, told.json()) == (401, LOGIN)


def test_any_password_will_do(desk: LocalFreshdesk) -> None:
    """The key is the user name; what follows is a convention."""
    told = requests.get(f"{desk.url}/api/v2/agents/me", auth=("local-freshdesk-key", "anything"), timeout=5)
    assert told.status_code == 200


def test_unknown_host_is_a_404(desk: LocalFreshdesk) -> None:
    """A wrong subdomain answers 404, not a DNS error; no page of another site reaches this desk."""
    told = requests.get(f"{desk.url}/api/v2/tickets", headers={"Host": "nobody.freshdesk.com"}, timeout=5)
    assert (told.status_code, told.content) == (404, b"")


def test_wrong_verb_names_the_right_ones(api: Api) -> None:
    """405 with the text a public client compares."""
    told = api.put("groups", json={})
    assert (told.status_code, told.headers["Allow"]) == (405, "GET")
    assert told.json()["message"] == "PUT method is not allowed. It should be one of these method(s): GET"


def test_verb_nobody_knows_is_a_405_too(api: Api) -> None:
    """Any verb gets an answer."""
    assert api.request("BREW", "tickets").status_code == 405


@pytest.mark.parametrize(("accept", "status"), [("text/html", 406), ("application/json;q=0.5", 200), ("*/*", 200)])
def test_answers_are_json_or_nothing(api: Api, accept: str, status: int) -> None:
    """406 for those who want something else."""
    assert api.get("tickets", headers={"Accept": accept}).status_code == status


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_body_must_be_json(api: Api, content_type: str | None) -> None:
    """415 for other types."""
    told = api.post("tickets", data=b"{}", headers={"Content-Type": content_type} if content_type else {})
    assert told.status_code == 415


def test_contacts_take_no_forms(api: Api) -> None:
    """Multipart is for where files are."""
    told = api.post("contacts", files=[("name", (None, "Ana"))])
    assert told.status_code == 415


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_broken_json_is_told_so(api: Api, body: bytes) -> None:
    """400 with the code of the vocabulary, not in the validation shape."""
    told = api.post("tickets", data=body, headers={"Content-Type": "application/json"})
    assert (told.status_code, told.json()["code"]) == (400, "invalid_json")


def test_base_url_with_a_slash_too_many(desk: LocalFreshdesk) -> None:
    """A double slash is an invalid field called ticket."""
    told = requests.get(f"{desk.url}//api/v2/tickets/8", auth=("local-freshdesk-key", "X"), timeout=5)
    assert told.json()["errors"][0]["field"] == "ticket"


def test_rates_are_told_in_decimals(api: Api) -> None:
    """`700.0`, as live accounts answer: int() of it fails."""
    headers = api.get("tickets").headers
    assert (headers["X-RateLimit-Total"], headers["X-RateLimit-Remaining"]) == ("700.0", "699.0")
    assert headers["X-RateLimit-Used-CurrentRequest"] == "1"
    assert "Retry-After" not in headers


@pytest.mark.parametrize(
    ("path", "cost"),
    [
        ("tickets/1?include=conversations", "2"),
        ("tickets?include=stats,requester", "5"),
        ("groups", "1"),
    ],
)
def test_includes_cost_more(api: Api, path: str, cost: str) -> None:
    """One each on a ticket, two each on the list."""
    assert api.get(path).headers["X-RateLimit-Used-CurrentRequest"] == cost


def test_limit_holds_for_the_window_and_counts_wrong_requests(clock: Clock) -> None:
    """After three requests, good or bad, 429 with the seconds to wait; then it opens again."""
    clock.now = 1_800_000_000.0  # the beginning of a window
    with LocalFreshdesk(limits=Limits(total=3, create=3), clock=clock) as desk, Api(desk) as api:
        statuses = [api.get(path).status_code for path in ("tickets", "nada", "tickets/9", "tickets")]
        assert statuses == [200, 404, 404, 429]
        clock.move(26)
        told = api.get("tickets")
        assert (told.headers["Retry-After"], told.headers["X-RateLimit-Remaining"]) == ("34", "0.0")
        clock.move(34)
        assert api.get("tickets").status_code == 200


def test_creating_has_a_lower_limit(api: Api, desk: LocalFreshdesk) -> None:
    """The sub-limit stops new tickets only, and both can be changed while running."""
    desk.limit(create_per_minute=1)
    assert [api.create().status_code for _ in range(2)] == [201, 429]
    assert api.get("tickets").status_code == 200
    desk.limit(create_per_minute=10, total_per_minute=2)
    assert api.create().status_code == 429


def test_wrong_key_costs_nothing(desk: LocalFreshdesk, api: Api) -> None:
    """The key is looked at before the limit."""
    desk.limit(total_per_minute=1)
    with Api(desk, "wrong") as stranger:
        assert [stranger.get("tickets").status_code for _ in range(3)] == [401, 401, 401]
    assert api.get("tickets").status_code == 200


def test_one_connection_serves_many_requests(desk: LocalFreshdesk) -> None:
    """HTTP/1.1 keep-alive, also past an answer without a body and a file in chunks."""
    host = desk.url.removeprefix("http://")
    key = base64.b64encode(b"local-freshdesk-key:X").decode()
    headers = {"Authorization": f"Basic {key}", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection(host, timeout=5)
    connection.request("POST", "/api/v2/tickets", iter([b'{"subject": "x", ', b'"description": "x"}']), headers)
    first = connection.getresponse()
    first.read()
    connection.request("GET", "/api/v2/nada", headers=headers)
    second = connection.getresponse()
    second.read()
    connection.close()
    assert (first.status, second.status) == (400, 404)


@pytest.mark.parametrize("path", [b"/api/v2/tickets", b"/weather"])
@pytest.mark.parametrize(
    ("rest", "status"),
    [
        (b"Content-Length: many\r\n\r\n", b"400"),
        (b"Content-Length: 99\r\n\r\nshort", b"400"),
        (b"Content-Length: 99999999\r\n\r\n", b"413"),
        (b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (b"Transfer-Encoding: chunked\r\n\r\nfffffff\r\n", b"413"),
    ],
)
def test_body_that_cannot_be_read_ends_the_connection(
    desk: LocalFreshdesk, path: bytes, rest: bytes, status: bytes
) -> None:
    """A length that lies is told, and nothing more is read."""
    answer = raw(desk, b"POST " + path + b" HTTP/1.1\r\nHost: localhost\r\n" + rest)
    assert answer.split(b" ")[1] == status
    assert b"Connection: close" in answer


def test_calls_are_remembered_in_order(desk: LocalFreshdesk, api: Api) -> None:
    """Method, and path with its query."""
    api.create()
    api.get("tickets?email=ana@example.com")
    assert desk.calls == [("POST", "/api/v2/tickets"), ("GET", "/api/v2/tickets?email=ana@example.com")]


def test_desk_can_be_stopped_and_started_on_its_port(desk: LocalFreshdesk) -> None:
    """Stopped, it refuses connections: the one failure that is certain. What is stored stays."""
    with Api(desk) as api:
        api.create()
    url = desk.url
    desk.stop()
    with pytest.raises(requests.ConnectionError, match="refused"):
        requests.get(url, timeout=5)
    desk.start()
    assert desk.url == url
    with Api(desk) as api:
        assert len(api.get("tickets").json()) == 1


def test_stored_tickets_outlive_the_desk(tmp_path: object) -> None:
    """A file keeps everything; ids go on where they were."""
    db = f"{tmp_path}/freshdesk.db"
    with LocalFreshdesk(db=db) as desk, Api(desk) as api:
        first = api.post("tickets", json=ticket()).json()
        api.post(f"tickets/{first['id']}/notes", json={"body": "x"})
    with LocalFreshdesk(db=db) as desk, Api(desk) as api:
        assert [made["id"] for made in desk.tickets()] == [first["id"]]
        assert len(desk.notes(first["id"])) == 1
        again = api.create().json()
        assert (again["id"], again["requester_id"]) == (first["id"] + 1, first["requester_id"])


def test_fault_of_the_stand_in_itself_is_loud(capsys: pytest.CaptureFixture[str]) -> None:
    """What nobody foresaw is no weather: its trace is told."""

    def broken() -> float:
        raise RuntimeError("the clock is broken")

    with LocalFreshdesk(clock=broken) as desk, Api(desk) as api, pytest.raises(requests.ConnectionError):
        api.get("tickets")
    assert "the clock is broken" in capsys.readouterr().err


def test_caller_that_goes_away_is_nobodys_error(desk: LocalFreshdesk, capsys: pytest.CaptureFixture[str]) -> None:
    """A connection cut in the middle of a request."""
    host, port = desk.url.removeprefix("http://").split(":")
    for _ in range(3):
        with socket.create_connection((host, int(port)), timeout=2) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(b"POST /api/v2/tickets HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
    desk.stop()
    assert capsys.readouterr().err == ""
