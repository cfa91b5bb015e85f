"""The operator's commands: `python ops.py --help`."""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import TextIO

from freshdesk_client import FreshdeskError
from handoff.deadline import Clock, SystemClock
from handoff.ledger import LedgerUnavailable
from handoff.settings import SettingsError
from operate.arguments import parser
from operate.operator import INTERRUPTED, NO_ANSWER, OK, WRONG_CALL, Halt, Operator
from operate.screen import Screen


def main(
    argv: Sequence[str] | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
    streams: tuple[TextIO, TextIO, TextIO] | None = None,
    clock: Clock | None = None,
    open_page: Callable[[str], object] = webbrowser.open,
) -> int:
    """Run one command and return its exit status; see `operate.arguments.STATUSES`.

    Args:
        argv: the arguments; the process's own if None.
        environ: the settings.
        streams: standard input, output and error.
        clock: real time if None.
        open_page: shows a page in a browser.
    """
    args = parser().parse_args(argv)
    stdin, out, err = streams or (sys.stdin, sys.stdout, sys.stderr)
    screen = Screen(out, err, as_json=args.json)
    clock = clock or SystemClock()
    try:
        with ExitStack() as at_end:
            operator = Operator(
                environ=environ, screen=screen, clock=clock, stdin=stdin, open_page=open_page, at_end=at_end
            )
            status, problem = _run(args.run, args, operator)
    except BrokenPipeError:  # the reader of a pipe has ended; the final flush must not fail again
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        return OK
    if problem:
        screen.warn(problem)
    return status


def _run(run: Callable[..., int], *given: object) -> tuple[int, str]:
    """Run the command; return its status and, if it had to stop, the message to print."""
    try:
        return run(*given), ""
    except (SettingsError, Halt, LedgerUnavailable, FreshdeskError, KeyboardInterrupt) as error:
        return _meaning(error)


def _meaning(error: BaseException) -> tuple[int, str]:
    """Return the exit status of an error, and what to print."""
    match error:
        case SettingsError():
            return WRONG_CALL, f"Fix these settings:\n{error}"
        case Halt():
            return error.status, str(error)
        case LedgerUnavailable():
            return NO_ANSWER, f"LEDGER_URL: the ledger does not answer ({error}); check the address and who may read it"
        case FreshdeskError():
            return NO_ANSWER, f"FRESHDESK_URL: Freshdesk gave no usable answer ({error}); try: python ops.py check"
        case _:
            return INTERRUPTED, "Interrupted; nothing is lost by that."


if __name__ == "__main__":
    sys.exit(main())
