"""The output of a command: tables for people, JSON for programs, a progress bar on standard error."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from handoff.sanitize import clean

# C0 and C1 controls but tab and line feed, line and paragraph separators, marks and overrides of the writing direction.
_STEERING: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
WIDTH_IN_A_FILE: Final = 160  # nothing is cut, long cells are wrapped


class Bar(Protocol):
    """The progress of a task."""

    def step(self, count: int = 1) -> None:
        """Advance by count."""
        ...

    def say(self, what: str) -> None:
        """Show the current step."""
        ...


class Screen:
    """Standard output and standard error of one command."""

    def __init__(self, out: TextIO, err: TextIO, *, as_json: bool) -> None:
        self.as_json = as_json
        self._out = _console(out)
        self._err = _console(err)
        self._out_file = out
        self._err_file = err

    @property
    def watched(self) -> bool:
        """Return True if a person sees standard error as it is written."""
        return self._err.is_terminal

    def say(self, line: str = "") -> None:
        """Print a line for people; nothing if JSON was requested."""
        if not self.as_json:
            self._out_file.write(_harmless(f"{line}\n"))
            self._out_file.flush()

    def warn(self, line: str) -> None:
        """Print a line on standard error."""
        self._err_file.write(_harmless(f"{line}\n"))
        self._err_file.flush()

    def json(self, data: Any) -> None:
        """Print data as JSON if that was requested."""
        if self.as_json:
            self._out_file.write(_harmless(json.dumps(data, ensure_ascii=False, indent=2)) + "\n")
            self._out_file.flush()

    def line(self, data: Any) -> None:
        """Print data as one line of JSON if that was requested: for a stream of them."""
        if self.as_json:
            self._out_file.write(_harmless(json.dumps(data, ensure_ascii=False)) + "\n")
            self._out_file.flush()

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
        """Print a table for people; nothing if JSON was requested. None is shown as nothing."""
        if self.as_json:
            return
        if title:
            self.say(clean(title))
        table = Table()
        for column in columns:
            table.add_column(_cell(column), overflow="fold")
        for row in rows:
            table.add_row(*(_cell(value) for value in row))
        self._out.print(table)

    @contextmanager
    def bar(self, what: str, total: int | None) -> Iterator[Bar]:
        """Show a progress bar on standard error inside, if a person watches; total None: unknown."""
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
        with Progress(
            *columns, TimeElapsedColumn(), console=self._err, transient=True, disable=not self.watched
        ) as progress:
            yield _Bar(progress, what, total)


class _Bar:
    def __init__(self, progress: Progress, what: str, total: int | None) -> None:
        self._progress = progress
        self._task = progress.add_task(what, total=total)

    def step(self, count: int = 1) -> None:
        self._progress.advance(self._task, count)

    def say(self, what: str) -> None:
        self._progress.update(self._task, description=what)


def _console(file: TextIO) -> Console:
    width = None if file.isatty() else WIDTH_IN_A_FILE
    return Console(file=file, width=width, markup=False, highlight=False, emoji=False)


def _harmless(text: str) -> str:
    r"""Return text with characters that control a terminal or reorder a line escaped as in JSON; JSON stays valid.

    >>> _harmless("pago\u202e \x9b31m")
    'pago\\u202e \\u009b31m'
    """
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _cell(value: object) -> Text:
    """Return a cell: the text without markup and without characters that control a terminal."""
    return Text("" if value is None else _harmless(clean(str(value))))
