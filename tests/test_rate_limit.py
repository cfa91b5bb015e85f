"""What Freshdesk's answers say of the rate limit: only what is new is heeded."""

from __future__ import annotations

import pytest

from freshdesk_client import RATE_WINDOW_S, RateLimit, RateMeter
from tests.ledger_factories import VirtualClock


def headers(total: float, remaining: float) -> dict[str, str]:
    """Return the headers that tell a limit."""
    return {"x-ratelimit-total": f"{total}", "x-ratelimit-remaining": f"{remaining}"}


def test_a_plan_that_changed_is_heeded_though_as_much_is_left() -> None:
    """Only an answer that tells of more left than is known may be one that others overtook."""
    meter = RateMeter()
    meter.read(headers(100.0, 50.0))
    with meter.call():
        meter.read(headers(400.0, 50.0))
    assert meter.limit == RateLimit(400.0, 50.0)


@pytest.mark.parametrize(("told", "kept"), [(50.5, 50.0), (51.0, 50.0), (52.0, 50.0), (52.5, 52.5)])
def test_with_two_calls_out_as_much_more_may_be_the_past(told: float, kept: float) -> None:
    """Each call under way may have told of one more; a higher rise is a new minute."""
    meter = RateMeter()
    meter.read(headers(100.0, 50.0))
    with meter.call(), meter.call():
        meter.read(headers(100.0, told))
    assert meter.limit == RateLimit(100.0, kept)


@pytest.mark.parametrize(("age_s", "known"), [(RATE_WINDOW_S, True), (RATE_WINDOW_S + 0.01, False)])
def test_what_was_told_holds_for_a_minute(age_s: float, known: bool) -> None:  # noqa: FBT001 -- a column of the table
    """From when it was told; answers that tell nothing do not renew it."""
    clock = VirtualClock()
    meter = RateMeter(clock.now)
    meter.read(headers(100.0, 50.0))
    for seconds in (age_s / 2, age_s / 2):
        clock.time += seconds
        meter.read({})
    assert (meter.limit is not None) == known


def test_what_was_told_long_ago_overtakes_nothing() -> None:
    """The first answer of another minute is heeded, though it tells of hardly more than was left then."""
    clock = VirtualClock()
    meter = RateMeter(clock.now)
    meter.read(headers(100.0, 50.0))
    clock.time += RATE_WINDOW_S + 1.0
    with meter.call():
        meter.read(headers(100.0, 51.0))
    assert meter.limit == RateLimit(100.0, 51.0)
