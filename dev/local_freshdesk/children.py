"""Programs started as children: watched, and ended with everything they started themselves."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dev.local_freshdesk import tied

_PATIENCE_S: Final = 6.0
_LAST_LINES: Final = 12


class ChildDiedError(Exception):
    """A child ended by itself; the message says which, how, and its last lines."""


@dataclass(frozen=True, slots=True)
class Child:
    """One running program; it leads a process group of its own, so that Ctrl-C reaches only its parent.

    On Linux it is killed when its parent is.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(cls, name: str, command: list[str], *, cwd: Path, env: Mapping[str, str], logs: Path) -> Child:
        """Start it, its output going to `<name>.log`; raises OSError."""
        log = logs / f"{name.lower().replace(' ', '-')}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                tie(command),
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return cls(name, process, log)

    def must_live(self) -> None:
        """Raise ChildDiedError where it has ended."""
        status = self.process.poll()
        if status is not None:
            lines = self.log.read_text("utf-8", "replace").splitlines()[-_LAST_LINES:]
            last = "\n".join(f"  {line}" for line in lines) or "  (it printed nothing)"
            raise ChildDiedError(f"The {self.name} ended by itself (status {status}). Its last lines:\n{last}")


def tie(command: list[str]) -> list[str]:
    """Return the command that is killed when the calling process ends; start it in the main thread."""
    return [sys.executable, "-I", "-S", tied.__file__, str(os.getpid()), *command]


@contextmanager
def running(
    commands: Mapping[str, list[str]], *, cwd: Path, env: Mapping[str, str], logs: Path
) -> Iterator[list[Child]]:
    """Start these programs by name; end them, also where one cannot be started. Raises OSError."""
    children: list[Child] = []
    try:
        for name, command in commands.items():
            children.append(Child.start(name, command, cwd=cwd, env=env, logs=logs))
        yield children
    finally:
        end_all(children)


def end_all(children: list[Child]) -> None:
    """End every child and its group: SIGTERM first, then SIGKILL."""
    for child in children:
        _signal(child, signal.SIGTERM)
    until = time.monotonic() + _PATIENCE_S
    for child in children:
        with suppress(subprocess.TimeoutExpired):
            child.process.wait(max(until - time.monotonic(), 0.05))
    for child in children:
        _signal(child, signal.SIGKILL)
        child.process.wait()


def _signal(child: Child, number: signal.Signals) -> None:
    """Send a signal to the child's whole group: a server's workers must not outlive it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.process.pid, number)


def port_is_free(port: int) -> bool:
    """Return True if something could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
