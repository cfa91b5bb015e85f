"""The log line of a handoff."""

from __future__ import annotations

import logging

import pytest

from handoff.deadline import Deadline
from handoff.ledger import State
from handoff.log import log_entry
from tests.ledger_factories import VirtualClock, entry


def test_a_handoff_leaves_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """It has the route, the result, and the durations in milliseconds with one decimal."""
    caplog.set_level(logging.INFO, "handoff")
    clock = VirtualClock()
    deadline = Deadline(clock, 12.0)
    with deadline.at_freshdesk():
        clock.sleep(1.23456)
    clock.sleep(0.5)
    row = entry(state=State.CREATED, bot="betsur", category="retiros", group="Retiros", attempts=2)
    log_entry(row, "created", deadline)
    (line,) = caplog.records
    assert (line.levelname, line.getMessage()) == ("INFO", "handoff")
    fields = {
        "reference": "BF-7K3QX2AB",
        "bot": "betsur",
        "category": "retiros",
        "group": "Retiros",
        "outcome": "created",
        "state": "created",
        "attempts": 2,
        "error": "",
        "freshdesk_ms": 1234.6,
        "total_ms": 1734.6,
    }
    assert fields.items() <= vars(line).items()


@pytest.mark.parametrize(("dropped", "level"), [(("group_id",), "WARNING"), ((), "INFO")])
def test_a_route_that_needs_a_correction_is_a_warning(
    caplog: pytest.LogCaptureFixture, dropped: tuple[str, ...], level: str
) -> None:
    """The support lead should see a ticket without its group."""
    caplog.set_level(logging.INFO, "handoff")
    log_entry(entry(dropped=dropped), "created", Deadline(VirtualClock(), 12.0))
    assert [(line.levelname, vars(line)["category"]) for line in caplog.records] == [(level, "sin-categoria")]
