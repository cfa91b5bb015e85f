"""The rate limit in Freshdesk's answers: stale values are ignored."""

from __future__ import annotations

import pytest

from freshdesk_client import RATE_WINDOW_S, RateLimit, RateMeter
from tests.ledger_factories import VirtualClock


def headers(total: float, remaining: float) -> dict[str, str]:
    """Return the headers with a limit."""
    return {"x-ratelimit-total": f"{total}", "x-ratelimit-remaining": f"{remaining}"}


def test_a_changed_plan_is_noticed_though_as_much_is_left() -> None:
    """Only an answer with more left than is known may be stale."""
    meter = RateMeter()
    meter.read(headers(100.0, 50.0))
    with meter.call():
        meter.read(headers(400.0, 50.0))
    assert meter.limit == RateLimit(400.0, 50.0)


@pytest.mark.parametrize(("reported", "kept"), [(50.5, 50.0), (51.0, 50.0), (52.0, 50.0), (52.5, 52.5)])
def test_with_two_calls_in_progress_two_more_left_may_be_stale(reported: float, kept: float) -> None:
    """Each call in progress may have had one more left; a higher rise is a new minute."""
    meter = RateMeter()
    meter.read(headers(100.0, 50.0))
    with meter.call(), meter.call():
        meter.read(headers(100.0, reported))
    assert meter.limit == RateLimit(100.0, kept)


@pytest.mark.parametrize(("age_s", "known"), [(RATE_WINDOW_S, True), (RATE_WINDOW_S + 0.01, False)])
def test_a_limit_is_known_for_a_minute(age_s: float, known: bool) -> None:  # noqa: FBT001 -- a column of the table
    """It counts from its answer; answers without limit headers do not renew it."""
    clock = VirtualClock()
    meter = RateMeter(clock.now)
    meter.read(headers(100.0, 50.0))
    for seconds in (age_s / 2, age_s / 2):
        clock.time += seconds
        meter.read({})
    assert (meter.limit is not None) == known


def test_an_old_limit_does_not_make_a_new_one_stale() -> None:
    """The first answer of another minute counts, though it has only one more left than the old limit."""
    clock = VirtualClock()
    meter = RateMeter(clock.now)
    meter.read(headers(100.0, 50.0))
    clock.time += RATE_WINDOW_S + 1.0
    with meter.call():
        meter.read(headers(100.0, 51.0))
    assert meter.limit == RateLimit(100.0, 51.0)
