"""What is measured: the function, the floor and the fake upstream, each in processes of its own, and what they use."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple
from urllib.request import urlopen

from dev.bench.load import SECRET
from dev.local_freshdesk.children import tie

ROOT: Final = Path(__file__).resolve().parents[2]
THREADS: Final = "64"
_START_S: Final = 30.0
_CORES: Final = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
TARGET_CORE: Final = _CORES[0]
LOAD_CORE: Final = _CORES[-1]


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: its address, and the process that leads it."""

    url: str
    pid: int

    def processes(self) -> list[int]:
        """Return the server's processes: its leader and what that started."""
        return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and self._has(entry)]

    def _has(self, entry: Path) -> bool:
        try:
            group = (entry / "stat").read_text().rpartition(")")[2].split()[2]
        except OSError:  # it ended while we looked
            return False
        return int(group) == self.pid

    def cpu_s(self) -> float:
        """Return the CPU seconds used so far, user and kernel."""
        ticks = 0
        for pid in self.processes():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        """Return the memory used in MB: what is shared counts once (PSS)."""
        rolled = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in self.processes()]
        sizes = [int(line.split()[1]) for text in rolled for line in text.splitlines() if line.startswith("Pss:")]
        return sum(sizes) / 1024


@dataclass(frozen=True, slots=True)
class Upstream:
    """The fake Freshdesk."""

    url: str

    def hold(self, delay_ms: float) -> None:
        """Hold every answer back so long from now on."""
        self._get(f"/delay?ms={delay_ms}")

    def tickets(self) -> int:
        """Return how many tickets were made."""
        return int(self._get("/count")["tickets"])

    def _get(self, path: str) -> dict[str, Any]:
        with urlopen(self.url + path, timeout=10) as answer:  # noqa: S310 -- loopback, the bench's own
            told: dict[str, Any] = json.load(answer)
        return told


@dataclass(frozen=True, slots=True)
class Subjects:
    """Everything one run needs."""

    upstream: Upstream
    floor: Server
    target: Server


class Wish(NamedTuple):
    """Something to serve: the file, and the name of the function in it."""

    source: str
    target: str


FLOOR: Final = Wish("dev/bench/floor.py", "forward")
FUNCTION: Final = Wish("main.py", "create_ticket")


@contextmanager
def subjects(folder: Path) -> Iterator[Subjects]:
    """Start the floor and the function; see `serving`."""
    with serving(folder, (FLOOR, FUNCTION)) as (upstream, (floor, target)):
        yield Subjects(upstream, floor, target)


@contextmanager
def serving(folder: Path, wishes: Sequence[Wish]) -> Iterator[tuple[Upstream, list[Server]]]:
    """Start an upstream and a server for each wish, in this order.

    Each has a ledger of its own in folder, which must be on a real disk for the figures to mean much.
    """
    with ExitStack() as stack:
        own = Path(stack.enter_context(TemporaryDirectory(dir=folder)))
        upstream = stack.enter_context(_upstream())
        servers = []
        for number, wish in enumerate(wishes):
            env = environment(upstream.url, f"sqlite:///{own / f'{number}.db'}")
            servers.append(stack.enter_context(_served(wish, env, own / f"{number}.log")))
        yield upstream, servers


def environment(upstream_url: str, ledger_url: str) -> dict[str, str]:
    """Return the whole environment of a function under measurement."""
    return {
        "PATH": os.environ["PATH"],
        "FRESHDESK_URL": upstream_url,
        "FRESHDESK_API_KEY": "local-freshdesk-key",
        "WEBHOOK_SECRET": SECRET,
        "LEDGER_URL": ledger_url,
        "THREADS": THREADS,
    }


def send(urls: list[str], *, callers: int, requests: int, seed: str) -> dict[str, Any]:
    """Have the load's own process send that many handoffs, each to every address.

    Raises:
        RuntimeError: an answer was not 201; a figure of failed requests would be worth nothing.
    """
    plan = {"urls": urls, "callers": callers, "requests": requests, "seed": seed}
    command = pinned(LOAD_CORE, sys.executable, "-m", "dev.bench.load")
    done = subprocess.run(command, input=json.dumps(plan), cwd=ROOT, capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    if told["statuses"] != [201]:
        raise RuntimeError(f"not every answer was 201: {told['statuses']}")
    return told


def pinned(core: int, *command: str) -> list[str]:
    """Return command, on one core."""
    return [sys.executable, "-m", "dev.bench.pinned", str(core), *command]


@contextmanager
def _upstream() -> Iterator[Upstream]:
    command = pinned(LOAD_CORE, sys.executable, "-m", "dev.bench.upstream")
    with _running(command, {"PATH": os.environ["PATH"]}, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield Upstream(f"http://127.0.0.1:{int(process.stdout.readline())}")


@contextmanager
def _served(wish: Wish, env: Mapping[str, str], log_file: Path) -> Iterator[Server]:
    port = _free_port()
    function = ["--source", wish.source, "--target", wish.target, "--host", "127.0.0.1", "--port", str(port)]
    command = pinned(TARGET_CORE, sys.executable, "-m", "functions_framework", *function)
    with (
        log_file.open("wb") as log,
        _running(command, {**env, "PYTHONPATH": str(ROOT)}, stdout=log) as process,
    ):
        _wait_for(port, process)
        yield Server(f"http://127.0.0.1:{port}/", process.pid)


@contextmanager
def _running(command: list[str], env: Mapping[str, str], *, stdout: Any) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        tie(command),
        cwd=ROOT,
        env=dict(env),
        stdout=stdout,
        stderr=stdout if stdout != -1 else None,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout:
            process.stdout.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"the server on port {port} did not start")
