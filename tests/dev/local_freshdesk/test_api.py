"""What is looked at before a ticket, and the server: host, key, rate limit, path, method, media type, JSON."""

from __future__ import annotations

import base64
import socket
import struct
from pathlib import Path

import pytest
import requests

from dev.local_freshdesk import LocalFreshdesk
from dev.local_freshdesk.helpdesk import AGENT_KEY, DEFAULT_KEY, READONLY_KEY
from tests.dev.local_freshdesk.support import PAGOS, Api
from tests.ledger_factories import VirtualClock


def raw(freshdesk: LocalFreshdesk, request: bytes) -> bytes:
    """Return what the server answers to these bytes, until it closes."""
    host, port = freshdesk.url.removeprefix("http://").split(":")
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
        "",
        "Basic !!!",
        f"Bearer {DEFAULT_KEY}",
        f"Bearer {base64.b64encode(f'{DEFAULT_KEY}:X'.encode()).decode()}",
        f"Basic {base64.b64encode('ñandú:X'.encode()).decode()}",
    ],
)
def test_a_wrong_key_is_401_and_costs_nothing(freshdesk: LocalFreshdesk, header: str) -> None:
    """The key is checked before the path and before the limit, of which nothing is used."""
    answer = requests.get(f"{freshdesk.url}/api/v2/nada", headers={"Authorization": header}, timeout=5)
    message = "You have to be logged in to perform this action."
    assert (answer.status_code, answer.json()) == (401, {"code": "invalid_credentials", "message": message})
    assert "X-RateLimit-Total" not in answer.headers


@pytest.mark.parametrize("path", ["tickets", "tickets/99", "tickets/abc", "nada", "tickets/99/conversations"])
def test_an_unknown_path_or_id_is_404_without_a_body(api: Api, path: str) -> None:
    """With a media type: a public client reads an empty body without one as JSON."""
    answer = api.get(path) if path != "tickets" else api.post("tickets/99/notes", json={"body": "x"})
    assert (answer.status_code, answer.content) == (404, b"")
    assert "html" in answer.headers["Content-Type"]


def test_an_unknown_host_is_404(freshdesk: LocalFreshdesk) -> None:
    """A wrong subdomain answers 404, and no page of another site reaches this stand-in."""
    answer = requests.get(freshdesk.url, headers={"Host": "nobody.freshdesk.com"}, timeout=5)
    assert (answer.status_code, answer.content) == (404, b"")


def test_a_wrong_method_is_405_with_the_right_ones(api: Api) -> None:
    """With the text that a public client compares word by word."""
    answer = api.put("groups", json={})
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")
    assert answer.json()["message"] == "PUT method is not allowed. It should be one of these method(s): GET"


