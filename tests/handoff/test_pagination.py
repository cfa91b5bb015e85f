"""No ticket is missed while others are made and deleted between two pages of a list."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshdesk_client import Listed, Page
from handoff.pagination import LAST_PAGE, TooManyPages, every_ticket, page_with

_NUMBERS = itertools.count(1_000_000)  # of the tickets that are made meanwhile

Change = Callable[[list[Listed]], None]


class Book:
    """A list of tickets, the newest first, that changes after each page is read."""

    def __init__(self, count: int, *changes: Change) -> None:
        self.rows = [Listed(number, "x", float(number), 2) for number in range(count, 0, -1)]
        self.changes = [*changes]
        self.read: list[tuple[int, int]] = []

    def __call__(self, number: int, size: int) -> Page:
        """Return a page, and then change the list."""
        self.read.append((number, size))
        page = Page(self.rows[(number - 1) * size : number * size], more=len(self.rows) > number * size)
        if self.changes:
            self.changes.pop(0)(self.rows)
        return page


def deleting(count: int, *, behind: int = 0) -> Change:
    """Return the change that deletes some tickets after so many newer ones."""

    def change(rows: list[Listed]) -> None:
        del rows[behind : behind + count]

    return change


def adding(count: int) -> Change:
    """Return the change that puts new tickets before all others."""

    def change(rows: list[Listed]) -> None:
        made = [next(_NUMBERS) for _ in range(count)]
        rows[:0] = [Listed(number, "x", float(number), 2) for number in reversed(made)]

    return change


def both(*changes: Change) -> Change:
    """Return several changes at once."""

    def change(rows: list[Listed]) -> None:
        for one in changes:
            one(rows)

    return change


def found_in(book: Book, most: int = 40) -> list[int]:
    """Return the numbers of the tickets found."""
    return [row.ticket_id for row in every_ticket(book, most=most)]


@pytest.mark.parametrize("deleted", [0, 1, 2, 30, 99, 100, 150])
@pytest.mark.parametrize("page", [1, 2, 3])
def test_a_deletion_between_two_pages_hides_no_ticket(deleted: int, page: int) -> None:
    """Tickets that move to a page already read are found all the same, and each ticket comes once."""
    book = Book(450, *[deleting(0)] * (page - 1), deleting(deleted))
    found = found_in(book)
    assert {row.ticket_id for row in book.rows} <= set(found)
    assert len(found) == len(set(found))


_FEW = st.integers(0, 120)
_CHANGES = st.lists(st.builds(both, st.builds(deleting, _FEW, behind=st.integers(0, 400)), st.builds(adding, _FEW)))


@given(count=st.integers(1, 900), changes=_CHANGES)
def test_tickets_that_stay_in_the_list_are_found(count: int, changes: list[Change]) -> None:
    """However many tickets come and go; or the search fails, because the list changes too fast."""
    book = Book(count, *changes)
    before = {row.ticket_id for row in book.rows}
    try:
        found = found_in(book)
    except TooManyPages:
        return
    assert before & {row.ticket_id for row in book.rows} <= set(found)


def test_a_list_that_changes_too_fast_fails() -> None:
    """With a hundred new tickets after every page, no two pages overlap."""
    book = Book(1_000, *[adding(100)] * 40)
    with pytest.raises(TooManyPages):
        found_in(book)
    assert len(book.read) == 40


def test_a_list_that_does_not_change_takes_no_extra_page() -> None:
    """One page up to a hundred tickets, two up to 198, as pages overlap by one or two rows."""
    reads = []
    for count in (0, 1, 100, 101, 198, 199):
        book = Book(count)
        assert len(found_in(book)) == count
        reads.append(len(book.read))
    assert reads == [1, 1, 1, 2, 2, 3]


@pytest.mark.parametrize("order", ["ascending", "shuffled", "newest in the middle"])
def test_the_order_of_the_list_does_not_end_it_early(order: str) -> None:
    """Only the end of the list does: the ticket may be the last row of the last page."""
    book = Book(450)
    if order == "ascending":
        book.rows.reverse()
    elif order == "shuffled":
        random.Random(1).shuffle(book.rows)
    else:
        book.rows = book.rows[200:] + book.rows[:200]
    assert sorted(found_in(book)) == list(range(1, 451))


@pytest.mark.parametrize("first_of_tie", [60, 75, 97, 99, 150])
def test_tickets_with_the_same_time_may_change_places_between_two_pages(first_of_tie: int) -> None:
    """A database may return rows with the same time in another order for every query."""
    book = Book(400)
    tied = {row.ticket_id for row in book.rows[first_of_tie : first_of_tie + 45]}
    moment = book.rows[first_of_tie].created_at

    def shuffle(rows: list[Listed]) -> None:
        rows[:] = [Listed(row.ticket_id, "x", moment if row.ticket_id in tied else row.created_at, 2) for row in rows]
        groups = [list(group) for _, group in groupby(rows, key=lambda row: row.created_at)]
        rows[:] = [row for group in groups for row in reversed(group)]

    shuffle(book.rows)
    book.changes = [shuffle] * 40
    assert sorted(found_in(book)) == list(range(1, 401))


def test_a_page_of_tickets_with_the_same_time_does_not_stop_the_search() -> None:
    """The search does not read the same page again and again either."""
    for tied in (range(250), range(50, 250)):
        book = Book(250)
        book.rows = [Listed(row.ticket_id, "x", 7.0 if at in tied else 9.0 + at, 2) for at, row in enumerate(book.rows)]
        assert sorted(found_in(book)) == list(range(1, 251))
        assert len(book.read) <= 4


def test_the_last_page_that_freshdesk_gives_is_not_the_end_of_the_list() -> None:
    """Pages after the 300th cannot be read, so the result is unknown."""
    book = Book(30_200)
    with pytest.raises(TooManyPages):
        found_in(book, most=1_000)
    assert len(book.read) < 350


@given(at=st.integers(0, 29_999))
def test_the_page_for_a_row_contains_it(at: int) -> None:
    """Freshdesk also gives it: up to a hundred tickets a page, up to page 300."""
    number, size = page_with(at)
    assert (number - 1) * size <= at < number * size
    assert 1 <= number <= LAST_PAGE
    assert 1 <= size <= 100
