"""The faults over real sockets: what the caller meets, and whether a ticket was written."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Any

import pytest
import requests

from dev.local_freshdesk import LocalFreshdesk
from dev.local_freshdesk.faults import NAMES, Fault, Faults, UnknownFaultError
from dev.local_freshdesk.wire import ApiRequest
from tests.dev.local_freshdesk.support import Api, ticket


def met(api: Api) -> str:
    """Return what a new ticket meets: the status, or "reset"."""
    try:
        return str(api.create().status_code)
    except requests.ConnectionError as error:
        return "reset" if "Connection aborted" in str(error) else str(error)


def eventually(count: int, freshdesk: LocalFreshdesk) -> None:
    """Wait until there are that many tickets."""
    until = time.monotonic() + 5
    while len(freshdesk.tickets()) != count and time.monotonic() < until:
        time.sleep(0.01)
    assert len(freshdesk.tickets()) == count


@pytest.mark.parametrize(
    ("name", "meets", "written"),
    [
        ("healthy", "201", 1),
        ("slow", "201", 1),
        ("rate-limited", "429", 0),
        ("broken", "500", 0),
        ("html-502", "502", 0),
        ("down", "reset", 0),
        ("answer-lost", "reset", 1),
        ("late-write", "reset", 0),
    ],
)
def test_each_fault(freshdesk: LocalFreshdesk, api: Api, name: str, meets: str, written: int) -> None:
    """What the caller sees, and what is written by then; after `times` it is over. The pages go on and show it."""
    assert name in NAMES
    freshdesk.weather(name, seconds=0.2, times=1)
    assert 'id="sky"' in requests.get(freshdesk.url, timeout=5).text
    assert (met(api), len(freshdesk.tickets())) == (meets, written)
    assert met(api) == "201"


def test_a_late_write_is_written_later_and_once(freshdesk: LocalFreshdesk, api: Api) -> None:
    """After the reset there is nothing, then there is a ticket; stopping adds none."""
    freshdesk.weather("late-write", seconds=0.3)
    assert (met(api), freshdesk.tickets()) == ("reset", [])
    eventually(1, freshdesk)
    freshdesk.stop()
    assert len(freshdesk.tickets()) == 1


def test_a_late_write_is_written_at_once_when_it_stops(freshdesk: LocalFreshdesk, api: Api) -> None:
    """It is late, not lost, and not written again when its time comes."""
    freshdesk.weather("late-write", seconds=2)
    assert met(api) == "reset"
    freshdesk.stop()
    assert len(freshdesk.tickets()) == 1


def test_slow_writes_after_its_wait(freshdesk: LocalFreshdesk, api: Api) -> None:
    """Also when the caller has gone by then."""
    freshdesk.weather("slow", seconds=0.4)
    with pytest.raises(requests.ReadTimeout):
        api.post("tickets", json=ticket(), timeout=0.1)
    assert freshdesk.tickets() == []
    eventually(1, freshdesk)


def test_stopping_does_not_wait_for_the_slow(freshdesk: LocalFreshdesk, api: Api) -> None:
    """An open request is cut."""
    freshdesk.weather("slow", seconds=600)
    thread = threading.Thread(target=met, args=(api,), daemon=True)
    thread.start()
    while not freshdesk.calls:
        time.sleep(0.01)
    freshdesk.stop()
    thread.join(5)
    assert not thread.is_alive()


def test_answers_are_the_recorded_ones(freshdesk: LocalFreshdesk, api: Api) -> None:
    """A 429 that asks at once for the fault's seconds, the 500 of the issue that quotes it, and a 502 without JSON."""
    freshdesk.weather("rate-limited", seconds=600)
    assert (api.create().headers["Retry-After"], api.create().json()["code"]) == ("600", "rate_limit")
    freshdesk.weather("broken")
    assert api.create().json() == {"code": "internal_error", "message": "We're sorry, but something went wrong."}
    freshdesk.weather("html-502")
    assert "text/html" in api.create().headers["Content-Type"]


def test_a_fault_of_new_tickets_leaves_the_rest_alone(freshdesk: LocalFreshdesk, api: Api) -> None:
    """Reading does not use up the times."""
    freshdesk.weather("broken", times=2, only="create")
    assert api.get("tickets").status_code == 200
    assert [met(api) for _ in range(3)] == ["500", "500", "201"]


@pytest.mark.parametrize(("name", "written"), [("answer-lost", 1), ("down", 0), ("broken", 0), ("late-write", 1)])
def test_a_fault_of_notes_meets_a_file(freshdesk: LocalFreshdesk, api: Api, name: str, written: int) -> None:
    """Tickets and lists go on; the next note, too."""
    api.create()
    freshdesk.weather(name, only="note", times=1, seconds=0.2)
    file = [("attachments[]", ("a.png", b"abc", "image/png"))]
    assert api.create().status_code == 201
    assert api.get("tickets/1/conversations").json() == []
    with suppress(requests.ConnectionError):
        assert api.post("tickets/1/notes", data={"body": "x"}, files=file).status_code == 500
    until = time.monotonic() + 5.0
    while name == "late-write" and not freshdesk.files(1) and time.monotonic() < until:
        time.sleep(0.01)
    assert len(freshdesk.files(1)) == written
    assert api.post("tickets/1/notes", data={"body": "x"}, files=file).status_code == 201


def test_a_program_can_change_it(freshdesk: LocalFreshdesk) -> None:
    """POST /weather with JSON; what is left out is as usual."""
    requests.post(f"{freshdesk.url}/weather", json={"weather": "slow", "times": 2}, timeout=5).raise_for_status()
    assert freshdesk.helpdesk.faults.now == Fault(name="slow", seconds=3.0, times=2)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        [],
        {"weather": "hail"},
        *({"weather": "slow", "seconds": seconds} for seconds in (-1, "3", True, 3601)),
        *({"weather": "slow", "times": times} for times in (0, 1.5, True)),
        {"weather": "slow", "only": "read"},
        {"weather": "slow", "wind": 1},
    ],
)
def test_an_unknown_fault_is_refused(freshdesk: LocalFreshdesk, fields: Any) -> None:
    """400 and a sentence; nothing changes."""
    answer = requests.post(f"{freshdesk.url}/weather", json=fields, timeout=5)
    assert (answer.status_code, bool(answer.json()["error"])) == (400, True)
    assert freshdesk.helpdesk.faults.now == Fault()


def test_an_unknown_fault_raises(freshdesk: LocalFreshdesk) -> None:
    """From Python it is a ValueError."""
    with pytest.raises(UnknownFaultError, match="must be one of"):
        freshdesk.weather("hail")


def test_times_are_exact_among_threads() -> None:
    """Of a hundred callers at once thirty meet it."""
    faults = Faults()
    faults.change(Fault.read("broken", times=30))
    seen: list[str] = []
    request = ApiRequest(method="POST", path="/api/v2/tickets")
    threads = [threading.Thread(target=lambda: seen.append(faults.meet(request).name)) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (seen.count("broken"), faults.now) == (30, Fault())
