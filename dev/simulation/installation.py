"""The real programs, as a proof needs them: the stand-in, functions and sweeps that can be killed, and the bot."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import requests

from dev.local_freshdesk.children import tie
from dev.simulation.endpoints import SECRET
from dev.simulation.stand_in import KEY, ROOT, StandIn, open_stand_in
from handoff.ledger.sqlite import SQLiteLedger

DEADLINE_S: Final = 4.0
WAIT_S: Final = 2.0
LEASE_S: Final = 4.5
_ANSWER_S: Final = 10.0


class Immortal:
    """A parent whose child may be killed: the next one is there at once. `port` is 0 for a sweep."""

    def __init__(self, role: str, env: dict[str, str], *, forgetful: bool = False) -> None:
        options = ["--lease", str(LEASE_S), *(["--forgetful"] if forgetful else [])]
        self._parent = subprocess.Popen(
            tie([sys.executable, "-m", "dev.simulation.serve", role, *options]),
            cwd=ROOT,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self.port = int(self._line()) if role == "function" else 0
        self._child, self._dead = int(self._line()), 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def kill(self) -> bool:
        """Kill the child, without a word; return True if there was a living one."""
        if self._child == self._dead:
            return False
        self._dead = self._child
        os.kill(self._child, signal.SIGKILL)
        return True

    def end(self) -> None:
        """End parent and child."""
        os.killpg(self._parent.pid, signal.SIGKILL)
        self._parent.wait()
        self._reader.join()
        if self._parent.stdout:
            self._parent.stdout.close()

    def _read(self) -> None:
        while line := self._line():
            self._child = int(line)

    def _line(self) -> str:
        return self._parent.stdout.readline() if self._parent.stdout else ""


class Installation:
    """One stand-in, several functions and sweeps over one SQLite file."""

    def __init__(self, folder: Path, freshdesk: StandIn, functions: list[Immortal], sweeps: list[Immortal]) -> None:
        self.ledger = SQLiteLedger(folder / "handoffs.db")
        self.freshdesk = freshdesk
        self.functions = functions
        self.sweeps = sweeps

    def settle(self, within_s: float) -> bool:
        """Wait until nothing is left to be done."""
        until = time.monotonic() + within_s
        while any(row.due_at is not None and not row.is_parked for row in self.ledger.each()):
            if time.monotonic() > until:
                return False
            time.sleep(0.2)
        return True


@contextmanager
def open_installation(
    folder: Path, *, functions: int = 1, sweeps: int = 1, forgetful: bool = False
) -> Iterator[Installation]:
    """Start everything; end it afterwards."""
    with ExitStack() as stack:
        freshdesk = stack.enter_context(open_stand_in())
        env = {**os.environ, **_environment(freshdesk.url, folder / "handoffs.db")}

        def start(role: str) -> Immortal:
            one = Immortal(role, env, forgetful=forgetful and role == "function")
            stack.callback(one.end)
            return one

        serving, sweeping = [start("function") for _ in range(functions)], [start("sweep") for _ in range(sweeps)]
        running = Installation(folder, freshdesk, serving, sweeping)
        stack.callback(running.ledger.close)
        yield running


def send(session: requests.Session, port: int, body: bytes) -> tuple[int, dict[str, Any]] | None:
    """Send body as the bot does; None when no answer came."""
    headers = {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/json"}
    try:
        answer = session.post(f"http://127.0.0.1:{port}/", body, headers=headers, timeout=_ANSWER_S)
        return answer.status_code, answer.json()
    except requests.RequestException:
        return None


def send_until_heard(session: requests.Session, port: int, body: bytes, pauses_s: Sequence[float]) -> dict[str, Any]:
    """Send again after each pause until something was promised; {} when the sender gave up."""
    for pause_s in (0.0, *pauses_s):
        time.sleep(pause_s)
        heard = send(session, port, body)
        if heard is not None and heard[0] < 300:
            return heard[1]
    return {}


def _environment(url: str, ledger: Path) -> dict[str, str]:
    return {
        "FRESHDESK_URL": url,
        "FRESHDESK_API_KEY": KEY,
        "WEBHOOK_SECRET": SECRET,
        "LEDGER_URL": f"sqlite:///{ledger}",
        "DEADLINE_S": str(DEADLINE_S),
        "IN_DOUBT_WAIT_S": str(WAIT_S),
    }
