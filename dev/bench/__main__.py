"""`make bench`: measure everything, print the table, write it with its plots into docs/. Takes about eleven minutes.

Needs Linux (/proc) and, for the cold starts, Python 3.13, `npm ci` and the package index.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from dev.bench import cold_start, price
from dev.bench.cost import Cost, cost
from dev.bench.measures import TINY, Figures, Plan, measure
from dev.bench.packaged import package
from dev.bench.plot import latency_plot, ratio_plot
from dev.bench.report import DOCUMENT, Row, cold_row, cost_row, formula, machine, percentile, rows_of, table, write
from dev.bench.subjects import ROOT, Subjects, subjects

FOLDER: Final = ROOT / ".local/bench"
_BARE: Final = "the bare set"


def main(arguments: list[str] | None = None) -> int:
    """Measure and report; 0 whatever the figures are."""
    parser = argparse.ArgumentParser(prog="python -m dev.bench", description=__doc__)
    parser.add_argument(
        "--tiny", action="store_true", help="tiny counts: tries the bench itself, the figures say nothing"
    )
    parser.add_argument("--no-cold-start", action="store_true", help="leave the packaged zip out")
    parser.add_argument("--print-only", action="store_true", help="leave docs/ as it is")
    options = parser.parse_args(arguments)
    FOLDER.mkdir(parents=True, exist_ok=True)
    plan = TINY if options.tiny else Plan()
    prices = price.measure(FOLDER, plan)
    with subjects(FOLDER) as running:
        figures = measure(running, plan)
        rows = rows_of(figures)
        cold, priced = ([], None) if options.no_cold_start else _cold_starts(running, plan)
    rows += cold
    print(table(rows))
    print(f"\n{price.table(prices)}\n\n{machine()}")
    if not (options.print_only or options.tiny):
        _write(figures, rows, priced)
        write(f"\n{price.table(prices)}\n", "price", DOCUMENT)
    return 0


def _cold_starts(running: Subjects, plan: Plan) -> tuple[list[Row], Cost]:
    """Return the rows of the packaged function, and the cost that follows from its second call."""
    running.upstream.hold(0)
    packages = package(FOLDER / "package")
    sqlite = cold_start.with_sqlite(packages, running.upstream.url, FOLDER, plan.cold_starts)
    dynamodb = cold_start.with_dynamodb(packages, running.upstream.url, FOLDER, plan.cold_starts)
    priced = cost(percentile(dynamodb.ours_warm, 0.5))
    rows = [
        cold_row("ledger in SQLite", _BARE, sqlite),
        cold_row("ledger in DynamoDB", f"{_BARE} with a botocore client", dynamodb),
        cost_row(priced),
    ]
    return rows, priced


def _write(figures: Figures, rows: list[Row], priced: Cost | None) -> None:
    write(f"\n{machine()}\n\n{table(rows)}\n", "table", DOCUMENT)
    if priced is not None:
        write(f"\n{formula(priced)}\n", "cost", DOCUMENT)
    _plot(DOCUMENT.parent / "performance-latency.svg", latency_plot(figures.latency))
    _plot(DOCUMENT.parent / "performance-ratios.svg", ratio_plot(rows))


def _plot(path: Path, svg: str) -> None:
    path.write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
