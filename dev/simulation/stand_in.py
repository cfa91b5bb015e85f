"""The stand-in of Freshdesk as a program of its own, as the proofs with real processes use it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

import requests

from dev.local_freshdesk.children import tie
from dev.simulation.stories import number_in

ROOT: Final = Path(__file__).resolve().parents[2]
KEY: Final = "local-freshdesk-key"
LATE_S: Final = 1.5  # below IN_DOUBT_WAIT_S: that is the promise's condition
_PER_PAGE: Final = 100
_WEATHERS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("healthy", {}),
    ("answer-lost", {"times": 3, "seconds": 0.05, "only": "create"}),
    ("late-write", {"times": 1, "seconds": LATE_S, "only": "create"}),
    ("broken", {"times": 2}),
    ("html-502", {"times": 1}),
    ("healthy", {}),
)


class StandIn(NamedTuple):
    """A running stand-in, by its address."""

    url: str

    def weather(self, name: str, **changes: Any) -> None:
        """Change its weather."""
        requests.post(f"{self.url}/weather", json={"weather": name, **changes}, timeout=5).raise_for_status()

    def change_weather(self, random: Random, over: threading.Event) -> None:
        """Change its weather at random moments until over is set."""
        while not over.wait(random.uniform(0.1, 0.5)):
            name, changes = random.choice(_WEATHERS)
            with suppress(requests.RequestException):
                self.weather(name, **changes)

    def tickets(self) -> Counter[int]:
        """Return how many tickets each story has."""
        found: Counter[int] = Counter()
        for page in range(1, 1000):
            query = {"per_page": str(_PER_PAGE), "page": str(page), "updated_since": "2020-01-01T00:00:00Z"}
            rows = requests.get(f"{self.url}/api/v2/tickets", query, auth=(KEY, "X"), timeout=10).json()
            found.update(number for row in rows if (number := number_in(row["subject"])) is not None)
            if len(rows) < _PER_PAGE:
                break
        return found


@contextmanager
def open_stand_in() -> Iterator[StandIn]:
    """Start a stand-in on a free port, without a rate limit to speak of; end it afterwards."""
    limits = ["--total-per-minute", "1000000", "--create-per-minute", "1000000"]
    command = tie([sys.executable, "-m", "dev.local_freshdesk", "--port", "0", *limits])
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as program:
        try:
            yield StandIn((program.stdout.readline() if program.stdout else "").split("stand-in: ")[1].split(" ")[0])
        finally:
            program.terminate()
