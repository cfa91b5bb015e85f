"""The command line itself: real processes, exit statuses, help, signals, and errors as one line."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

import ops
from handoff.ledger import State
from handoff.transitions import changed
from operate.operator import Operator
from operate.screen import Screen
from tests.leaks import canaries_in
from tests.operate.operating import Station

ROOT = Path(__file__).parents[2]
COMMANDS = ("check", "routes", "preview", "list", "show", "retry", "sweep", "audit", "discard", "forget")


def started(station: Station, *argv: str) -> subprocess.Popen[str]:
    """Start `python ops.py` as an operator does."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "AWS"))}
    return subprocess.Popen(
        [sys.executable, str(ROOT / "ops.py"), *argv],
        env=environ | station.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )


def test_a_real_process_lists_rows(station: Station) -> None:
    """From another folder, with only the environment."""
    station.has(state=State.FAILED, due_at=None)
    process = started(station, "list", "--json", "--state", "failed")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert "BF-BBBBBBBB" in out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_sweep_in_a_loop_ends_cleanly_on_a_signal(station: Station, number: signal.Signals) -> None:
    """It makes the ticket, says so in one line, logs JSON on standard error, and ends with 0."""
    station.freshdesk.weather("rate-limited")
    station.deliver()
    station.freshdesk.weather("healthy")
    [row] = station.rows()
    station.ledger.replace(row, changed(row, due_at=time.time() - 1))
    process = started(station, "sweep", "--every", "0.2")
    until = time.monotonic() + 60
    while not station.freshdesk.tickets() and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert out == "Swept: 1 created\n"
    lines = err.splitlines()
    assert len(lines) >= 2
    assert all(line.startswith('{"timestamp"') for line in lines)
    assert not canaries_in(out + err)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples_and_statuses(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Worth reading: what it does, what it needs, examples, exit statuses."""
    with pytest.raises(SystemExit) as ended:
        ops.main([command, "--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    for part in ("needs: ", f"python ops.py {command}", "exit status:", "--json"):
        assert part in out


def test_the_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """With the settings, and a day's use."""
    with pytest.raises(SystemExit):
        ops.main(["--help"])
    out = capsys.readouterr().out
    assert all(f"\n    {command}" in out for command in COMMANDS)
    assert "LEDGER_URL" in out


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        ((), "required: COMMAND"),
        (("list", "--state", "lost"), "'lost' is none of creating, created, not_created, in_doubt, rejected, failed"),
        (("list", "--older-than", "soon"), "'soon' is no span of time: write 45s, 30m, 12h or 3d"),
        (("retry", "--all", "--state", "created"), "'created' is none of creating, not_created, in_doubt"),
        (("sweep", "--every", "often"), "must be a number from 0.1 to 86400 (seconds)"),
        (("sweep", "--every", "0"), "must be a number from 0.1"),
        (("audit", "--days", "31"), "must be a number from 0.01 to 30"),
    ],
)
def test_a_wrong_option_ends_with_2(argv: tuple[str, ...], shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The message shows what would be valid."""
    with pytest.raises(SystemExit) as ended:
        ops.main(argv, environ={})
    assert ended.value.code == 2
    assert shown in capsys.readouterr().err


@pytest.mark.parametrize("argv", [("check",), ("sweep",), ("audit",), ("retry", "--all", "--now")])
def test_commands_that_ask_freshdesk_name_every_missing_setting(station: Station, argv: tuple[str, ...]) -> None:
    """All at once; the webhook secret is not among them."""
    ran = station.run(*argv, without=("FRESHDESK_URL", "FRESHDESK_API_KEY"), DEADLINE_S="never")
    assert (ran.status, ran.out) == (2, "")
    for name in ("FRESHDESK_URL is not set", "FRESHDESK_API_KEY is not set", "DEADLINE_S must be"):
        assert name in ran.err
    assert "WEBHOOK_SECRET" not in ran.err


@pytest.mark.parametrize(
    "argv",
    [
        ("list",),
        ("show", "BF-BBBBBBBB"),
        ("retry", "--all"),
        ("forget", "ana@example.com"),
        ("audit",),
        ("sweep",),
        ("discard", "BF-BBBBBBBB"),
    ],
)
def test_a_missing_ledger_is_not_made(station: Station, tmp_path: Path, argv: tuple[str, ...]) -> None:
    """An empty one would answer wrongly: that nothing waits."""
    ran = station.run(*argv, LEDGER_URL=f"sqlite:///{tmp_path}/other.db")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith(
        f"LEDGER_URL: there is no file {tmp_path}/other.db; the function makes it: start that first"
    )
    assert not (tmp_path / "other.db").exists()


@pytest.mark.parametrize(
    "argv", [("list",), ("show", "BF-BBBBBBBB"), ("retry", "--all"), ("forget", "ana@example.com")]
)
def test_commands_on_the_ledger_need_only_its_url(station: Station, argv: tuple[str, ...]) -> None:
    """No key, no routing file."""
    station.has(state=State.CREATED, ticket_id=1, due_at=None)
    ran = station.run(*argv, without=("FRESHDESK_URL", "FRESHDESK_API_KEY"), ROUTING_FILE="/nowhere")
    assert (ran.status, ran.err) == (0, "")


@pytest.mark.parametrize(
    "url",
    [
        "mysql://x",
        "sqlite://",
        "dynamodb://table",
        "dynamodb://table?region=sa east",
        "dynamodb://table?region=sa-east-1&endpoint=nowhere",
        "dynamodb://[table?region=sa-east-1",
    ],
)
def test_a_wrong_ledger_url_is_one_line(station: Station, url: str) -> None:
    """It shows the valid forms; the AWS library is not called."""
    ran = station.run("list", LEDGER_URL=url)
    assert ran.status == 2
    shown = "LEDGER_URL must be sqlite:///path/to/file.db or dynamodb://table?region=sa-east-1"
    assert ran.err == f"Fix these settings:\n- {shown}\n"


def test_a_ledger_that_does_not_answer_ends_with_3(station: Station, tmp_path: Path) -> None:
    """A file that is no database."""
    (tmp_path / "odd.db").write_text("this is no database, and long enough to be seen as none " * 20)
    ran = station.run("list", LEDGER_URL=f"sqlite:///{tmp_path}/odd.db")
    assert ran.status == 3
    assert ran.err.startswith("LEDGER_URL: the ledger does not answer (DatabaseError")
    assert ran.err.endswith("; check the address and who may read it\n")


def test_ctrl_c_ends_with_130(station: Station) -> None:
    """In one line."""

    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    object.__setattr__(station.clock, "sleep", interrupted)
    station.freshdesk.stop()
    ran = station.run("audit")
    assert (ran.status, ran.err) == (130, "Interrupted; nothing is lost by that.\n")


class ClosedPipe(io.StringIO):
    """Standard output whose reader has ended: `python ops.py list | head -1`."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number

    def write(self, _text: str) -> int:
        """Fail as the system does."""
        raise BrokenPipeError

    def fileno(self) -> int:
        """Return the file descriptor that Python flushes to at its end."""
        return self._number


def test_a_closed_pipe_is_no_error(station: Station, tmp_path: Path) -> None:
    """The command ends quietly, and the rest of its output is dropped."""
    err = io.StringIO()
    with (tmp_path / "out").open("w") as out:
        streams = (io.StringIO(), ClosedPipe(out.fileno()), err)
        assert ops.main(["list"], environ=station.environ, streams=streams) == 0
        assert os.fstat(out.fileno()).st_rdev == Path(os.devnull).stat().st_rdev
    assert err.getvalue() == ""


def test_an_operator_shows_no_secret(station: Station) -> None:
    """Its repr leaves the environment out."""
    streams = io.StringIO()
    screen = Screen(streams, streams, as_json=False)
    shown = repr(
        Operator(
            environ=station.environ,
            screen=screen,
            clock=station.clock,
            stdin=streams,
            open_page=station.pages.append,
            at_end=ExitStack(),
        )
    )
    assert "Operator(" in shown
    assert not canaries_in(shown)
