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
from typing import Final
from urllib.request import Request, urlopen

from dev.local_freshdesk.children import running

ROOT: Final = Path(__file__).resolve().parents[2]
SECRET: Final = "local-secret"  # noqa: S105 -- opens nothing but the bench's own function
CORES: Final = sorted(os.sched_getaffinity(0))  # what is measured runs on the first, all else on the last
PINNED: Final = ["taskset", "--cpu-list", str(CORES[0])]


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: its address, and the process that leads its group."""

    url: str
    pid: int

    def load(self, callers: int, seconds: int, path: str = "/") -> dict[str, float]:
        """Return what wrk measured of new handoffs (load.lua); raise RuntimeError unless each is answered 201."""
        headers = ["-H", f"Authorization: Bearer {SECRET}", "-H", "Content-Type: application/json"]
        command = ["wrk", "-t1", f"-c{callers}", f"-d{seconds}s", "--timeout=20s", "-s", "dev/bench/load.lua", *headers]
        env = {**os.environ, "RUN": str(time.time_ns())}
        done = subprocess.run([*command, self.url + path], cwd=ROOT, env=env, stdout=subprocess.PIPE, check=True)
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        if found["failed"] or not found["requests"]:
            raise RuntimeError(f"not every answer was 201: {found}")
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
    urlopen(Request(f"{upstream.url}/delay/{delay_ms}", data=b""), timeout=10).close()  # noqa: S310 -- loopback


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
            env = environment(upstream, f"sqlite:///{own / 'ledger.db'}")
            [child] = stack.enter_context(running({name: [*command, str(port)]}, cwd=ROOT, env=env, logs=own))
            until = time.monotonic() + 30
            while time.monotonic() < until:
                child.must_live()
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    return Server(f"http://127.0.0.1:{port}", child.process.pid)
                time.sleep(0.02)
            raise RuntimeError(f"the {name} did not open port {port} within 30 s")

        upstream = start("upstream", sys.executable, "-m", "dev.bench.upstream")
        serve = [*PINNED, sys.executable, "-m", "functions_framework", "--host", "127.0.0.1"]
        sources = {"dev/bench/floor.py": "forward", "main.py": "create_ticket"}
        floor, function = (
            start(target, *serve, "--source", source, "--target", target, "--port", upstream=upstream.url)
            for source, target in sources.items()
        )
        yield upstream, floor, function
