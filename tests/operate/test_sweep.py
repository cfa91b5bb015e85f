"""`sweep`: one pass, or one after the other until a signal asks to stop."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from handoff.delivery import Delivery
from handoff.ledger import State
from handoff.ledger.sqlite import SQLiteLedger
from handoff.sweep import SweepReport
from operate.screen import Screen
from operate.stopping import stopping
from operate.sweeping import StepPerRow, Times, in_words, one_pass, repeat
from tests.factories import handoff
from tests.ledger_factories import FaultyLedger, with_parts
from tests.operate.operating import Station


class Terminal(io.StringIO):
    """A stream that a person watches."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def waits(count: int) -> Iterator[bool]:
    """Return what each wait returns: not to stop for so many times, then to stop."""
    return iter([*([False] * count), True])


def test_one_pass_brings_on_what_is_due(station: Station) -> None:
    """It says what it did."""
    station.freshdesk.weather("rate-limited")
    station.deliver()
    station.freshdesk.weather("healthy")
    station.clock.time += 900
    ran = station.run("sweep")
    assert (ran.status, ran.out) == (0, "Swept: 1 created\n")
    assert station.states() == [State.CREATED]


def test_a_pass_with_nothing_due_says_so(station: Station) -> None:
    """In JSON it is a report of noughts."""
    assert station.run("sweep").out == "Swept: nothing was due\n"
    assert station.run("sweep", "--json").json["created"] == 0


def test_a_row_given_up_ends_with_1(station: Station) -> None:
    """A person must act: the scheduler that ran it should show red."""
    station.has(state=State.NOT_CREATED, due_at=station.clock.now() - 1, give_up_at=station.clock.now() - 1)
    ran = station.run("sweep")
    assert (ran.status, ran.out) == (1, "Swept: 1 given up\n")


def test_a_loop_waits_until_the_function_has_made_the_ledger(station: Station, tmp_path: Path) -> None:
    """It makes no file of its own: one in another folder would look as if nothing were due."""
    file = tmp_path / "later.db"
    made = SQLiteLedger(file)
    seen: list[bool] = []

    def make() -> None:
        seen.append(file.exists())
        made.due(0.0, 1)

    timers = threading.Timer(0.5, make), threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGTERM))
    for timer in timers:
        timer.start()
    ran = station.run("sweep", "--every", "0.1", LEDGER_URL=f"sqlite:///{file}")
    for timer in timers:
        timer.join()
    made.close()
    assert (ran.status, ran.out, seen) == (0, "", [False])


def test_a_loop_that_waits_for_the_ledger_ends_when_asked(station: Station, tmp_path: Path) -> None:
    """Whatever LEDGER_URL names."""
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    assert station.run("sweep", "--every", "60", LEDGER_URL=f"sqlite:///{tmp_path}/never.db").status == 0
    timer.join()
    assert not (tmp_path / "never.db").exists()


def test_a_row_that_fails_ends_with_1_and_is_counted(station: Station) -> None:
    """What breaks the code is for a person too; the loop's line names it as well."""
    now = station.clock.now()
    station.has(state=State.NOT_CREATED, due_at=now - 1, handoff="[")
    ran = station.run("sweep")
    assert ran.status == 1
    assert ran.out.startswith("Swept: 1 with an error (see the log)")
    station.clock.time += 900
    out, _ = passes(station.delivery(), waits(1))
    assert out.startswith("Swept: 1 with an error (see the log)")


def test_a_pass_that_the_ledger_ended_ends_with_3(station: Station) -> None:
    """Three rows in a row that could not be written: the rest waits for the next pass."""
    now = station.clock.now()
    for number in (1, 2, 3, 4):
        station.has(number, state=State.NOT_CREATED, due_at=now - 1, handoff=handoff().to_json())
    with sqlite3.connect(station.environ["LEDGER_URL"].removeprefix("sqlite:///")) as db:
        db.execute("CREATE TRIGGER down BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'down'); END")
    db.close()
    ran = station.run("sweep")
    assert ran.status == 3
    assert "(stopped: the ledger does not answer)" in ran.out


def test_a_budget_shorter_than_one_row_may_take_is_refused(station: Station) -> None:
    """Such a pass would never do anything."""
    ran = station.run("sweep", "--budget", "12")
    assert ran.status == 2
    assert ran.err.startswith("--budget must be more than DEADLINE_S (12 s)")


@pytest.mark.parametrize(
    ("report", "line"),
    [
        (SweepReport(taken_by_others=2), "Swept: 2 taken by another sweep"),
        (SweepReport(failed_rows=3), "Swept: 3 with an error (see the log)"),
        (
            SweepReport(stopped="budget"),
            "Swept: nothing could be done now (stopped: the time of this pass was used up)",
        ),
        (
            SweepReport(stopped="account-down", waiting=3, oldest_waiting_s=7200.0),
            "Swept: nothing could be done now; 3 waiting, the oldest for 2 h (stopped: Freshdesk does not answer)",
        ),
        (
            SweepReport(stopped="rate-limit"),
            "Swept: nothing could be done now (stopped: the rate limit is left to live requests)",
        ),
    ],
)
def test_a_pass_is_reported_in_one_line(report: SweepReport, line: str) -> None:
    """With what waits, and why it stopped."""
    assert in_words(report) == line


