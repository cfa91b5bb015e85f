"""The weather over real sockets: what the caller meets, and whether a ticket was written."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import requests

from dev.local_freshdesk import LocalFreshdesk
from dev.local_freshdesk.weather import NAMES, Sky, UnknownWeatherError, Weather
from tests.dev.local_freshdesk.factories import Api, ticket


def met(api: Api) -> str:
    """What a creation meets: the status, or "reset"."""
    try:
        return str(api.create().status_code)
    except requests.ConnectionError as error:
        return "reset" if "Connection aborted" in str(error) else str(error)


def eventually(count: int, desk: LocalFreshdesk) -> None:
    """Wait until the desk has that many tickets."""
    until = time.monotonic() + 5
    while len(desk.tickets()) != count and time.monotonic() < until:
        time.sleep(0.01)
    assert len(desk.tickets()) == count


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
def test_each_weather(desk: LocalFreshdesk, api: Api, name: str, meets: str, written: int) -> None:
    """The table of weathers: what the caller sees, and what is written by then."""
    desk.weather(name, seconds=0.2, times=1)
    assert met(api) == meets
    assert len(desk.tickets()) == written
    desk.weather("healthy")
    assert met(api) == "201"


def test_late_write_is_written_later(desk: LocalFreshdesk, api: Api) -> None:
    """After the reset there is nothing; then there is a ticket."""
    desk.weather("late-write", seconds=0.3)
    assert met(api) == "reset"
    assert desk.tickets() == []
    eventually(1, desk)


def test_late_write_is_not_lost_when_the_desk_stops() -> None:
    """What was to be written late is written when the desk stops."""
    desk = LocalFreshdesk()
    desk.start()
    with Api(desk) as api:
        desk.weather("late-write", seconds=600)
        assert met(api) == "reset"
    desk.stop()
    assert len(desk.tickets()) == 1
    desk.close()


def test_late_write_that_is_done_is_not_done_again(desk: LocalFreshdesk, api: Api) -> None:
    """Stopping after a late write changes nothing."""
    desk.weather("late-write", seconds=0)
    assert met(api) == "reset"
    eventually(1, desk)
    desk.stop()
    assert len(desk.tickets()) == 1


def test_slow_takes_its_seconds_and_then_writes(desk: LocalFreshdesk, api: Api) -> None:
    """The ticket is written after the wait, also when the caller has gone by then."""
    desk.weather("slow", seconds=0.4)
    with pytest.raises(requests.ReadTimeout):
        api.post("tickets", json=ticket(), timeout=0.1)
    assert desk.tickets() == []
    eventually(1, desk)


def test_stopping_does_not_wait_for_the_slow() -> None:
    """A desk in slow weather stops at once."""
    with LocalFreshdesk() as desk, Api(desk) as api:
        desk.weather("slow", seconds=600)
        thread = threading.Thread(target=met, args=(api,), daemon=True)
        thread.start()
        while not desk.calls:
            time.sleep(0.01)
        started = time.monotonic()
        desk.stop()
        assert time.monotonic() - started < 3
        thread.join(5)


@pytest.mark.parametrize(("body", "content"), [("empty", b""), ("json", b'{"code"')])
def test_429_says_how_long_with_or_without_a_body(desk: LocalFreshdesk, api: Api, body: str, content: bytes) -> None:
    """Retry-After is the weather's seconds; the body cannot be relied on."""
    desk.weather("rate-limited", seconds=7, body=body)
    told = api.create()
    assert told.headers["Retry-After"] == "7"
    assert told.content[:7] == content


def test_broken_is_the_recorded_body(desk: LocalFreshdesk, api: Api) -> None:
    """The 500 of the issue that quotes it, and a 502 that is no JSON."""
    desk.weather("broken")
    assert api.create().json() == {"code": "internal_error", "message": "We're sorry, but something went wrong."}
    desk.weather("html-502")
    assert "text/html" in api.create().headers["Content-Type"]


def test_times_count_down_to_healthy(desk: LocalFreshdesk, api: Api) -> None:
    """Two requests meet it, the third does not."""
    desk.weather("broken", times=2)
    assert [met(api) for _ in range(3)] == ["500", "500", "201"]


def test_only_creation_leaves_the_rest_alone(desk: LocalFreshdesk, api: Api) -> None:
    """Reading works, and does not use up the times."""
    desk.weather("broken", times=1, only="create")
    assert api.get("tickets").status_code == 200
    assert met(api) == "500"


@pytest.mark.parametrize("name", NAMES)
def test_pages_have_no_weather(desk: LocalFreshdesk, name: str) -> None:
    """Faults act on the API; inbox, chat and panel go on, and every page's head shows it."""
    desk.weather(name, seconds=0.1)
    for path in ("/", "/chat", "/weather"):
        told = requests.get(desk.url + path, headers={"Accept": "text/html"}, timeout=5)
        assert told.status_code == 200
        assert 'id="sky"' in told.text


def test_weather_is_told_and_changed_in_json(desk: LocalFreshdesk) -> None:
    """GET tells what POST set."""
    said = {"weather": "slow", "seconds": 3.0, "times": None, "only": "all", "body": "json"}
    assert requests.post(f"{desk.url}/weather", json=said, timeout=5).json() == said
    assert requests.get(f"{desk.url}/weather", timeout=5).json() == said


@pytest.mark.parametrize(
    "said",
    [
        {},
        [],
        {"weather": "hail"},
        {"weather": "slow", "seconds": -1},
        {"weather": "slow", "seconds": "3"},
        {"weather": "slow", "seconds": True},
        {"weather": "slow", "seconds": 99999},
        {"weather": "slow", "times": 0},
        {"weather": "slow", "times": 1.5},
        {"weather": "slow", "only": "read"},
        {"weather": "slow", "body": "xml"},
        {"weather": "slow", "wind": 1},
    ],
)
def test_weather_that_does_not_exist_is_refused(desk: LocalFreshdesk, said: Any) -> None:
    """400, and the weather stays."""
    told = requests.post(f"{desk.url}/weather", json=said, timeout=5)
    assert told.status_code == 400
    assert told.json()["error"]
    assert desk.desk.sky.now() == Weather()


def test_unknown_weather_raises() -> None:
    """From Python it is a ValueError."""
    with pytest.raises(UnknownWeatherError, match="must be one of"):
        Weather.of("hail")


def test_times_are_exact_among_threads() -> None:
    """A hundred callers at once: thirty meet it, no more, no fewer."""
    sky = Sky()
    sky.change(Weather.of("broken", times=30))
    seen: list[str] = []
    threads = [threading.Thread(target=lambda: seen.append(sky.meet(creates=True).name)) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen.count("broken") == 30
    assert sky.now() == Weather()
