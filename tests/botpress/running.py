"""The real thing: the function under functions-framework in a process of its own, in front of the stand-in."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.botpress.cards import ROOT, TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE_S: Final = 4.0
START_S: Final = 40


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_function(freshdesk_url: str, folder: Path) -> Iterator[str]:
    """Run the function in front of this Freshdesk, its ledger in folder; give its address."""
    port = free_port()
    settings = {
        "FRESHDESK_URL": freshdesk_url,
        "FRESHDESK_API_KEY": "local-freshdesk-key",
        "WEBHOOK_SECRET": TOKEN,
        "LEDGER_URL": f"sqlite:///{folder / 'handoffs.db'}",
        "DEADLINE_S": str(DEADLINE_S),
        "THREADS": "16",
        "PATH": os.environ["PATH"],
    }
    command = [str(Path(sys.executable).with_name("functions-framework")), "--target", "create_ticket"]
    command += ["--source", "main.py", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "function.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=settings, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_until_it_answers(port, process)
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()
            process.wait(20)


def wait_until_it_answers(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait for any HTTP answer; raise RuntimeError if the process ends or keeps silent."""
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/")
            connection.getresponse().read()
        except OSError:
            time.sleep(0.1)
        else:
            return
        finally:
            connection.close()
    raise RuntimeError("the function did not start; see function.log")
