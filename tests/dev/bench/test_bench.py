"""The bench runs, and every row of the table is there; no figure is judged here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dev.bench import price
from dev.bench.__main__ import main
from dev.bench.cold_start import Starts
from dev.bench.cost import cost
from dev.bench.load import handoff
from dev.bench.measures import Latency, Pair
from dev.bench.plot import latency_plot, ratio_plot
from dev.bench.report import Row, cold_row, cost_row, formula, table
from dev.bench.subjects import ROOT, environment
from handoff.inbound import read_handoff

ROWS = (
    "Time added to an upstream of 150 ms, one caller, p50",
    "Time added to an upstream of 150 ms, one caller, p99",
    "Requests a second, upstream of 150 ms, 64 callers",
    "CPU for each request, 16 callers, an upstream of 0 ms",
    "Memory, idle",
    "Memory, after the load",
    "Tickets for the handoffs sent above",
)


@pytest.mark.proof
def test_a_tiny_run_fills_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    """Real servers, few requests: each row has its figures, and each handoff its one ticket."""
    assert main(["--tiny", "--no-cold-start"]) == 0
    figures, prices, _machine = capsys.readouterr().out.split("\n\n")
    lines = [line.removeprefix("| ").split(" | ") for line in figures.splitlines()[2:]]
    assert [line[0] for line in lines] == list(ROWS)
    assert all(line[2].strip() for line in lines)
    assert lines[-1][-1] == "yes |"
    assert [line.removeprefix("| ").split(" | ")[0] for line in prices.splitlines()[2:]] == list(price.NAMES)


def test_no_two_handoffs_of_the_load_are_alike() -> None:
    """Two of the same key would be one ticket, and the second one's time would say nothing."""
    told = [read_handoff(json.loads(handoff(seed, number))) for seed in "ab" for number in range(3)]
    assert len({one.key for one in told}) == len({one.user_email for one in told}) == 6


def test_a_cold_start_is_held_against_the_bare_one() -> None:
    """The ratio is the median of the rounds' own, and 1.2 is what may be reached."""
    row = cold_row("ledger in SQLite", "the bare set", Starts([0.2, 0.2, 0.4], [0.22, 0.3, 0.44], []))
    assert (row.floor, row.function, row.met) == ("200 ms", "300 ms", True)
    assert row.ratio == pytest.approx(1.1)


def test_the_cost_adds_up() -> None:
    """A second at 1 GB for each of 1,000 handoffs is 1,000 GB seconds."""
    priced = cost(0.77)
    assert priced.compute == pytest.approx(1000 * priced.memory_gb * 0.0000166667)
    assert priced.total == pytest.approx(priced.compute + priced.calls + priced.ledger + priced.logs)
    assert f"{priced.total:.4f} US$" in formula(priced)
    assert cost_row(priced).met is None


def test_a_price_is_told_in_medians_and_against_the_floor() -> None:
    """The last of them is the floor; a ratio is the median of the rounds' own."""
    dear = price.Price([5.0, 4.0, 9.0], [2.0, 3.0, 9.0], [300.0])
    floor = price.Price([1.0], [1.0, 2.0, 3.0], [400.0])
    rows = price.table([dear, dear, dear, floor]).splitlines()
    assert rows[2] == "| the function | 5.0 ms | 3.00 ms | 2.00 | 300 |"
    assert rows[-1] == "| the floor | 1.0 ms | 2.00 ms | 1.00 | 400 |"


def test_what_is_taken_out_for_its_price_is_out(tmp_path: Path) -> None:
    """Else the table would compare the function with itself: nothing waits for the disk, nothing is remembered."""
    told = "from bench.{} import SQLiteLedger as L; ledger = L({!r}); "
    disk = 'print(ledger._open().execute("PRAGMA synchronous").fetchone())'
    rows = (
        "from tests.ledger_factories import entry, NOW; "
        "print(ledger.claim(entry(), now=NOW, tickets_an_hour=5).mine, list(ledger.each()))"
    )
    assert said(told.format("without_disk", str(tmp_path / "a")) + disk) == "(0,)"
    assert said(told.format("without_ledger", str(tmp_path / "b")) + rows) == "True []"


def said(program: str) -> str:
    """Return what a program prints where a function could start."""
    env = environment("http://127.0.0.1:9", "sqlite:///nowhere/l.db")
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True).stdout.strip()


def test_a_missed_goal_shows() -> None:
    """The table says so, and the plot paints the bar in the other colour."""
    row = Row("Memory, idle", "10 MB", "15 MB", 1.5, "≤ 1.3 times the floor", met=False)
    assert "| **no** |" in table([row])
    assert 'class="over"' in ratio_plot([row])


def test_the_plot_of_latencies_names_both() -> None:
    """One curve each."""
    svg = latency_plot(Latency([1.0, 2.0, 3.0], [2.0, 3.0, 4.0]))
    assert svg.count("<polyline") == 2
    assert all(name in svg for name in ("the floor", "the function"))


def test_rows_are_made_of_pairs() -> None:
    """A ratio is taken round by round: what disturbs one round disturbs both of its halves."""
    assert Pair([1.0, 10.0, 2.0], [2.0, 20.0, 8.0]).ratio == 2.0
