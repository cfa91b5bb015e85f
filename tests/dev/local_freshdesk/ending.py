"""Sends signals to a small program that keeps children, at chosen lines of its code, and counts what does not end.

A trace function sends them, so each moment is a line, not a time: no lucky timing is needed to meet the one that hangs.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any, Final

from dev.local_freshdesk.children import running
from operate.stopping import Stop, stopping

LINES: Final = 1000  # some 680 of starting, then rounds of waiting; ending comes after the signal
_PATIENCE_S: Final = 20.0  # what ends at all has ended long before
_CONTROL_S: Final = 1.0


def running_in(folder: Path) -> list[str]:
    """Return the processes whose working directory is this folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").resolve() == folder.resolve() and (entry / "cmdline").read_text():
                found.append(entry.name)
        except OSError:
            continue
    return found


def left_in(folder: Path) -> list[str]:
    """Return the processes still running there when everything has had its time to end."""
    until = time.monotonic() + _PATIENCE_S
    while (found := running_in(folder)) and time.monotonic() < until:
        time.sleep(0.01)
    return found


@contextmanager
def with_a_lock(signals: Sequence[signal.Signals]) -> Iterator[threading.Event]:
    """A control: what `stopping` must not be."""
    stop = threading.Event()
    for number in signals:
        signal.signal(number, lambda *_: stop.set())
    yield stop


def keep_children(folder: Path, stop: Stop | threading.Event) -> None:
    """Do what the demo does: start children, watch them until asked to stop, end them."""
    commands = {name: ["sleep", "600"] for name in ("one", "two")}
    with running(commands, cwd=folder, env={"PATH": os.environ["PATH"]}, logs=folder) as children:
        while not stop.wait(0.01):
            for child in children:
                child.must_live()


def send_at(line: int, numbers: Sequence[signal.Signals]) -> None:
    """Send the first signal to this process at a line of what it runs from now on, the next 1 to 40 lines later."""
    due = {line + (index * (1 + line % 40)): number for index, number in enumerate(numbers)}
    lines = 0

    def trace(_frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        if lines in due:
            signal.raise_signal(due.pop(lines))
        return trace

    sys.settrace(trace)


def run_once(folder: Path, line: int, numbers: Sequence[signal.Signals], *, lock: bool) -> tuple[bool, int]:
    """Run the program in a process of its own; return if it ended as it should, and how many processes it left."""
    child = os.fork()
    if child == 0:
        try:
            os.chdir(folder)
            with (with_a_lock if lock else stopping)((signal.SIGINT, signal.SIGTERM)) as stop:
                send_at(line, numbers)
                keep_children(folder, stop)
                sys.settrace(None)
            os._exit(0)
        finally:
            os._exit(1)
    expected = -signal.SIGKILL if signal.SIGKILL in numbers else 0
    until = time.monotonic() + (_CONTROL_S if lock else _PATIENCE_S)
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) == expected, len(left_in(folder))
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False, len(left_in(folder))


def main() -> None:
    """Print how many runs there were, how many stood still, and how many processes were left."""
    runs, numbers, lock = int(sys.argv[1]), [signal.Signals(int(text)) for text in sys.argv[2].split(",")], sys.argv[3:]
    still = left = 0
    for number in range(runs):
        with TemporaryDirectory() as folder:
            line = 1 + number * LINES // runs
            ended, stayed = run_once(Path(folder), line, numbers, lock=bool(lock))
        still, left = still + (not ended), left + stayed
        if lock and still:  # the control has shown what it is for
            break
    json.dump({"runs": runs, "stood still": still, "left": left}, sys.stdout)


if __name__ == "__main__":
    main()
