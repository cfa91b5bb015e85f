"""A person's files: each comes onto its ticket once, as a private note, or is named there with the reason."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from handoff.delivery import Delivery
from handoff.fetching import CannotFetch, Fetched, fetch_nothing
from handoff.file_delivery import TICKET_FILES_MAX, TRIED_S, bring_file
from handoff.ledger import Cause, Entry, State
from handoff.parts import Attachment
from handoff.ticket import WHY_NOT
from tests.factories import handoff
from tests.handoff.delivery.keeping import LOST, REFUSED, UNKNOWN, WAIT_S, keep, keep_number, pass_over
from tests.ledger_factories import FakeFreshdesk, FaultyLedger, VirtualClock, answer, busy, delivery, with_parts

HOST = "https://files.bpcontent.cloud"
PHOTO = Attachment(f"{HOST}/foto.jpg?sig=1", "foto.jpg", "image/jpeg")
AUDIO = Attachment(f"{HOST}/audio.ogg", "audio.ogg")


class Files:
    """A host of files that does what `fates` say, then gives "photo" under every address."""

    def __init__(self, *fates: Exception, content: bytes = b"photo") -> None:
        self.fates = list(fates)
        self.content = content
        self.asked: list[tuple[str, int]] = []

    def __call__(self, url: str, *, max_bytes: int, timeout_s: float) -> Fetched:
        """Return the file."""
        assert timeout_s > 0
        self.asked.append((url, max_bytes))
        if self.fates:
            raise self.fates.pop(0)
        return Fetched(self.content, "image/png")


def with_files(rule: Delivery, files: Any, *attachments: Attachment) -> Delivery:
    """Return the delivery with this host of files, after a handoff with these attachments."""
    rule = with_parts(rule, fetch=files)
    rule.deliver(handoff(attachments=attachments or (PHOTO,)))
    return rule


def rows_of(rule: Delivery) -> list[Entry]:
    """Return the rows of the files."""
    return [row for row in rule.writer.ledger.each() if row.is_file]


def test_each_file_is_a_note_of_the_ticket(fake: FakeFreshdesk, rule: Delivery) -> None:
    """With its bytes, its name and its type; the create call carries none of them."""
    files = Files()
    rule = with_files(rule, files, PHOTO, AUDIO)
    assert (fake.posts, files.asked, len(rows_of(rule))) == (1, [], 2)
    pass_over(rule)
    assert sorted(url for url, _ in files.asked) == [AUDIO.url, PHOTO.url]
    assert list(fake.files.values()) == [b"photo"] * 2
    bodies = sorted(html for _, html in fake.notes)
    assert 'filename="audio.ogg"\r\nContent-Type: image/png' in "".join(bodies)
    assert 'filename="foto.jpg"\r\nContent-Type: image/jpeg' in "".join(bodies)
    assert {row.state for row in rows_of(rule)} == {State.CREATED}
    assert all(row.handoff == "" for row in rows_of(rule))
    pass_over(rule)
    assert len(fake.notes) == 2


def test_a_ticket_of_the_sweep_has_its_files_too(fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock) -> None:
    """On every way to a ticket the rows of its files are written with its number."""
    fake.always = answer(401)
    rule = with_files(rule, Files())
    assert rows_of(rule) == []
    fake.always = None
    clock.time += 60.0
    pass_over(rule)
    assert list(fake.files.values()) == [b"photo"]


def test_other_words_bring_their_new_files_only(fake: FakeFreshdesk, rule: Delivery) -> None:
    """The same file in a second request is the same row, though its link was signed anew."""
    rule = with_files(rule, Files())
    again = PHOTO._replace(url=PHOTO.url.replace("sig=1", "sig=2"))
    rule.deliver(handoff(reason="también", attachments=(again, AUDIO)))
    pass_over(rule)
    assert (len(rows_of(rule)), len(fake.files)) == (2, 2)


@pytest.mark.parametrize("fate", [LOST, UNKNOWN])
def test_an_upload_in_doubt_is_looked_for_before_another(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock, fate: Any
) -> None:
    """With the answer lost the note is there, after a time-out it may come late: one note in the end."""
    rule = with_files(rule, Files())
    fake.fates.extend([None, fate])
    pass_over(rule)
    (row,) = rows_of(rule)
    assert (row.state, row.cause) == (State.IN_DOUBT, Cause.IN_DOUBT)
    clock.time += 60.0
    pass_over(rule)
    assert len(fake.files) == (1 if fate is LOST else 0)
    clock.time += WAIT_S
    pass_over(rule)
    assert (len(fake.files), rows_of(rule)[0].state) == (1, State.CREATED)


def test_a_call_that_died_is_taken_up_after_its_lease(fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock) -> None:
    """It may have added the note."""
    rule = with_files(rule, Files())
    (row,) = rows_of(rule)
    rule.writer.take(row, State.CREATING, lease_s=120.0)
    pass_over(rule)
    clock.time += 121.0
    pass_over(rule)
    assert (len(fake.files), rows_of(rule)[0].cause) == (0, Cause.WAITING)
    clock.time += WAIT_S
    pass_over(rule)
    assert len(fake.files) == 1


def test_a_file_that_is_taken_is_left_to_its_holder(fake: FakeFreshdesk, rule: Delivery) -> None:
    """Two sweeps bring it once."""
    rule = with_files(rule, Files())
    (row,) = rows_of(rule)
    rule.writer.take(row, State.CREATING)
    assert bring_file(rule.writer, row, 60.0) is None
    assert fake.notes == []


@pytest.mark.parametrize("reason", ["gone", "too-large", "host-not-listed", "not-https", "private-address"])
def test_a_file_that_cannot_be_had_is_named(
    fake: FakeFreshdesk, rule: Delivery, caplog: pytest.LogCaptureFixture, reason: str
) -> None:
    """With its link and the reason, once; and nobody is alarmed."""
    caplog.set_level(logging.WARNING, "handoff")
    rule = with_files(rule, Files(CannotFetch(reason, for_good=True)))
    pass_over(rule)
    pass_over(rule)
    ((_, html),) = fake.notes
    assert f'<a href="{PHOTO.url}">foto.jpg</a>' in html
    assert WHY_NOT.get(reason, WHY_NOT["not-had"]) in html
    assert (fake.files, rows_of(rule)[0].state) == ({}, State.CREATED)
    assert {record.levelname for record in caplog.records} == {"WARNING"}


def test_a_server_that_is_down_is_asked_again_for_a_day(
    fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock
) -> None:
    """Then its file is named."""
    files = Files(*[CannotFetch("unreachable")] * 3)
    rule = with_files(rule, files)
    pass_over(rule)
    assert (rows_of(rule)[0].state, rows_of(rule)[0].error) == (State.NOT_CREATED, "file: unreachable")
    clock.time += 900.0
    pass_over(rule)
    assert fake.notes == []
    clock.time += TRIED_S
    pass_over(rule)
    assert WHY_NOT["not-had"] in fake.notes[0][1]


def test_the_files_of_a_ticket_have_a_bound_together(fake: FakeFreshdesk, rule: Delivery) -> None:
    """20 MB: what is there already counts, and what a file says of itself."""
    big = Attachment(f"{HOST}/video.mp4", "video.mp4", "", TICKET_FILES_MAX - 4)
    files = Files()
    rule = with_files(rule, files, PHOTO)
    pass_over(rule)
    rule.deliver(handoff(reason="otra", attachments=(big,)))
    pass_over(rule)
    assert files.asked == [(PHOTO.url, TICKET_FILES_MAX)]
    assert WHY_NOT["too-large"] in fake.notes[-1][1]


@pytest.mark.parametrize("status", [400, 413, 415])
def test_a_file_that_freshdesk_refuses_is_named(fake: FakeFreshdesk, rule: Delivery, status: int) -> None:
    """The refusal wrote nothing."""
    rule = with_files(rule, Files())
    fake.fates.extend([None, answer(status)])
    pass_over(rule)
    assert WHY_NOT["refused"] in fake.notes[0][1]


def test_a_ticket_that_was_deleted_needs_no_files(fake: FakeFreshdesk, rule: Delivery) -> None:
    """The row ends."""
    rule = with_files(rule, Files())
    fake.fates.append(answer(404))
    pass_over(rule)
    assert (fake.notes, rows_of(rule)[0].state) == ([], State.CREATED)


@pytest.mark.parametrize("fate", [REFUSED, answer(401), answer(500), busy(900.0)])
@pytest.mark.parametrize("before", [0, 1])
def test_a_file_waits_for_freshdesk(fake: FakeFreshdesk, rule: Delivery, fate: Any, before: int) -> None:
    """Down, closed or over its limit: it is tried again, and never counts as had."""
    rule = with_files(rule, Files())
    fake.fates.extend([*[None] * before, fate, fate])
    pass_over(rule)
    (row,) = rows_of(rule)
    assert row.state in {State.NOT_CREATED, State.IN_DOUBT}
    assert row.due_at is not None


def test_a_suspended_call_adds_nothing(fake: FakeFreshdesk, rule: Delivery, clock: VirtualClock) -> None:
    """Its lease is over when it wakes up, and another may have added the file."""

    def asleep(url: str, *, max_bytes: int, timeout_s: float) -> Fetched:
        clock.time += 121.0
        return Files()(url, max_bytes=max_bytes, timeout_s=timeout_s)

    rule = with_files(rule, asleep)
    bring_file(rule.writer, rows_of(rule)[0], 60.0)
    assert fake.notes == []


def test_a_slow_file_holds_up_no_ticket(fake: FakeFreshdesk, rule: Delivery) -> None:
    """Files come after all rows that wait for a ticket."""
    rule = with_files(rule, Files())
    keep(rule, made=handoff(key="C" * 52), reference="BF-CCCCCCCC", state=State.NOT_CREATED)
    pass_over(rule)
    paths = [call.path for call in fake.calls if call.method == "POST"]
    assert paths[1:] == ["/api/v2/tickets", "/api/v2/tickets/1/notes"]


def test_a_pass_brings_a_hundred_files(fake: FakeFreshdesk, rule: Delivery) -> None:
    """The others wait for the next pass."""
    for number in range(101):
        given = {"entry": f"{number:08d}{'A' * 44}#file:x", "handoff": handoff(attachments=(PHOTO,)).to_json()}
        keep_number(rule, number, on_ticket=number, **given)
    counts = []
    for _ in range(2):
        pass_over(rule)
        counts.append(len(fake.notes))
    assert counts == [100, 101]


def test_files_of_a_call_without_the_ledger_are_named_in_the_ticket(fake: FakeFreshdesk, clock: VirtualClock) -> None:
    """Nobody can keep their rows; the links are there."""
    ledger = FaultyLedger(delivery(clock=clock, transport=fake).writer.ledger)
    ledger.always = "before"
    delivery(clock=clock, transport=fake, ledger=ledger).deliver(handoff(attachments=(PHOTO,)))
    assert PHOTO.url in fake.tickets[0]["description"]


def test_by_default_no_host_is_listed() -> None:
    """A delivery that was given no way to fetch fetches nothing."""
    with pytest.raises(CannotFetch, match="host-not-listed"):
        fetch_nothing(PHOTO.url, max_bytes=1, timeout_s=1.0)
