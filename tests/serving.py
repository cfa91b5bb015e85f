"""The running function: functions-framework's server in its own process, with a stand-in and a ledger."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.endpoints import ROOT, environ

START_S = 40.0


@dataclass(frozen=True, slots=True)
class Served:
    """A running function: its URL, its process, and its log file."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        """Return the URL to send requests to."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pids(self) -> list[int]:
        """Return the process ids of the server and its workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text(encoding="ascii")
        return [self.process.pid, *map(int, children.split())]

    @property
    def resident_bytes(self) -> int:
        """Return the memory of the server and its workers, with shared pages counted for each."""
        return sum(int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * 4096 for pid in self.pids)


@contextmanager
def serve(freshdesk_url: str, folder: Path, **more: str) -> Iterator[Served]:
    """Run the function until the block ends; its ledger and its log are in folder."""
    with starting(freshdesk_url, folder, **more) as served:
        wait_for(served.port, served.process)
        yield served


@contextmanager
def starting(freshdesk_url: str, folder: Path, **more: str) -> Iterator[Served]:
    """Run the function like `serve`, without waiting until it answers."""
    port, log = free_port(), folder / "function.log"
    # except for flask's test server, this is the server of the container and of Google's buildpack
    command = [sys.executable, "-m", "functions_framework", "--source", "main.py", "--target", "create_ticket"]
    env = {**environ(freshdesk_url, f"{folder}/handoffs.db"), "THREADS": "64", **more}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)], cwd=ROOT, env=env, stdout=out, stderr=out
        )
    try:
        yield Served(port, process, log)
    finally:
        process.terminate()
        process.wait(20)


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return when something answers on port; raise RuntimeError if the process ends or keeps silent."""
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError), closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            connection.request("GET", "/")
            connection.getresponse().read()
            return
        time.sleep(0.05)
    raise RuntimeError("the function did not start")


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
