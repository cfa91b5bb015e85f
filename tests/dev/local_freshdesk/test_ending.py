"""Ctrl-C always ends it: whatever the moment and the signal, nothing stands still and nothing is left running.

`make endings` sends 200 signals to the small program and 200 to the whole demo; without ENDINGS there are 40 and two.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from dev.local_freshdesk.bot import ROOT
from dev.local_freshdesk.children import port_is_free
from tests.dev.local_freshdesk.ending import left_in
from tests.serving import free_port

ONCE_AND_TWICE: Final = (
    [signal.SIGINT],
    [signal.SIGTERM],
    [signal.SIGINT, signal.SIGINT],
    [signal.SIGTERM, signal.SIGTERM],
)
ENDINGS: Final = int(os.environ.get("ENDINGS", "2"))
RUNS: Final = max(10, ENDINGS // 4)  # of each of the four
KILLS: Final = max(5, ENDINGS // 10)
CONTROLS: Final = 50  # moments: enough to meet the one that hangs
LAST_S: Final = 3.0  # by then the demo is up
MAIN: Final = "def create_ticket(request):\n    return {'status': 'created', 'ticket_id': 7}, 201\n"
OPS: Final = "import time\nwhile True:\n    time.sleep(0.1)\n"


def sent(runs: int, numbers: Sequence[signal.Signals], *more: str) -> dict[str, Any]:
    """Return what came of a small program that got these signals, at so many moments."""
    command = [sys.executable, "-m", "tests.dev.local_freshdesk.ending", str(runs), ",".join(map(str, numbers)), *more]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    counts: dict[str, Any] = json.loads(done.stdout)
    return counts


@pytest.mark.parametrize("numbers", ONCE_AND_TWICE)
def test_a_signal_at_any_moment_ends_the_program_and_its_children(numbers: list[signal.Signals]) -> None:
    """While children are started, watched or ended; also with a second signal up to 40 lines after the first."""
    assert sent(RUNS, numbers) == {"runs": RUNS, "stood still": 0, "left": 0}


def test_a_flag_with_a_lock_stands_still() -> None:
    """The control: with a threading.Event the same moments find the one that hangs."""
    assert sent(CONTROLS, [signal.SIGINT], "with a lock")["stood still"] == 1


def test_a_kill_at_any_moment_ends_the_children_too() -> None:
    """The program can do nothing then; its children are tied to it."""
    assert sent(KILLS, [signal.SIGKILL]) == {"runs": KILLS, "stood still": 0, "left": 0}


@pytest.mark.parametrize("number", range(ENDINGS))
def test_the_demo_leaves_nothing_whenever_it_is_ended(tmp_path: Path, number: int) -> None:
    """From its first import until it is up: it ends, no process stays, and both ports are free."""
    (tmp_path / "main.py").write_text(MAIN)
    (tmp_path / "ops.py").write_text(OPS)
    ports = {"PORT": str(free_port()), "FRESHDESK_PORT": str(free_port())}
    folders = ["--root", str(tmp_path), "--data", str(tmp_path / "data")]
    command = [sys.executable, "-m", "dev.local_freshdesk.demo", *folders]
    silent = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=ROOT, env=os.environ | ports, stdout=silent, stderr=silent) as demo:
        try:
            time.sleep(LAST_S * (number + 1) / ENDINGS)
            for ending in ONCE_AND_TWICE[number % 4]:
                demo.send_signal(ending)
            demo.wait(30)
        finally:
            demo.kill()
    assert not left_in(tmp_path)
    assert all(port_is_free(int(port)) for port in ports.values())
