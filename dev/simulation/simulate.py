"""`make simulate`: seed after seed, ten thousand handoffs each, on a virtual clock, with everything going wrong.

A control takes one guard out: `--without claim`. One handoff's history: `--first-seed 7 --trace BF-7K3QX2AB`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from dev.simulation.controls import CONTROLS, NAIVE, Rig
from dev.simulation.faults import Faults
from dev.simulation.history import History, Plan
from dev.simulation.verdict import Verdict
from handoff.ledger.sqlite import SQLiteLedger

LATE_MAX_S: Final = 590.0  # just inside IN_DOUBT_WAIT_S
_SHOWN: Final = 10
_COLUMNS: Final = (
    "seed",
    "tickets",
    "as notes",
    "lost",
    "twice",
    "false",
    "late",
    "words",
    "kills",
    "slowest s",
    "took s",
)


@dataclass(frozen=True, slots=True)
class Run:
    """What the command line asks for."""

    handoffs: int
    without: str = ""
    very_late: bool = False
    ledger_outages: bool = False
    sqlite: bool = False

    def plan(self, seed: int) -> Plan:
        """Return the plan of one seed."""
        faults = Faults(late_max_s=LATE_MAX_S) if self.very_late else Faults()
        if self.ledger_outages:
            faults = replace(faults, repeats_in_outage=True)
        rig = NAIVE if self.without == "everything" else CONTROLS[self.without] if self.without else Rig()
        return Plan(seed=seed, handoffs=self.handoffs, faults=faults, rig=rig)

    def replays(self, seed: int) -> str:
        """Return the command that runs this seed again."""
        options = {"--very-late": self.very_late, "--ledger-outages": self.ledger_outages, "--sqlite": self.sqlite}
        asked = [name for name, on in options.items() if on] + ([f"--without {self.without}"] if self.without else [])
        return " ".join(
            ["python -m dev.simulation.simulate --seeds 1", f"--first-seed {seed} --handoffs {self.handoffs}", *asked]
        )


def run_seed(run: Run, seed: int) -> tuple[Verdict, float]:
    """Run one history; return its verdict and the real seconds it took."""
    began_at = time.perf_counter()
    with TemporaryDirectory() as folder:
        plan = run.plan(seed)
        if run.sqlite:
            plan = replace(plan, store=lambda: SQLiteLedger(Path(folder) / "handoffs.db"))
        history = History(plan)
        verdict = history.run()
        history.ledger.close()
    return verdict, time.perf_counter() - began_at


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked; 0 when the promise was kept, 1 when not (with a guard taken out: the other way round)."""
    options = _parser().parse_args(arguments)
    run = Run(options.handoffs, options.without, options.very_late, options.ledger_outages, options.sqlite)
    if options.trace:
        return _trace(run, options.first_seed, options.trace)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    print("".join(f"{name:>10}" for name in _COLUMNS))
    with ProcessPoolExecutor(min(options.processes, options.seeds)) as pool:
        found = list(map(partial(_show, run), seeds, pool.map(partial(run_seed, run), seeds)))
    broken = sum(not verdict.kept for verdict in found)
    lost, extra = sum(one.lost for one in found), sum(one.extra for one in found)
    handoffs, tickets = sum(one.handoffs for one in found), sum(one.tickets for one in found)
    joined = sum(one.joined for one in found)
    sums = f"{handoffs:,} handoffs, {tickets:,} tickets, {joined} as notes: {lost} lost, {extra} twice"
    print(f"\n{sums}; {broken} of {len(found)} seeds broke the promise")
    return int(bool(broken) != bool(run.without))


def _show(run: Run, seed: int, outcome: tuple[Verdict, float]) -> Verdict:
    """Print the line of one seed, and how to run it again where it broke the promise."""
    one, took_s = outcome
    counts = (seed, one.tickets, one.joined, one.lost, one.extra, one.false, one.late, one.words_lost, one.kills)
    print("".join(f"{count:>10,}" for count in counts) + f"{one.slowest_s:>10.2f}{took_s:>10.1f}", flush=True)
    if not one.kept and not run.without:
        for number, what in list(one.broken.items())[:_SHOWN]:
            print(f"    story {number}: {what}")
        print(f"    again: {run.replays(seed)} --trace s{next(iter(one.broken)):06d}")
    return one


def _trace(run: Run, seed: int, about: str) -> int:
    """Print what happened to one handoff, by its reference or its story's mark."""
    history = History(run.plan(seed))
    history.events = []
    verdict = history.run()
    names = history.names_of(about)
    for at_s, subject, what in history.events:
        if any(name in subject for name in names):
            print(f"{at_s:>12.3f}  {what}")
    print(f"\nticket(s): {[one.ticket_id for one in history.account.tickets if any(n in one.subject for n in names)]}")
    return int(not verdict.kept)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dev.simulation.simulate", description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--seeds", type=int, default=10, help="how many histories (default 10)")
    add("--first-seed", type=int, default=1, help="the first one's seed (default 1)")
    add("--handoffs", type=int, default=10_000, help="requests in each (default 10000)")
    add("--without", choices=(*CONTROLS, "everything"), default="", help="take one guard out; it must then fail")
    add("--very-late", action="store_true", help=f"late writes up to {LATE_MAX_S:g} s after the time-out, not 60")
    add("--ledger-outages", action="store_true", help="copies and repeats come during the ledger's outages, too")
    add("--sqlite", action="store_true", help="over the real SQLite store instead of the ledger in memory")
    add("--trace", metavar="REFERENCE", default="", help="print what happened to one handoff of the first seed")
    add("--processes", type=int, default=2, help="how many seeds at once (default 2)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
