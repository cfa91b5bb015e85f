"""One row: what it holds when nothing is said, and how it is written down."""

from __future__ import annotations

import pytest

from handoff.ledger import PERSON_WINDOW_S, Claim, Entry, State
from tests.ledger_factories import NOW, entry


def test_a_row_begins_with_nothing_done_and_a_month_to_live() -> None:
    """What is false or empty is not even written; the times are epoch seconds."""
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


def test_what_is_true_is_written() -> None:
    """Refused and crowded are what the sweep goes by."""
    told = entry(refused=True, over_limit=True).to_dict()
    assert (told["refused"], told["crowded"]) == (True, True)


def test_letters_keep_their_size() -> None:
    """Escaped, a Chinese transcript would be twice as long as DynamoDB takes."""
    assert "ñ中" in entry(handoff="ñ中").to_json()


def test_a_field_of_a_later_version_is_passed_over() -> None:
    """An old process still running beside the new one goes on with what it knows."""
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
def test_what_is_about_to_become_a_ticket_counts(state: State, key: str, counts: bool) -> None:  # noqa: FBT001 -- a column of the table
    """A note makes none, and what is only kept has taken its place already."""
    assert entry(state=state, entry=key).counts is counts


@pytest.mark.parametrize("state", State)
def test_everything_without_a_ticket_waits(state: State) -> None:
    """Also what failed: a person has to act."""
    assert entry(state=state).waiting is (state is not State.CREATED)


def test_a_persons_hour_has_sixty_minutes() -> None:
    """And who is not told otherwise is within it."""
    assert PERSON_WINDOW_S == 3600.0
    assert not Claim(entry(), mine=True).over_limit
