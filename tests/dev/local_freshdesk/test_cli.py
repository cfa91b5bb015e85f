"""`python -m dev.local_freshdesk` and `python -m dev.local_freshdesk.demo`, as a person starts and ends them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from dev.local_freshdesk.__main__ import main
from dev.local_freshdesk.bot import ROOT
from dev.local_freshdesk.children import Child, ChildDiedError, end_all, port_is_free
from dev.local_freshdesk.demo import (
    CannotStartError,
    Place,
    function_environment,
    read_place,
    run,
    sample_handoffs,
    told,
    wait_until_up,
)
from operate.stopping import Stop
from tests.dev.local_freshdesk.ending import running_in
from tests.dev.local_freshdesk.factories import ticket
from tests.serving import free_port

MAIN = """
import json, os
def create_ticket(request):
    if request.method == "GET":
        return {}, 401
    told = request.get_json()
    body = {"status": "created", "ticket_id": 7, "reference": "BF-7K3QX2AB", "group": told["bot"]}
    return json.dumps(body), 201, {"Content-Type": "application/json"}
"""
OPS = "import time\nprint('sweeping', flush=True)\nwhile True:\n    time.sleep(0.1)\n"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Give a small project of its own, two free ports and a folder for data."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "main.py").write_text(MAIN)
    (root / "ops.py").write_text(OPS)
    return Place(port=free_port(), freshdesk_port=free_port(), root=root, data=tmp_path / "data")


@contextmanager
def program(*command: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """A program of this project, ended afterwards whatever happens."""
    env = {**os.environ, "PYTHONUNBUFFERED": "1", **environ}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-m", *command], cwd=ROOT, env=env, stdout=pipe, stderr=pipe, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def demo(place: Place) -> tuple[list[str], dict[str, str]]:
    """The demo's command and environment in this place."""
    command = ["dev.local_freshdesk.demo", "--root", str(place.root), "--data", str(place.data)]
    return command, {"PORT": str(place.port), "FRESHDESK_PORT": str(place.freshdesk_port)}


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """The output up to a line with this text."""
    said = ""
    assert process.stdout
    for line in process.stdout:
        said += line
        if text in line:
            return said
    raise AssertionError(said + (process.stderr.read() if process.stderr else ""))


def test_stand_in_starts_serves_and_ends(tmp_path: Path) -> None:
    """On a free port, with its settings; SIGTERM ends it with 0; the file keeps the ticket."""
    db = str(tmp_path / "f.db")
    with program(
        "dev.local_freshdesk", "--port", "0", "--db", db, "--api-key", "k", "--total-per-minute", "9"
    ) as process:
        url = read_until(process, "stand-in").split()[2]
        told = requests.post(f"{url}/api/v2/tickets", json=ticket(), auth=("k", "X"), timeout=5)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert told.headers["X-RateLimit-Total"] == "9.0"
    assert Path(db).stat().st_size > 0


def test_stand_in_says_that_its_port_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    """One line and 1."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 1
    errors = capsys.readouterr().err
    assert len(errors.splitlines()) == 1
    assert f"Port {port} cannot be used" in errors


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_demo_starts_everything_and_ends_everything(place: Place, ending: signal.Signals) -> None:
    """A sample per bot, the addresses, a curl; then 0, no trace, no child, both ports free."""
    command, environ = demo(place)
    with program(*command, **environ) as process:
        said = read_until(process, "Ctrl-C")
        process.send_signal(ending)
        rest, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")
    for text in ("betsur         201 created", "institucional  201 created", "/chat", "/weather", "curl -sS"):
        assert text in said
    assert "Traceback" not in rest
    assert port_is_free(place.port)
    assert port_is_free(place.freshdesk_port)
    assert not running_in(place.root)


@pytest.mark.parametrize(
    ("name", "program_text", "says"),
    [
        ("function", "raise SystemExit('no setting')", "The function ended by itself"),
        ("sweep", "print('broken sweep')\nraise SystemExit(3)", "The sweep ended by itself (status 3)"),
    ],
)
def test_demo_tells_which_part_died_and_why(place: Place, name: str, program_text: str, says: str) -> None:
    """Its name, its status, its last lines; 1, and nothing is left running."""
    (place.root / ("main.py" if name == "function" else "ops.py")).write_text(program_text)
    command, environ = demo(place)
    with program(*command, **environ) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert says in errors
    assert ("no setting" if name == "function" else "broken sweep") in errors
    assert not running_in(place.root)


def test_demo_ends_while_it_is_starting(place: Place) -> None:
    """Ctrl-C before anything is up: 0 all the same."""
    (place.root / "main.py").write_text("import time\ntime.sleep(60)")
    command, environ = demo(place)
    with program(*command, **environ) as process:
        while not (place.data / "sweep.log").exists():
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize(("name", "what"), [("PORT", "function"), ("FRESHDESK_PORT", "Freshdesk stand-in")])
def test_taken_port_is_named_with_the_variable_to_change(place: Place, name: str, what: str) -> None:
    """One line: which port, who needs it, what to type."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        environ = {"PORT": str(place.port), "FRESHDESK_PORT": str(place.freshdesk_port), name: str(port)}
        with pytest.raises(CannotStartError, match=f"Port {port} is taken, and the {what} needs it.*{name}="):
            read_place(environ, place.root, place.data)


