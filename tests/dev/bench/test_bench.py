"""The bench's report; the bench itself is tried in CI by `make bench BENCH=--tiny`."""

from __future__ import annotations

import pytest

from dev.bench.report import Pair, cost, plot, table

PAIR = Pair("Time added", [(1.0, 2.0), (10.0, 20.0), (2.0, 8.0)], most=4, most_ratio=1)


def test_a_ratio_is_taken_round_by_round() -> None:
    """What disturbs one round disturbs both of its halves."""
    assert PAIR.ratio == 2.0
    assert '<rect x="420" y="5" width="200"' in plot([PAIR])


@pytest.mark.parametrize(
    ("most", "most_ratio", "reached"), [(8, 2, "yes"), (7, 2, "**no**"), (8, 1.9, "**no**"), (9, 3, "yes")]
)
def test_a_goal_that_is_missed_shows(most: float, most_ratio: float, reached: str) -> None:
    """A goal holds for the function's own median and for the ratio."""
    pair = PAIR._replace(most=most, most_ratio=most_ratio)
    row = f"| Time added | 2.00 ms | 8.00 ms | 2.00 | ≤ {most:g} ms, ≤ {most_ratio:g} times the floor | {reached} |"
    assert table([pair]).splitlines()[-1] == row


def test_the_cost_adds_up() -> None:
    """With 770 ms added a call takes a second: 1,000 handoffs are 1,000 GB seconds at 1,024 MB."""
    found = cost(PAIR._replace(rounds=[(1.0, 770.0)]))
    assert found.startswith("1,000 times 1.000 s times 1024 MB (compute) 0.0167; calls 0.0002; ")
    assert found.endswith("**0.0328 US$**.")
