"""`make crash`: real processes and sockets, answers lost and late, and `kill -9` of function and sweep at random."""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Final

import requests

from dev.simulation.installation import Installation, open_installation, send_until_heard
from dev.simulation.stand_in import LATE_S
from dev.simulation.stories import body_of, json_of

SENDERS: Final = 8
PAUSES_S: Final = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
KILLS_A_SECOND: Final = 4.0
SETTLE_S: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Survived:
    """What came of it."""

    handoffs: int
    kills: int
    tickets: int
    lost: int
    extra: int
    unheard: int
    false: int
    settled: bool
    took_s: float

    @property
    def kept(self) -> bool:
        """Return True if the promise was kept."""
        return self.settled and not (self.lost or self.extra or self.unheard or self.false)


def run(*, handoffs: int, kills: int, seed: int, folder: Path, forgetful: bool = False) -> Survived:
    """Send all handoffs while processes die; wait until everything is settled, and count."""
    began_at = time.monotonic()
    with open_installation(folder, functions=2, sweeps=2, forgetful=forgetful) as running:
        over = threading.Event()
        killer = _Killer(running, kills, Random(seed))
        weather = threading.Thread(target=running.freshdesk.change_weather, args=(Random(seed + 1), over))
        weather.start()
        killer.start()
        with ThreadPoolExecutor(SENDERS) as senders:
            pause_s = kills / KILLS_A_SECOND * SENDERS / handoffs / 2
            answers = list(senders.map(partial(_send, running, pause_s), range(handoffs)))
        killer.join()
        over.set()
        weather.join()
        running.freshdesk.weather("healthy")
        _send_again_after_a_death(running)
        settled = running.settle(SETTLE_S if not forgetful else 0.0)
        time.sleep(LATE_S)
        return _counted(running, answers, killer.done, settled=settled, took_s=time.monotonic() - began_at)


def _counted(
    running: Installation, answers: Sequence[dict[str, Any]], kills: int, *, settled: bool, took_s: float
) -> Survived:
    tickets = running.freshdesk.tickets()
    return Survived(
        handoffs=len(answers),
        kills=kills,
        tickets=tickets.total(),
        lost=sum(tickets[number] == 0 for number in range(len(answers))),
        extra=sum(max(tickets[number] - 1, 0) for number in range(len(answers))),
        unheard=sum(not answer for answer in answers),
        false=sum(bool(answer) and not tickets[number] for number, answer in enumerate(answers)),
        settled=settled,
        took_s=took_s,
    )


class _Killer(threading.Thread):
    """Kills a random process at random moments, a given number of times."""

    def __init__(self, running: Installation, kills: int, random: Random) -> None:
        super().__init__()
        self._running = running
        self._kills = kills
        self._random = random
        self.done = 0

    def run(self) -> None:
        """Kill."""
        everyone = [*self._running.functions, *self._running.sweeps]
        while self.done < self._kills:
            time.sleep(self._random.expovariate(KILLS_A_SECOND))
            self.done += self._random.choice(everyone).kill()


def _send(running: Installation, pause_s: float, number: int) -> dict[str, Any]:
    """Send one handoff, at a pace that lets the deaths fall among all of them."""
    time.sleep(pause_s)
    port = running.functions[number % len(running.functions)].port
    with requests.Session() as session:
        return send_until_heard(session, port, json_of(body_of(number)), PAUSES_S)


def _send_again_after_a_death(running: Installation) -> None:
    """Kill each function, and let it be asked once more for a handoff that it made a ticket of, or promised to."""
    for number, function in enumerate(running.functions):
        function.kill()
        with requests.Session() as session:
            send_until_heard(session, function.port, json_of(body_of(number)), PAUSES_S)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 0 when the promise was kept (with the control: when it was not)."""
    parser = argparse.ArgumentParser(prog="python -m dev.simulation.crash", description=__doc__)
    parser.add_argument("--handoffs", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1, help="of the moments and the weather")
    parser.add_argument("--without-ledger", action="store_true", help="a control: no process knows the last")
    options = parser.parse_args(arguments)
    with TemporaryDirectory() as folder:
        found = run(
            handoffs=options.handoffs,
            kills=options.kills,
            seed=options.seed,
            folder=Path(folder),
            forgetful=options.without_ledger,
        )
    print(f"{found.handoffs:,} handoffs, {found.kills} kills, {found.tickets:,} tickets in {found.took_s:.0f} s:")
    print(f"{found.lost} lost, {found.extra} twice, {found.false} false answers, {found.unheard} senders gave up")
    return int(found.kept == options.without_ledger)


if __name__ == "__main__":
    sys.exit(main())
