"""The same words under another key within 15 minutes are the same handoff: one row, and an alias."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dev.simulation.memory_ledger import MemoryLedger
from handoff.ledger import ROW_LIFETIME_S, WORDS_WINDOW_S, Claim, Entry, Ledger, State
from handoff.ledger.sqlite import SQLiteLedger
from tests.handoff.ledger.test_contract import claim, next_of, number
from tests.ledger_factories import NOW, empty

FIRST = number(1, words="words", owner="first")
SECOND = number(2, words="words", owner="second", handoff='{"conversation_summary": "canario"}')


@pytest.fixture(params=["memory", "sqlite", "moto", pytest.param("dynalite", marks=pytest.mark.node)])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """Return an empty ledger on each store in turn."""
    if request.param == "memory":
        yield MemoryLedger()
    elif request.param == "sqlite":
        store = SQLiteLedger(tmp_path / "ledger.db")
        yield store
        store.close()
    else:
        on_emulator, endpoint, table = request.getfixturevalue(f"{request.param}_ledger")
        empty(endpoint, table)
        yield on_emulator


def copies(count: int, **overrides: Any) -> list[Entry]:
    """Return rows with the same words under as many keys."""
    return [number(n, words="words", owner=f"owner-{n}", person="", **overrides) for n in range(count)]


def test_the_same_words_belong_to_the_first_handoff(ledger: Ledger) -> None:
    """The second key gets the first one's row, has none of its own, and takes no place of the person's hour."""
    assert claim(ledger, FIRST) == Claim(FIRST, mine=True)
    assert claim(ledger, SECOND, tickets_an_hour=0) == Claim(FIRST, mine=False, same_words=True)
    assert list(ledger.each()) == [FIRST]
    assert ledger.due(NOW + 9e6, 10) == [FIRST]
    assert ledger.in_conversation("conversation", now=NOW) == [FIRST]


def test_a_repeat_of_either_key_returns_the_first_row(ledger: Ledger) -> None:
    """Also long after the 15 minutes, for any owner, and with the current state of the first row."""
    claim(ledger, FIRST)
    claim(ledger, SECOND)
    made = next_of(FIRST, state=State.CREATED, ticket_id=7, due_at=None)
    ledger.replace(FIRST, made)
    for owner in ("second", "later"):
        later = number(2, words="words", owner=owner, created_at=NOW + 9_000)
        assert claim(ledger, later, now=NOW + 9_000) == Claim(made, mine=False, same_words=True)
    assert claim(ledger, number(1, words="words", owner="later"), now=NOW + 9_000) == Claim(made, mine=False)


def test_the_reference_of_either_key_finds_the_first_row(ledger: Ledger) -> None:
    """The second reference shows the state of the first row."""
    claim(ledger, FIRST)
    claim(ledger, SECOND)
    assert ledger.find(SECOND.reference, now=NOW) == [FIRST]
    assert ledger.find(FIRST.reference, now=NOW) == [FIRST]


def test_two_keys_with_one_reference_show_one_row_once(ledger: Ledger) -> None:
    """The alias is stored beside the row that it names."""
    claim(ledger, FIRST)
    claim(ledger, number(2, words="words", owner="second", reference=FIRST.reference))
    assert ledger.find(FIRST.reference, now=NOW) == [FIRST]


def test_the_window_begins_with_the_first_claim_and_does_not_move(ledger: Ledger) -> None:
    """A third claim 15 minutes after the first is another handoff, though the second came in between."""
    claim(ledger, FIRST)
    almost, over = NOW + WORDS_WINDOW_S - 1, NOW + WORDS_WINDOW_S
    claim(ledger, FIRST, now=almost)  # a repeat of the same call
    assert claim(ledger, SECOND, now=almost).same_words
    third = number(3, words="words", owner="third", created_at=over)
    assert claim(ledger, third, now=over) == Claim(third, mine=True)
    assert claim(ledger, number(4, words="words", created_at=over), now=over).entry == third


@pytest.mark.parametrize("words", ["", "other"])
def test_other_words_are_another_handoff(ledger: Ledger, words: str) -> None:
    """Two handoffs without words to compare are different, too."""
    claim(ledger, number(1, words=words and "words", owner="first"))
    other = number(2, words=words, owner="second")
    assert claim(ledger, other) == Claim(other, mine=True)


def test_a_note_is_not_compared_by_its_words(ledger: Ledger) -> None:
    """It belongs to its handoff already, and nothing can be an alias of it."""
    note = number(1, words="words", owner="first", entry=f"{FIRST.entry}#A")
    assert claim(ledger, note).mine
    assert claim(ledger, SECOND) == Claim(SECOND, mine=True)
    assert claim(ledger, number(3, words="words", owner="third", entry=f"{FIRST.entry}#B")).mine


def test_a_claim_with_words_repeated_by_its_owner_succeeds_again(ledger: Ledger) -> None:
    """A claim whose answer was lost may be sent again, even if another key was claimed meanwhile."""
    assert claim(ledger, FIRST).mine
    claim(ledger, SECOND)
    assert claim(ledger, FIRST) == Claim(FIRST, mine=True)


def test_a_late_repeat_by_the_owner_does_not_take_back_the_words(ledger: Ledger) -> None:
    """The first row stays, and so does the row of another key that has used the words since."""
    over = NOW + WORDS_WINDOW_S
    third = number(3, words="words", owner="third", created_at=over)
    claim(ledger, FIRST)
    claim(ledger, third, now=over)
    assert claim(ledger, FIRST, now=over) == Claim(FIRST, mine=True)
    assert claim(ledger, number(4, words="words", created_at=over), now=over).entry == third


def test_of_many_keys_at_once_one_has_the_row(ledger: Ledger) -> None:
    """One key holds the row, all others get that row, also afterwards."""
    rows = copies(6)
    with ThreadPoolExecutor(len(rows)) as threads:
        claims = list(threads.map(lambda row: claim(ledger, row), rows))
    (winner,) = [one for one in claims if one.mine]
    assert {one.entry.entry for one in claims} == {winner.entry.entry}
    assert sum(one.same_words for one in claims) == len(rows) - 1
    assert [row.entry for row in ledger.each()] == [winner.entry.entry]


def test_copies_of_two_keys_at_once_have_one_row(ledger: Ledger) -> None:
    """Each key comes twice, from different calls."""
    rows = [number(n % 2, words="words", owner=f"owner-{n}", person="") for n in range(4)]
    with ThreadPoolExecutor(len(rows)) as threads:
        claims = list(threads.map(lambda row: claim(ledger, row), rows))
    assert sum(one.mine for one in claims) == 1
    assert len({one.entry.entry for one in claims}) == 1


def test_an_alias_of_a_removed_row_counts_as_absent(ledger: Ledger) -> None:
    """The row was deleted or has expired."""
    claim(ledger, FIRST)
    claim(ledger, SECOND)
    ledger.delete(FIRST)
    assert ledger.find(SECOND.reference, now=NOW) == []
    again = number(2, words="words", owner="again")
    assert claim(ledger, again) == Claim(again, mine=True)


def test_the_words_of_a_removed_row_are_free(ledger: Ledger) -> None:
    """Also within the 15 minutes."""
    claim(ledger, FIRST)
    ledger.delete(FIRST)
    assert claim(ledger, SECOND) == Claim(SECOND, mine=True)
    assert claim(ledger, number(3, words="words", owner="third")).entry == SECOND


def test_an_alias_holds_no_personal_data_and_expires_like_a_row(ledger: Ledger) -> None:
    """`forget` need not search for it."""
    alias = SECOND.alias(f"{FIRST.reference} {FIRST.entry}")
    assert (alias.handoff, alias.person, alias.conversation, alias.fingerprint, alias.words) == ("",) * 5
    assert not alias.waiting
    claim(ledger, FIRST)
    claim(ledger, SECOND)
    late = NOW + ROW_LIFETIME_S
    assert ledger.find(SECOND.reference, now=late) == []
    assert claim(ledger, number(2, owner="late", created_at=late), now=late).mine
