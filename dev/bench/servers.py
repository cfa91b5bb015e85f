"""The fake upstream, the floor and the function, each in processes of its own, and wrk as their caller."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple
from urllib.request import Request, urlopen

from dev.local_freshdesk.children import Child, running

ROOT: Final = Path(__file__).resolve().parents[2]
SECRET: Final = "local-secret"  # noqa: S105 -- opens nothing but the bench's own function
CORES: Final = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
PINNED: Final = ["taskset", "--cpu-list", str(CORES[0])]
"""What is measured runs on the first core, all else on the last."""
START_S: Final = 30.0


class Load(NamedTuple):
    """What wrk measured."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    failed: int


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: its address, and the process that leads its group."""

    url: str
    pid: int

    def load(self, callers: int, seconds: int, path: str = "/") -> Load:
        """Have callers send new handoffs for so long; raise RuntimeError unless each is answered 201."""
        headers = ["-H", f"Authorization: Bearer {SECRET}", "-H", "Content-Type: application/json"]
        command = ["wrk", "-t1", f"-c{callers}", f"-d{seconds}s", "--timeout=20s", "-s", "dev/bench/load.lua", *headers]
        env = {**os.environ, "RUN": str(time.time_ns())}
        done = subprocess.run(
            [*command, self.url + path], cwd=ROOT, env=env, capture_output=True, text=True, check=True
        )
        found = Load(**json.loads(done.stdout.splitlines()[-1]))
        if found.failed or not found.requests:
            raise RuntimeError(f"{found.failed} of {found.requests} answers were not 201: {done.stdout}")
        return found

    def cpu_s(self) -> float:
        """Return the CPU seconds used so far, user and kernel."""
        stats = [(process / "stat").read_text().rpartition(")")[2].split() for process in self._processes()]
        return sum(int(fields[11]) + int(fields[12]) for fields in stats) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        """Return the memory used in MB; what processes share counts once (PSS)."""
        lines = [line for one in self._processes() for line in (one / "smaps_rollup").read_text().splitlines()]
        return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024

    def _processes(self) -> list[Path]:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [Path("/proc", str(pid)) for pid in (self.pid, *children)]


def hold(upstream: Server, delay_ms: int) -> None:
    """Have the upstream hold every answer back so long from now on."""
    with urlopen(Request(f"{upstream.url}/delay/{delay_ms}", data=b""), timeout=10):  # noqa: S310 -- loopback
        pass


def environment(upstream_url: str, ledger_url: str) -> dict[str, str]:
    """Return the whole environment of a function under measurement."""
    freshdesk = {"FRESHDESK_URL": upstream_url, "FRESHDESK_API_KEY": "local-freshdesk-key"}
    own = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "THREADS": "64"}
    return {**own, **freshdesk, "WEBHOOK_SECRET": SECRET, "LEDGER_URL": ledger_url}


@contextmanager
def serving(folder: Path) -> Iterator[tuple[Server, Server, Server]]:
    """Start the upstream, the floor and the function; folder must be on a real disk for the figures to mean much."""
    with ExitStack() as stack:
        own = Path(stack.enter_context(TemporaryDirectory(dir=folder)))

        def start(name: str, *command: str, upstream: str = "") -> Server:
            with socket.create_server(("127.0.0.1", 0)) as probe:
                port = probe.getsockname()[1]
            words = [*(word.replace("PORT", str(port)) for word in command)]
            env = environment(upstream, f"sqlite:///{own / 'ledger.db'}")
            [child] = stack.enter_context(running({name: words}, cwd=ROOT, env=env, logs=own))
            until = time.monotonic() + START_S
            while time.monotonic() < until:
                child.must_live()
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    return Server(f"http://127.0.0.1:{port}", child.process.pid)
                time.sleep(0.02)
            raise RuntimeError(f"the {name} did not open port {port} within {START_S:.0f} s")

        upstream = start("upstream", sys.executable, "-m", "dev.bench.upstream", "PORT")
        serve = [*PINNED, sys.executable, "-m", "functions_framework", "--host", "127.0.0.1", "--port", "PORT"]
        floor = start("floor", *serve, "--source", "dev/bench/floor.py", "--target", "forward", upstream=upstream.url)
        function = start("function", *serve, "--source", "main.py", "--target", "create_ticket", upstream=upstream.url)
        yield upstream, floor, function