@pytest.mark.parametrize("path", ["tickets", "tickets/1/notes"])
def test_a_body_of_another_type_is_415(api: Api, path: str) -> None:
    """JSON only; a note may be a form with files, a ticket not."""
    api.create()
    assert api.post(path, data=b"{}", headers={"Content-Type": "text/plain"}).status_code == 415
    assert api.post("tickets", files=[("subject", (None, "x"))]).status_code == 415


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_broken_json_is_refused(api: Api, body: bytes) -> None:
    """400 in the shape that is not validation's."""
    answer = api.post("tickets", data=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_json")


@pytest.mark.parametrize(("path", "cost"), [("groups", 1), ("tickets/1?include=stats,requester", 3)])
def test_rates_are_decimals_and_an_include_costs_one_more(api: Api, path: str, cost: int) -> None:
    """`700.0`, as live accounts answer."""
    headers = api.get(path).headers
    assert headers["X-RateLimit-Total"] == "700.0"
    assert headers["X-RateLimit-Remaining"] == f"{700 - cost}.0"
    assert headers["X-RateLimit-Used-CurrentRequest"] == str(cost)


def test_a_limit_holds_for_the_minute(api: Api, clock: VirtualClock) -> None:
    """Bad requests count; then 429 with the seconds to wait, and a new minute opens it again."""
    api.freshdesk.limit(total_per_minute=3)
    assert [api.get(path).status_code for path in ("tickets", "nada", "tickets/9", "tickets")] == [200, 404, 404, 429]
    clock.sleep(26)
    headers = api.get("tickets").headers
    assert (headers["Retry-After"], headers["X-RateLimit-Remaining"]) == ("34", "0.0")
    clock.sleep(34)
    assert api.get("tickets").status_code == 200


def test_new_tickets_have_a_lower_limit(api: Api) -> None:
    """It stops nothing else."""
    api.freshdesk.limit(create_per_minute=1)
    assert [api.create().status_code for _ in range(2)] == [201, 429]
    assert api.get("tickets").status_code == 200


def test_lesser_keys_may_do_less(freshdesk: LocalFreshdesk) -> None:
    """An agent's key cannot read /groups, a read-only key cannot write either."""
    with Api(freshdesk, AGENT_KEY) as agent, Api(freshdesk, READONLY_KEY) as reader:
        assert [agent.get(path).status_code for path in ("agents/me", "ticket_fields", "groups")] == [200, 200, 403]
        assert (agent.create().status_code, reader.create().status_code) == (201, 403)
        assert reader.get("groups").json()["code"] == "access_denied"


def test_the_key_has_an_agent_with_global_scope(api: Api) -> None:
    """What `ops.py check` reads."""
    me = api.get("agents/me").json()
    assert (me["ticket_scope"], me["contact"]["email"]) == (1, "agustina@ayuda.example")


def test_choices_have_three_shapes(api: Api) -> None:
    """A list, a map from name to id, and a map from number to labels."""
    fields = {field["name"]: field for field in api.get("ticket_fields").json()}
    choices = {name: field.get("choices") for name, field in fields.items()}
    assert (choices["group"]["Pagos"], choices["source"]["Web Chat"], choices["subject"]) == (PAGOS, 15, None)
    assert choices["status"]["2"] == ["Open", "Being Processed"]
    assert ("Consulta" in choices["ticket_type"], choices["cf_canal"][0]) == (True, "Web")
    assert [name for name, field in fields.items() if field["required_for_agents"]] == [
        *("requester", "subject", "status", "priority", "description"),
    ]
    assert (fields["cf_monto"]["type"], fields["cf_monto"]["default"]) == ("custom_decimal", False)


def test_groups_are_sorted_and_have_pages(api: Api) -> None:
    """The twelve groups of the account, and no parameter that the call does not know."""
    names = [group["name"] for group in api.get("groups").json()]
    assert (len(names), names) == (12, sorted(names))
    assert len(api.get("groups?per_page=5&page=3").json()) == 2
    assert api.faults("groups?email=x") == [("email", "invalid_field")]


@pytest.mark.parametrize("path", [b"/api/v2/tickets", b"/weather"])
@pytest.mark.parametrize(
    ("rest", "status"),
    [
        (b"Content-Length: many\r\n\r\n", b"400"),
        (b"Content-Length: 99\r\n\r\nshort", b"400"),
        (b"Content-Length: 99999999\r\n\r\n", b"413"),
        (b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
    ],
)
def test_a_body_that_cannot_be_read_ends_the_connection(
    freshdesk: LocalFreshdesk, path: bytes, rest: bytes, status: bytes
) -> None:
    """It is answered, and nothing more is read."""
    answer = raw(freshdesk, b"POST " + path + b" HTTP/1.1\r\nHost: localhost\r\n" + rest)
    assert answer.split(b" ")[1] == status
    assert b"Connection: close" in answer


def test_calls_are_kept_in_order(api: Api) -> None:
    """Method, and path with its query."""
    api.create()
    api.get("tickets?email=ana@example.com")
    assert api.freshdesk.calls == [("POST", "/api/v2/tickets"), ("GET", "/api/v2/tickets?email=ana@example.com")]


def test_it_can_be_stopped_and_started_on_its_port(freshdesk: LocalFreshdesk, api: Api) -> None:
    """Stopped, it refuses connections and has cut the open one; what is stored stays."""
    api.create()
    url = freshdesk.url
    freshdesk.stop()
    with pytest.raises(requests.ConnectionError, match="refused"):
        api.get("tickets")
    freshdesk.start()
    assert (freshdesk.url, len(api.get("tickets").json())) == (url, 1)


def test_a_file_keeps_everything(tmp_path: Path) -> None:
    """Ids go on where they were."""
    with LocalFreshdesk(db=tmp_path / "f.db") as freshdesk, Api(freshdesk) as api:
        first = api.create().json()
        api.post("tickets/1/notes", json={"body": "x"})
    with LocalFreshdesk(db=tmp_path / "f.db") as freshdesk, Api(freshdesk) as api:
        assert (len(freshdesk.tickets()), len(freshdesk.notes(1))) == (1, 1)
        again = api.create(email="b@example.com").json()
        assert (again["id"], again["requester_id"]) == (2, first["requester_id"] + 1)


def test_an_error_of_the_stand_in_itself_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """It is no fault that somebody asked for."""

    def broken() -> float:
        raise RuntimeError("the clock is broken")

    with LocalFreshdesk(clock=broken) as freshdesk, Api(freshdesk) as api, pytest.raises(requests.ConnectionError):
        api.get("tickets")
    assert "the clock is broken" in capsys.readouterr().err


def test_a_caller_that_goes_away_is_no_error(freshdesk: LocalFreshdesk, capsys: pytest.CaptureFixture[str]) -> None:
    """A connection that is cut in the middle of a request."""
    host, port = freshdesk.url.removeprefix("http://").split(":")
    for _ in range(3):
        with socket.create_connection((host, int(port)), timeout=2) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(b"POST /api/v2/tickets HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
    freshdesk.stop()
    assert capsys.readouterr().err == ""
