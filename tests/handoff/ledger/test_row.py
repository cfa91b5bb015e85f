"""One row: its defaults, and how it is written."""

from __future__ import annotations

import pytest

from handoff.ledger import PERSON_WINDOW_S, Cause, Claim, Entry, State
from tests.ledger_factories import NOW, entry


def test_a_row_has_defaults_and_expires_after_a_month() -> None:
    """False or empty fields are not written; times are epoch seconds."""
    row = Entry(
        reference="BF-7K3QX2AB",
        entry="7K3QX2AB",
        state=State.CREATING,
        owner="one",
        created_at=NOW,
        give_up_at=NOW + 2.0,
        expires_at=NOW + 3.0,
    )
    assert row.to_dict() == {
        "reference": "BF-7K3QX2AB",
        "entry": "7K3QX2AB",
        "state": "creating",
        "owner": "one",
        "version": 1,
        "created_at": NOW,
        "give_up_at": NOW + 2.0,
        "expires_at": NOW + 3.0,
        "lifetime_s": 2_592_000.0,
        "clear_until": 0.0,
        "attempts": 0,
        "cause": "",
    }
    assert Entry.from_json(row.to_json()) == row


def test_fields_that_are_true_are_written() -> None:
    """The sweep needs both, and `over_limit` keeps its name of 1.0.0."""
    written = entry(refused=True, over_limit=True).to_dict()
    assert (written["refused"], written["crowded"]) == (True, True)


def test_a_search_that_1_0_0_put_off_waits_for_the_rate_limit() -> None:
    """Whatever it was that met the limit."""
    row = {**entry(state=State.IN_DOUBT, error="look: rate limit, 30 s").to_dict()}
    del row["cause"]
    assert Entry.from_dict(row).cause is Cause.RATE_LIMIT


def test_letters_are_not_escaped() -> None:
    """Escaped, a Chinese transcript would be too long for DynamoDB."""
    assert "ñ中" in entry(handoff="ñ中").to_json()


def test_a_field_of_a_later_version_is_ignored() -> None:
    """An old process that runs beside the new one continues with the fields that it knows."""
    assert Entry.from_dict({**entry().to_dict(), "teleported": True}) == entry()


@pytest.mark.parametrize(
    ("state", "key", "counts"),
    [
        (State.CREATING, "7K3QX2AB", True),
        (State.CREATING, "7K3QX2AB#B", False),
        (State.NOT_CREATED, "7K3QX2AB", False),
        (State.NOT_CREATED, "7K3QX2AB#B", False),
    ],
)
def test_a_row_that_is_about_to_become_a_ticket_counts(state: State, key: str, counts: bool) -> None:  # noqa: FBT001 -- a column of the table
    """A note makes no ticket, and a row that waits has taken its place already."""
    assert entry(state=state, entry=key).counts is counts


@pytest.mark.parametrize("state", State)
def test_every_row_without_a_ticket_waits(state: State) -> None:
    """Also a failed one, because a person has to act."""
    assert entry(state=state).waiting is (state is not State.CREATED)


def test_a_persons_hour_has_sixty_minutes() -> None:
    """By default a row is within the limit."""
    assert PERSON_WINDOW_S == 3600.0
    assert not Claim(entry(), mine=True).over_limit
