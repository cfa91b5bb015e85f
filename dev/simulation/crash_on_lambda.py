"""`make crash-lambda`: the Lambda handlers on DynamoDB, in containers that are killed and frozen at random moments.

Each container is a process of its own under AWS's runtime client, and serves one call at a time. AWS freezes it between
two calls, and a machine may be suspended at any moment: here also for longer than the lease of a handoff lasts.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final

from dev.emulators.dynamodb import CREDENTIALS
from dev.simulation.lambda_cloud import SWEEP_PAUSE_S, Cloud, doing, open_cloud
from dev.simulation.stand_in import LATE_S
from dev.simulation.stories import body_of, json_of

SENDERS: Final = 6
PAUSES_S: Final = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
FROZEN_S: Final = (0.2, 9.0)  # the suspensions just before a POST are in lambda_entry, and longer
STRIKES_A_SECOND: Final = 2.5
INTO_A_CALL_S: Final = 0.1
SUSPENDED_S: Final = 2.0  # who has been in a call for so long is suspended, and is to wake up before it is killed
SETTLE_S: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Survived:
    """What came of it; `in_call` is how many of the kills and freezes met a container that was serving a call."""

    tickets: int
    lost: int
    twice: int
    unheard: int
    false: int
    settled: bool
    in_call: int

    @property
    def kept(self) -> bool:
        """Return True if the promise was kept."""
        return self.settled and not (self.lost or self.twice or self.unheard or self.false)


def run(
    *, handoffs: int, kills: int, freezes: int, suspended: int, seed: int, folder: Path, without: str = ""
) -> Survived:
    """Send all handoffs while containers die and freeze; wait until everything is settled, and count."""
    env = {"SUSPENDED_EVERY": str(handoffs // suspended if suspended else 0)}
    env |= {"WITHOUT_GUARDS": "1"} if without == "guards" else {}
    bodies = [json_of(body_of(number)) for number in range(handoffs)]
    with open_cloud(folder, env, one_table=without != "ledger") as cloud, ThreadPoolExecutor(SENDERS) as senders:
        pause_s = (kills + freezes) / STRIKES_A_SECOND * SENDERS / handoffs
        sent = [senders.submit(cloud.send, body, (pause_s, *PAUSES_S)) for body in bodies]
        with doing(cloud.freshdesk.change_weather, Random(seed + 1)):
            in_call = _strike(cloud, kills=kills, freezes=freezes, random=Random(seed))
            told = [one.result() for one in sent]
        cloud.freshdesk.weather("healthy")
        cloud.send_to_each(bodies[0], SETTLE_S)  # what another has made a ticket of
        settled = bool(without) or cloud.settle(SETTLE_S)
        time.sleep(LATE_S)
        tickets = cloud.freshdesk.tickets()
    return Survived(
        tickets=tickets.total(),
        lost=sum(tickets[number] == 0 for number in range(handoffs)),
        twice=sum(max(tickets[number] - 1, 0) for number in range(handoffs)),
        unheard=sum(not answer for answer in told),
        false=sum(bool(answer) and not tickets[number] for number, answer in enumerate(told)),
        settled=settled,
        in_call=in_call,
    )


def _strike(cloud: Cloud, *, kills: int, freezes: int, random: Random) -> int:
    """Kill and freeze containers, every other one just after it was called; return how many were serving a call."""
    strikes, in_call = ["kill"] * kills + ["freeze"] * freezes, 0
    random.shuffle(strikes)
    for strike in strikes:
        time.sleep(random.expovariate(STRIKES_A_SECOND))
        everyone = [*cloud.functions, *cloud.sweeps]
        container = random.choice([one for one in everyone if one.in_call_s < SUSPENDED_S] or everyone)
        if random.random() < 0.5:
            container.called.clear()
            container.called.wait(SWEEP_PAUSE_S)
            time.sleep(random.uniform(0.0, INTO_A_CALL_S))
        in_call += container.in_call_s > 0
        if strike == "kill":
            container.kill()
        else:
            container.freeze(random.uniform(*FROZEN_S))
    return in_call


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 0 when the promise was kept (with a control: when it was not)."""
    parser = argparse.ArgumentParser(prog="python -m dev.simulation.crash_on_lambda", description=__doc__)
    parser.add_argument("--handoffs", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--freezes", type=int, help="a third of the kills unless given")
    parser.add_argument("--suspended", type=int, help="handoffs whose container is suspended just before it posts them")
    parser.add_argument("--seed", type=int, default=1, help="of the moments and the weather")
    parser.add_argument("--logs", type=Path, help="an empty folder to keep the containers' logs in")
    parser.add_argument("--without", choices=("ledger", "guards"), default="", help="a control")
    said = vars(parser.parse_args(arguments))
    said["freezes"] = said["kills"] // 3 if said["freezes"] is None else said["freezes"]
    said["suspended"] = said["kills"] // 10 if said["suspended"] is None else said["suspended"]
    os.environ.update(CREDENTIALS)
    began_at, logs = time.monotonic(), said.pop("logs")
    with TemporaryDirectory() as folder:
        found = run(**said, folder=logs or Path(folder))
    print(f"{said['handoffs']:,} handoffs, {said['suspended']} suspended just before they were posted, ", end="")
    print(f"{said['kills']} kills, {said['freezes']} freezes, {found.in_call} of these in a call:")
    print(f"{found.tickets:,} tickets in {time.monotonic() - began_at:.0f} s; {found.lost} lost, ", end="")
    print(f"{found.twice} twice, {found.false} false answers, {found.unheard} senders gave up")
    return int(found.kept == bool(said["without"]))


if __name__ == "__main__":
    sys.exit(main())
