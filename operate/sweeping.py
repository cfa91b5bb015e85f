"""`sweep`: one pass over the rows that are due, or one every so many seconds until a signal asks to stop."""

from __future__ import annotations

import logging
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Final, NamedTuple

from handoff.ledger import LedgerUnavailable, State
from handoff.log import JSONLines, log_as_json
from handoff.settings import read_ledger
from handoff.sweep import READ_MAX, SweepReport, sweep
from handoff.writer import TicketWriter
from operate.operator import NEEDS_ACTION, NO_ANSWER, OK, Halt, Operator, missing_file
from operate.screen import Bar, Screen
from operate.spans import span
from operate.stopping import stopping

logger = logging.getLogger("handoff.ops")

_WORDS: Final = {
    State.CREATED: "created",
    State.NOT_CREATED: "not created yet",
    State.IN_DOUBT: "in doubt",
    State.REJECTED: "waiting for a correction",
    State.FAILED: "given up",
    State.CREATING: "being sent",
}
_STOPPED: Final = {
    "budget": "the time of this pass was used up",
    "rate-limit": "the rate limit is left to live requests",
    "account-down": "Freshdesk does not answer",
    "ledger-down": "the ledger does not answer",
    "asked to stop": "asked to",
}

LEDGER_PAUSE_S: Final = 5.0

Wait = Callable[[float], bool]  # waits so many seconds, or less if asked to stop; returns whether to stop


def sweep_rows(args: Namespace, operator: Operator) -> int:
    """Run `sweep`. A missing ledger file is never made; a loop waits until the function has made it."""
    writer = operator.writer(new_ledger=args.every is not None)
    if args.budget <= writer.policy.deadline_s:
        raise Halt(f"--budget must be more than DEADLINE_S ({writer.policy.deadline_s:g} s), what one row may take")
    if args.every is None:
        report = one_pass(writer, operator.screen, args.budget)
        if report.stopped == "ledger-down":
            return NO_ANSWER
        return NEEDS_ACTION if report.states[State.FAILED] or report.failed_rows else OK
    log_as_json(platform_formats=False)
    with stopping(insist=True) as stop:  # a second signal loses nothing: a row that is held is tried after its lease
        times = Times(args.every, args.budget, stop.wait, stop.is_set)
        if missing := missing_file(read_ledger(operator.environ)):
            logger.warning("waiting for the ledger", extra={"error": missing})
        while missing_file(read_ledger(operator.environ)) and not stop.wait(min(args.every, LEDGER_PAUSE_S)):
            pass
        repeat(writer, operator.screen, times)
    return OK


def one_pass(writer: TicketWriter, screen: Screen, budget_s: float) -> SweepReport:
    """Run one pass, with a progress bar for a person, or with JSON lines on standard error for a log."""
    if not screen.watched:
        log_as_json(platform_formats=False)
    with _bar(writer, screen) if screen.watched else nullcontext():
        report = sweep(writer, budget_s=budget_s)
    screen.json(report.as_dict())
    screen.say(in_words(report))
    return report


class Times(NamedTuple):
    """When to sweep, in seconds, and how to find out that it is time to stop."""

    every_s: float
    budget_s: float
    wait: Wait
    should_stop: Callable[[], bool] = lambda: False


def repeat(writer: TicketWriter, screen: Screen, times: Times) -> None:
    """Run passes until asked to stop, whatever their results. A ledger that is down is waited for."""
    pause_s = 0.0
    while not times.wait(pause_s):
        pause_s = times.every_s
        try:
            report = sweep(writer, budget_s=times.budget_s, should_stop=times.should_stop)
        except LedgerUnavailable as error:
            logger.error("ledger down while sweeping", extra={"error": str(error)})
            continue
        except Exception as error:  # noqa: BLE001 -- if one pass ended the loop, nothing would be delivered from then on
            logger.error("pass failed", extra={"error": type(error).__name__})
            continue
        if report.states.total() or report.taken_by_others or report.failed_rows:
            screen.line(report.as_dict())
            screen.say(in_words(report))
        if report.stopped == "budget":
            pause_s = 0.0  # there is more to do, and time for it


def in_words(report: SweepReport) -> str:
    """Return a pass in one line."""
    parts = [f"{report.states[state]} {word}" for state, word in _WORDS.items() if report.states[state]]
    parts += [f"{report.taken_by_others} taken by another sweep"] if report.taken_by_others else []
    parts += [f"{report.failed_rows} with an error (see the log)"] if report.failed_rows else []
    line = ", ".join(parts) or ("nothing could be done now" if report.stopped else "nothing was due")
    if report.waiting:
        line += f"; {report.waiting} waiting, the oldest for {span(report.oldest_waiting_s)}"
    return f"Swept: {line}" + (f" (stopped: {_STOPPED[report.stopped]})" if report.stopped else "")


@contextmanager
def _bar(writer: TicketWriter, screen: Screen) -> Iterator[None]:
    """Show how many rows are done. Errors are printed; the log has a line for each row."""
    due = len(writer.ledger.due(writer.clock.now(), READ_MAX))
    log = logging.getLogger("handoff")
    with screen.bar("Sweeping", due or None) as bar:
        counter = StepPerRow(bar, screen)
        level, propagate = log.level, log.propagate
        log.addHandler(counter)
        log.setLevel(logging.INFO)
        log.propagate = False
        try:
            yield
        finally:
            log.removeHandler(counter)
            log.setLevel(level)
            log.propagate = propagate


class StepPerRow(logging.Handler):
    """Advances a bar by one for each row's log line, and prints the errors."""

    def __init__(self, bar: Bar, screen: Screen) -> None:
        super().__init__()
        self._bar = bar
        self._screen = screen
        self.setFormatter(JSONLines())

    def emit(self, record: logging.LogRecord) -> None:
        """Handle one log record."""
        if record.getMessage() == "handoff":
            self._bar.step()
        if record.levelno >= logging.ERROR:
            self._screen.warn(self.format(record))