@pytest.mark.parametrize(
    "environ", [{"PORT": "x"}, {"PORT": "0"}, {"FRESHDESK_PORT": "65536"}, {"PORT": "9", "FRESHDESK_PORT": "9"}]
)
def test_ports_must_be_two_numbers(place: Place, environ: dict[str, str]) -> None:
    """Each fault in one line."""
    with pytest.raises(CannotStartError, match="PORT"):
        read_place(environ, place.root, place.data)


def test_demo_says_it_in_one_line(place: Place) -> None:
    """A taken port on the command line: 1, one line, no trace."""
    command, environ = demo(place)
    with program(*command, **{**environ, "PORT": "many"}) as process:
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, len(errors.splitlines())) == (1, 1)


def test_demo_can_reach_no_real_account(place: Place) -> None:
    """Keys and addresses of the caller's environment do not get through."""
    environ = {"FRESHDESK_URL": "https://real.freshdesk.com", "FRESHDESK_API_KEY_OTHER": "k", "HOME": "/h"}
    env = function_environment(place, environ)
    assert env["FRESHDESK_URL"] == place.freshdesk_url
    assert "FRESHDESK_API_KEY_OTHER" not in env
    assert (env["HOME"], env["WEBHOOK_SECRET"]) == ("/h", "local-secret")


def test_samples_keep_their_ids() -> None:
    """So that a second start is answered `duplicate`."""
    first, again = sample_handoffs(), sample_handoffs()
    assert first == again
    assert [sample["conversation_id"] for sample in first] == ["sample-betsur", "sample-institucional"]
    assert json.dumps(first)


def test_run_says_what_it_did_and_leaves_nothing(place: Place) -> None:
    """The same from Python: samples, then the guide, then the end when it is asked for."""
    asked, said = Stop(), []

    def say(line: str) -> None:
        said.append(line)
        if "Ctrl-C" in line:
            asked.set()

    run(place, os.environ, asked, say)
    assert [line.split()[0] for line in said[1:3]] == ["betsur", "institucional"]
    assert not running_in(place.root)


def test_run_that_is_ended_at_once_sends_nothing(place: Place) -> None:
    """Asked to end before anything is up: no samples, no guide, no children."""
    asked = Stop()
    said: list[str] = []
    asked.set()
    run(place, os.environ, asked, said.append)
    assert said == []
    assert not running_in(place.root)


def test_run_that_is_ended_between_two_samples_sends_no_more(place: Place) -> None:
    """The samples after the one under way are left out, and the guide."""
    asked = Stop()
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if "betsur" in line:
            asked.set()

    run(place, os.environ, asked, say)
    assert [line.split()[0] for line in said] == ["Everything", "betsur"]


def test_run_raises_when_a_part_dies(place: Place) -> None:
    """Also later, and ends the others."""
    (place.root / "ops.py").write_text("import time\ntime.sleep(3)\nraise SystemExit('no more')")
    with pytest.raises(ChildDiedError, match="no more"):
        run(place, os.environ, Stop(), print)
    assert not running_in(place.root)


def test_program_that_cannot_be_started_leaves_no_other_behind(place: Place) -> None:
    """The folder for the logs is gone: what was started is ended."""
    place.data.mkdir()
    (place.data / "sweep.log").mkdir()
    with pytest.raises(IsADirectoryError):
        run(place, os.environ, Stop(), print)
    assert not running_in(place.root)


def test_server_that_never_answers_is_named(place: Place) -> None:
    """Up to the time it gets to start."""
    with pytest.raises(CannotStartError, match=f"{place.freshdesk_url}/weather does not answer"):
        wait_until_up(place, [], Stop(), patience_s=0)


def test_queued_sample_is_told_as_to_follow() -> None:
    """Where Freshdesk is away there is a reference."""
    line = told({"bot": "betsur"}, 202, {"status": "queued", "reference": "BF-7K3QX2AB"})
    assert "ticket to follow" in line


def test_ports_that_are_free_are_taken_as_they_are(place: Place) -> None:
    """Both numbers, from the environment."""
    environ = {"PORT": str(place.port), "FRESHDESK_PORT": str(place.freshdesk_port)}
    assert read_place(environ, place.root, place.data) == place


def test_child_is_ended_with_what_it_started(tmp_path: Path) -> None:
    """Its whole group, also what does not listen when asked."""
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    text = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {deaf!r}]).wait()"
    child = Child.start("parent", [sys.executable, "-c", text], cwd=tmp_path, env=os.environ, logs=tmp_path)
    while len(running_in(tmp_path)) < 2:
        time.sleep(0.02)
    end_all([child])
    until = time.monotonic() + 10  # a killed process takes a moment to go
    while running_in(tmp_path) and time.monotonic() < until:
        time.sleep(0.02)
    assert not running_in(tmp_path)
