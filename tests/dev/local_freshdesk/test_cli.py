"""`python -m dev.local_freshdesk` and `python -m dev.local_freshdesk.demo`, as a person starts and ends them."""

from __future__ import annotations

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
    line_about,
    read_place,
    run,
    sample_handoffs,
    wait_until_up,
)
from dev.local_freshdesk.helpdesk import DEFAULT_KEY
from operate.stopping import Stop
from tests.dev.local_freshdesk.ending import left_in, running_in
from tests.dev.local_freshdesk.support import ticket
from tests.serving import free_port

MAIN = """
def create_ticket(request):
    if request.method == "GET":
        return {}, 401
    body = {"status": "created", "ticket_id": 7, "reference": "BF-7K3QX2AB", "group": request.get_json()["bot"]}
    return body, 201
"""
OPS = "import time\nprint('sweeping', flush=True)\nwhile True:\n    time.sleep(0.1)\n"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Make a small project of its own, with two free ports and a folder for data."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "main.py").write_text(MAIN)
    (root / "ops.py").write_text(OPS)
    return Place(port=free_port(), freshdesk_port=free_port(), root=root, data=tmp_path / "data")


@contextmanager
def program(*command: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program of this project, and kill it afterwards whatever happens."""
    env = {**os.environ, "PYTHONUNBUFFERED": "1", **environ}
    command = (sys.executable, "-m", *command)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def demo(place: Place, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """Run the demo in this place."""
    ports = {"PORT": str(place.port), "FRESHDESK_PORT": str(place.freshdesk_port)}
    folders = ("--root", str(place.root), "--data", str(place.data))
    with program("dev.local_freshdesk.demo", *folders, **{**ports, **environ}) as process:
        yield process


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Return the output up to a line with this text."""
    assert process.stdout
    output = ""
    for line in process.stdout:
        output += line
        if text in line:
            return output
    raise AssertionError(output)


def run_until(place: Place, text: str) -> list[str]:
    """Run the demo in this process, ask it to end at a line with this text, and return its lines."""
    stop, lines = Stop(), []

    def show(line: str) -> None:
        lines.append(line)
        if text in line:
            stop.set()

    run(place, os.environ, stop, show)
    assert not running_in(place.root)
    return lines


def test_the_stand_in_starts_serves_and_ends(tmp_path: Path) -> None:
    """On a free port, with its settings; SIGTERM ends it with 0; the file keeps the ticket."""
    settings = ("--port", "0", "--db", str(tmp_path / "f.db"), "--total-per-minute", "9", "--create-per-minute", "1")
    with program("dev.local_freshdesk", *settings) as process:
        url = read_until(process, "stand-in").split()[2]
        answers = [
            requests.post(f"{url}/api/v2/tickets", json=ticket(), auth=(DEFAULT_KEY, "X"), timeout=5) for _ in "ab"
        ]
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert [answer.status_code for answer in answers] == [201, 429]
    assert answers[0].headers["X-RateLimit-Total"] == "9.0"
    assert (tmp_path / "f.db").stat().st_size > 0


@contextmanager
def taken_port() -> Iterator[int]:
    """Listen on a port, and give it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def test_the_stand_in_says_that_its_port_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    """One line and 1."""
    with taken_port() as port:
        assert main(["--port", str(port)]) == 1
    errors = capsys.readouterr().err
    assert (len(errors.splitlines()), f"Port {port} cannot be used" in errors) == (1, True)


def test_the_demo_starts_everything_and_ends_everything(place: Place) -> None:
    """A sample per bot, the addresses, a curl; then 0, no trace, no child, both ports free."""
    with demo(place) as process:
        output = read_until(process, "Ctrl-C")
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=20)
    assert (process.returncode, errors, "Traceback" in rest) == (0, "", False)
    for text in ("betsur         201 created", "institucional  201 created", "/chat", "/weather", "curl -sS"):
        assert text in output
    assert port_is_free(place.port)
    assert port_is_free(place.freshdesk_port)
    assert not running_in(place.root)


@pytest.mark.parametrize(
    ("file", "text", "line"),
    [
        ("main.py", "raise SystemExit('no setting')", "The function ended by itself"),
        ("ops.py", "print('no setting')\nraise SystemExit(3)", "The sweep ended by itself (status 3)"),
    ],
)
def test_the_demo_names_the_part_that_died(place: Place, file: str, text: str, line: str) -> None:
    """Its name, its status, its last lines; 1, and nothing is left running."""
    (place.root / file).write_text(text)
    with demo(place) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert line in errors
    assert "no setting" in errors
    assert not running_in(place.root)


@pytest.mark.parametrize(("name", "what"), [("PORT", "function"), ("FRESHDESK_PORT", "Freshdesk stand-in")])
def test_a_taken_port_is_named_with_the_variable_to_change(place: Place, name: str, what: str) -> None:
    """Which port, who needs it, what to type."""
    with taken_port() as port:
        environ = {"PORT": str(place.port), "FRESHDESK_PORT": str(place.freshdesk_port), name: str(port)}
        with pytest.raises(CannotStartError, match=f"Port {port} is taken, and the {what} needs it.*{name}="):
            read_place(environ, place.root, place.data)


@pytest.mark.parametrize(
    "environ", [{"PORT": "x"}, {"PORT": "0"}, {"FRESHDESK_PORT": "65536"}, {"PORT": "9", "FRESHDESK_PORT": "9"}]
)
def test_ports_must_be_two_numbers(place: Place, environ: dict[str, str]) -> None:
    """Each problem in one line."""
    with pytest.raises(CannotStartError, match="PORT"):
        read_place(environ, place.root, place.data)


def test_the_demo_says_in_one_line_why_it_cannot_start(place: Place) -> None:
    """On the command line: 1, one line, no trace."""
    with demo(place, PORT="many") as process:
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, len(errors.splitlines())) == (1, 1)


def test_the_demo_can_reach_no_real_account(place: Place) -> None:
    """Keys and addresses of the caller's environment do not get through."""
    environ = {"FRESHDESK_URL": "https://real.freshdesk.com", "FRESHDESK_API_KEY_OTHER": "k", "HOME": "/h"}
    env = function_environment(place, {**environ, "WEBHOOK_SECRET": "real"})
    assert (env["FRESHDESK_URL"], env["WEBHOOK_SECRET"]) == (place.freshdesk_url, "local-secret")
    assert ("FRESHDESK_API_KEY_OTHER" in env, env["HOME"]) == (False, "/h")


def test_samples_keep_their_ids() -> None:
    """So that a second start is answered `duplicate`."""
    assert [sample["conversation_id"] for sample in sample_handoffs()] == ["sample-betsur", "sample-institucional"]
    assert sample_handoffs() == sample_handoffs()


def test_a_demo_that_is_ended_between_two_samples_sends_no_more(place: Place) -> None:
    """The samples after the one under way are left out, and the guide."""
    assert [line.split()[0] for line in run_until(place, "betsur")] == ["Everything", "betsur"]


def test_a_demo_that_is_ended_at_once_sends_nothing(place: Place) -> None:
    """No samples, no guide, no children."""
    stop = Stop()
    stop.set()
    lines: list[str] = []
    run(place, os.environ, stop, lines.append)
    assert (lines, running_in(place.root)) == ([], [])


def test_a_part_that_dies_later_ends_the_others(place: Place) -> None:
    """Also after everything was up."""
    (place.root / "ops.py").write_text("import time\ntime.sleep(3)\nraise SystemExit('no more')")
    with pytest.raises(ChildDiedError, match="no more"):
        run_until(place, "nothing says this")
    assert not running_in(place.root)


def test_a_program_that_cannot_be_started_leaves_no_other_behind(place: Place) -> None:
    """Its log cannot be written: what was started is ended."""
    place.data.mkdir()
    (place.data / "sweep.log").mkdir()
    with pytest.raises(IsADirectoryError):
        run(place, os.environ, Stop(), print)
    assert not running_in(place.root)


def test_a_server_that_never_answers_is_named(place: Place) -> None:
    """After the time it gets to start."""
    with pytest.raises(CannotStartError, match=f"{place.freshdesk_url}/weather does not answer"):
        wait_until_up(place, [], Stop(), patience_s=0)


def test_a_queued_sample_has_a_ticket_to_follow() -> None:
    """Where Freshdesk is away there is a reference."""
    assert "ticket to follow" in line_about({"bot": "betsur"}, 202, {"status": "queued", "reference": "BF-7K3QX2AB"})


def test_a_child_is_ended_with_what_it_started(tmp_path: Path) -> None:
    """Its whole group, also what ignores SIGTERM."""
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    text = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {deaf!r}]).wait()"
    child = Child.start("parent", [sys.executable, "-c", text], cwd=tmp_path, env=os.environ, logs=tmp_path)
    while len(running_in(tmp_path)) < 2:
        time.sleep(0.02)
    end_all([child])
    assert not left_in(tmp_path)
