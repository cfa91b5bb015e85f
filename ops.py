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
            status, told = _run(args.run, args, operator)
    except BrokenPipeError:  # the reader of a pipe has had enough; what is still to be flushed must not fail again
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        return OK
    if told:
        screen.warn(told)
    return status


def _run(run: Callable[..., int], *given: object) -> tuple[int, str]:
    """Run the command; return its status and, where it could not go on, what to print."""
    try:
        return run(*given), ""
    except (SettingsError, Halt, LedgerUnavailable, FreshdeskError, KeyboardInterrupt) as error:
        return _meaning(error)


def _meaning(error: BaseException) -> tuple[int, str]:
    told = (INTERRUPTED, "Interrupted; nothing is lost by that.")
    match error:
        case SettingsError():
            told = WRONG_CALL, f"Mend these settings:\n{error}"
        case Halt():
            told = error.status, str(error)
        case LedgerUnavailable():
            told = NO_ANSWER, f"LEDGER_URL: the ledger does not answer ({error}); check the address and who may read it"
        case FreshdeskError():
            told = (
                NO_ANSWER,
                f"FRESHDESK_URL: no answer from Freshdesk to work with ({error}); try: python ops.py check",
            )
    return told


if __name__ == "__main__":
    sys.exit(main())
