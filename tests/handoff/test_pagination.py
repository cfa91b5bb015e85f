"""No ticket is missed, though others are made and deleted while the pages of a list are read."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshdesk_client import Listed, Page
from handoff.pagination import LAST_PAGE, TooManyPages, every_ticket, page_of, page_with

_NUMBERS = itertools.count(1_000_000)  # of the tickets that are made meanwhile

Change = Callable[[list[Listed]], None]


class Book:
    """A list of tickets, the newest first, that changes after each page that is read."""

    def __init__(self, count: int, *changes: Change) -> None:
        self.rows = [Listed(number, "x", float(number), 2) for number in range(count, 0, -1)]
        self.changes = [*changes]
        self.read: list[tuple[int, int]] = []

    def __call__(self, number: int, size: int) -> Page:
        """Return a page; only then comes the change."""
        self.read.append((number, size))
        page = Page(self.rows[(number - 1) * size : number * size], more=len(self.rows) > number * size)
        if self.changes:
            self.changes.pop(0)(self.rows)
        return page


def deleting(count: int, *, behind: int = 0) -> Change:
    """Return the change that takes some tickets away, behind so many newer ones."""

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


def told_of(book: Book, *, first: int = 1, until: float = float("inf"), most: int = 40) -> list[int]:
    """Return the numbers of the tickets that are found."""
    return [row.ticket_id for row in every_ticket(book, since=0.0, until=until, first=first, most=most)]


@pytest.mark.parametrize("deleted", [0, 1, 2, 30, 99, 100, 150])
@pytest.mark.parametrize("page", [1, 2, 3])
def test_a_deletion_between_two_pages_hides_nobody(deleted: int, page: int) -> None:
    """What moves up, onto a page that was read, is read all the same, and each ticket is told once."""
    book = Book(450, *[deleting(0)] * (page - 1), deleting(deleted))
    found = told_of(book)
    assert {row.ticket_id for row in book.rows} <= set(found)
    assert len(found) == len(set(found))


_FEW = st.integers(0, 120)
_CHANGES = st.lists(st.builds(both, st.builds(deleting, _FEW, behind=st.integers(0, 400)), st.builds(adding, _FEW)))


@given(count=st.integers(1, 900), changes=_CHANGES)
def test_whatever_is_there_all_the_time_is_found(count: int, changes: list[Change]) -> None:
    """However many tickets come and go, or it is said that the list does not hold still."""
    book = Book(count, *changes)
    before = {row.ticket_id for row in book.rows}
    try:
        found = told_of(book)
    except TooManyPages:
        return
    assert before & {row.ticket_id for row in book.rows} <= set(found)


def test_a_list_that_does_not_hold_still_is_no_answer() -> None:
    """With a hundred new tickets after every page, no page is known to follow on another."""
    book = Book(1_000, *[adding(100)] * 40)
    with pytest.raises(TooManyPages):
        told_of(book)
    assert len(book.read) == 40


def test_a_list_at_rest_costs_no_page_more() -> None:
    """One page up to a hundred tickets, two up to 198: an overlap of one or two rows."""
    reads = []
    for count in (0, 1, 100, 101, 198, 199):
        book = Book(count)
        assert len(told_of(book)) == count
        reads.append(len(book.read))
    assert reads == [1, 1, 1, 2, 2, 3]


@pytest.mark.parametrize("deleted", [0, 100, 350, 900])
def test_a_look_into_the_past_goes_back_where_its_page_has_moved_up(deleted: int) -> None:
    """The page it begins with must be newer than the ticket that is meant, as it was when it was chosen."""
    book = Book(2_000)
    first = page_of(900.0, book)
    book.changes = [deleting(0)]
    deleting(deleted)(book.rows)
    assert 900 in told_of(book, first=first, until=900.0)


def test_a_page_that_is_too_new_needs_no_other_before_it() -> None:
    """Nothing is read from the beginning where it is clear that it is not meant."""
    book = Book(2_000)
    first = page_of(900.0, book)
    book.read.clear()
    told_of(book, first=first, until=900.0)
    assert book.read[:2] == [(11, 100), page_with(1_099)]


@pytest.mark.parametrize(("until", "then"), [(999.9, 1_099), (1_000.0, 900)])
def test_how_a_page_in_the_past_begins_decides_which_is_next(until: float, then: int) -> None:
    """On, if its first ticket is too new; else a hundred back, for one of the same moment may stand before it."""
    book = Book(2_000)
    told_of(book, first=11, until=until)
    assert book.read[:2] == [(11, 100), page_with(then)]


@given(at=st.integers(0, 29_999))
def test_a_page_holds_its_row(at: int) -> None:
    """And it is one that Freshdesk gives: of up to a hundred tickets, up to the 300th."""
    number, size = page_with(at)
    assert (number - 1) * size <= at < number * size
    assert 1 <= number <= LAST_PAGE
    assert 1 <= size <= 100