def passes(delivery: Delivery, answers: Iterator[bool], *, as_json: bool = False) -> tuple[str, list[float]]:
    """Run passes until the answers are used up; return what was printed, and the pauses."""
    out, pauses = io.StringIO(), list[float]()

    def wait(seconds: float) -> bool:
        pauses.append(seconds)
        return next(answers)

    repeat(delivery.writer, Screen(out, out, as_json=as_json), Times(30.0, 45.0, wait))
    return out.getvalue(), pauses


def test_passes_follow_each_other_with_a_pause(station: Station) -> None:
    """The first at once; one that did nothing says nothing."""
    assert passes(station.delivery(), waits(2)) == ("", [0.0, 30.0, 30.0])


@pytest.mark.parametrize("as_json", [True, False])
def test_a_pass_that_did_something_says_so_in_a_line(station: Station, *, as_json: bool) -> None:
    """For people, or as one JSON object a line."""
    now = station.clock.now()
    station.has(state=State.NOT_CREATED, due_at=now - 1, give_up_at=now - 1)
    out, _ = passes(station.delivery(), waits(2), as_json=as_json)
    assert out.count("\n") == 1
    assert json.loads(out)["failed"] == 1 if as_json else out == "Swept: 1 given up\n"


def test_a_pass_that_ran_out_of_time_is_followed_at_once(station: Station) -> None:
    """There is more to do."""
    now = station.clock.now()
    for number in (1, 2):
        station.has(number, state=State.NOT_CREATED, due_at=now - 1, give_up_at=now - 1)
    slow = station.delivery()
    clock = station.clock

    class SlowLedger(FaultyLedger):
        def replace(self, *rows: object) -> bool:
            clock.time += 40
            return super().replace(*rows)  # type: ignore[arg-type]

    slow = with_parts(slow, ledger=SlowLedger(slow.writer.ledger))
    _, pauses = passes(slow, waits(2))
    assert pauses == [0.0, 0.0, 30.0]


def test_a_ledger_that_is_down_is_waited_for(station: Station, caplog: pytest.LogCaptureFixture) -> None:
    """Logged as an error; the next pass goes on."""
    now = station.clock.now()
    station.has(state=State.NOT_CREATED, due_at=now - 1, give_up_at=now - 1)
    delivery = station.delivery()
    ledger = FaultyLedger(delivery.writer.ledger)
    delivery = with_parts(delivery, ledger=ledger)

    def down_for_a_pass() -> Iterator[bool]:
        ledger.always = "before"
        yield False
        ledger.always = ""
        yield from waits(1)

    logging.getLogger("handoff").addHandler(caplog.handler)
    try:
        out, _ = passes(delivery, down_for_a_pass())
    finally:
        logging.getLogger("handoff").removeHandler(caplog.handler)
    assert "ledger down while sweeping" in [record.getMessage() for record in caplog.records]
    assert out == "Swept: 1 given up\n"


def test_a_pass_that_breaks_does_not_end_the_loop(station: Station, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever nobody foresaw is logged by its name, and the next pass is run."""
    delivery = station.delivery()

    class BrokenLedger(FaultyLedger):
        def tidy(self, _now: float) -> None:
            raise ZeroDivisionError("secret")

    delivery = with_parts(delivery, ledger=BrokenLedger(delivery.writer.ledger))
    logging.getLogger("handoff").addHandler(caplog.handler)
    try:
        _, pauses = passes(delivery, waits(2))
    finally:
        logging.getLogger("handoff").removeHandler(caplog.handler)
    assert pauses == [0.0, 30.0, 30.0]
    failed = [record for record in caplog.records if record.getMessage() == "pass failed"]
    assert [vars(record)["error"] for record in failed] == ["ZeroDivisionError"] * 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_ends_the_wait_and_the_second_the_pass(number: signal.Signals) -> None:
    """And afterwards signals do what they did before."""
    before = signal.getsignal(number)
    with stopping(insist=True) as stop:
        assert stop.wait(0.0) is False
        os.kill(os.getpid(), number)
        assert stop.wait(60.0) is True
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_a_watched_pass_shows_a_bar_instead_of_the_log(station: Station) -> None:
    """One step a row; only errors are printed, and the log is as before afterwards."""
    now, log = station.clock.now(), logging.getLogger("handoff")
    before = (log.level, log.propagate, list(log.handlers))
    station.has(1, state=State.NOT_CREATED, due_at=now - 1, give_up_at=now - 1)
    out, err = io.StringIO(), Terminal()
    one_pass(station.delivery().writer, Screen(out, err, as_json=False), 45.0)
    assert out.getvalue() == "Swept: 1 given up\n"
    assert "Sweeping" in err.getvalue()
    assert '"message": "given up"' in err.getvalue()
    assert '"message": "swept"' not in err.getvalue()
    assert (log.level, log.propagate, list(log.handlers)) == before


def test_the_bar_moves_with_each_row() -> None:
    """By the line that each row leaves in the log."""
    steps: list[int] = []

    class Counted:
        def step(self, count: int = 1) -> None:
            steps.append(count)

        def say(self, what: str) -> None:
            raise AssertionError(what)

    handler = StepPerRow(Counted(), Screen(io.StringIO(), io.StringIO(), as_json=False))
    for message in ("handoff", "swept", "handoff"):
        handler.emit(logging.makeLogRecord({"msg": message, "levelno": logging.INFO}))
    assert steps == [1, 1]


def test_a_loop_ends_with_0_when_it_is_should_stop(station: Station) -> None:
    """The command itself, with a real signal."""
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    ran = station.run("sweep", "--every", "60")
    timer.join()
    assert (ran.status, ran.out, ran.err) == (0, "", "")
