"""`make copies`: the same handoff many times at once, over threads of one process and over several processes."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from threading import Barrier
from typing import Any, Final

import requests

from dev.local_freshdesk import LocalFreshdesk
from dev.simulation.endpoints import ROUTING, open_endpoint, post, silence
from dev.simulation.installation import open_installation, send
from dev.simulation.stand_in import KEY
from dev.simulation.stories import body_of, json_of
from dev.simulation.without import LedgerWithoutClaim
from freshdesk_client import FreshdeskClient
from handoff.deadline import SystemClock
from handoff.delivery import Delivery
from handoff.helpdesk import HelpDesk
from handoff.ledger import Ledger
from handoff.ledger.sqlite import SQLiteLedger
from handoff.routing import MAIN_ACCOUNT
from handoff.transitions import Policy
from handoff.transport import RequestsTransport
from handoff.writer import TicketWriter

MOST: Final = 50
PROCESSES: Final = 3
_HEARD: Final = frozenset({200, 201, 202})

Call = Callable[[int, bytes], tuple[int, dict[str, Any]] | None]  # the copy's number, the body → status and answer


@dataclass(slots=True)
class Tally:
    """What came of many rounds. `split` counts rounds whose callers heard different things."""

    rounds: int = 0
    copies: int = 0
    tickets: int = 0
    split: int = 0

    @property
    def kept(self) -> bool:
        """Return True if every round made one ticket and gave all its callers the same answer."""
        return self.tickets == self.rounds and not self.split


def over_threads(*, rounds: int, folder: Path, seed: int = 1, without_claim: bool = False) -> Tally:
    """Run rounds in one process: its threads share one function, as under a threaded server."""
    with closing(SQLiteLedger(folder / "handoffs.db")) as ledger, LocalFreshdesk(api_key=KEY) as stand_in:
        stand_in.limit(1_000_000, 1_000_000)
        endpoint = open_endpoint(_delivery(stand_in.url, LedgerWithoutClaim(ledger) if without_claim else ledger))
        tally = run_rounds(lambda _, body: post(endpoint, body), rounds=rounds, seed=seed)
        tally.tickets = len(stand_in.tickets())
    return tally


def over_processes(*, rounds: int, folder: Path, seed: int = 1, without_ledger: bool = False) -> Tally:
    """Run rounds over real HTTP against processes that share nothing but the ledger's file."""
    with (
        open_installation(folder, functions=PROCESSES, sweeps=0, forgetful=without_ledger) as running,
        requests.Session() as http,
    ):
        http.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=MOST))
        ports = [endpoint.port for endpoint in running.functions]
        tally = run_rounds(lambda copy, body: send(http, ports[copy % PROCESSES], body), rounds=rounds, seed=seed)
        tally.tickets = running.freshdesk.tickets().total()
    return tally


def run_rounds(call: Call, *, rounds: int, seed: int) -> Tally:
    """Send 2 to 50 copies at once, round after round."""
    random, tally = Random(seed), Tally()
    with silence(), ThreadPoolExecutor(MOST) as pool:
        for number in range(rounds):
            copies = random.randint(2, MOST)
            together = Barrier(copies)
            body = json_of(body_of(number, user_email=f"persona{number}@example.com"))
            heard = list(pool.map(partial(_at_once, call, together, body), range(copies)))
            tally.rounds += 1
            tally.copies += copies
            tally.split += not _agree(heard)
    return tally


def _at_once(call: Call, together: Barrier, body: bytes, copy: int) -> tuple[int, dict[str, Any]] | None:
    together.wait()
    return call(copy, body)


def _agree(heard: Sequence[tuple[int, dict[str, Any]] | None]) -> bool:
    """Return True if all callers heard of one reference, and those who heard of a ticket of one and the same."""
    answers = [answer for answer in heard if answer is not None and answer[0] in _HEARD]
    references = {body["reference"] for _, body in answers}
    numbers = {body["ticket_id"] for _, body in answers if "ticket_id" in body}
    return len(answers) == len(heard) and len(references) == 1 and len(numbers) == 1


def _delivery(url: str, ledger: Ledger) -> Delivery:
    clock, random = SystemClock(), Random()
    return Delivery(
        TicketWriter(
            helpdesks={MAIN_ACCOUNT: HelpDesk(url, FreshdeskClient(RequestsTransport(url, KEY)), clock)},
            ledger=ledger,
            routing=ROUTING,
            clock=clock,
            new_owner=lambda: f"{random.getrandbits(64):016x}",
            jitter=random.random,
            policy=Policy(),
        )
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both; 0 when every round made one ticket."""
    parser = argparse.ArgumentParser(prog="python -m dev.simulation.copies", description=__doc__)
    parser.add_argument("--rounds", type=int, default=200, help="in each of the two ways (default 200)")
    options = parser.parse_args(arguments)
    kept = True
    for name, run in (("threads", over_threads), ("processes", over_processes)):
        began_at = time.monotonic()
        with TemporaryDirectory() as folder:
            found = run(rounds=options.rounds, folder=Path(folder))
        counts = f"{found.rounds} rounds, {found.copies:,} copies, {found.tickets} tickets, {found.split} split"
        print(f"over {name}: {counts} ({time.monotonic() - began_at:.0f} s)")
        kept = kept and found.kept
    return int(not kept)


if __name__ == "__main__":
    sys.exit(main())
