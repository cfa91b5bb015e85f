"""A ticket's notes: one with a file is written as a browser writes a form, and all of them are read."""

from __future__ import annotations

import io
import tracemalloc
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from werkzeug.datastructures import FileStorage
from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from freshdesk_client import Answer, FreshdeskBusy, FreshdeskClient, FreshdeskRefused, OutcomeUnknown, Request
from handoff.deadline import Deadline
from handoff.helpdesk import NOTE_PAGES, HelpDesk
from handoff.notes import File, Note, build_conversations, build_note_with_file, decipher_conversations
from handoff.pagination import TooManyPages
from handoff.transport import RequestsTransport
from tests.ledger_factories import VirtualClock, answer, busy
from tests.wire import Start, answering

PNG = b"\x89PNG\r\n\r\n--" + bytes(range(256)) * 40


def read(request: Request) -> tuple[dict[str, str], FileStorage]:
    """Return the texts and the file of a form, as a web framework reads them."""
    body = b"".join((request.body or b"", *request.more))
    media_type, options = parse_options_header(request.content_type)
    assert media_type == "multipart/form-data"
    parser = FormDataParser(stream_factory=lambda *_args, **_kwargs: io.BytesIO(), silent=False)
    _, texts, files = parser.parse(io.BytesIO(body), media_type, len(body), options)
    [(name, file)] = files.items(multi=True)
    assert name == "attachments[]"
    return texts.to_dict(), file


def test_a_note_with_a_file_is_a_form() -> None:
    """The note is private, and the file is not copied to join it."""
    file = File("foto.png", PNG, "image/png")
    request = build_note_with_file(7, "<p>ñ</p>", file)
    texts, uploaded = read(request)
    assert (request.method, request.path) == ("POST", "/api/v2/tickets/7/notes")
    assert texts == {"body": "<p>ñ</p>", "private": "true"}
    assert (uploaded.filename, uploaded.mimetype, uploaded.stream.read()) == (file.name, "image/png", PNG)
    assert request.more[0] is PNG


@pytest.mark.parametrize(
    "name",
    [
        *(
            "comprobante (1).jpg",
            "ñandú — año.pdf",
            "収据.pdf",
            "👍🏽.png",
            "a;b=c, d.png",
            "a'b.png",
            "100%.png",
            "إيصال.pdf",
        ),
        *('dicho "así".png', "a%22b.png", "x" * 200, "archivo"),
    ],
)
def test_any_name_arrives(name: str) -> None:
    """As UTF-8; quotes are as a browser writes them."""
    request = build_note_with_file(7, "x", File(name, b"x", "image/png"))
    assert read(request)[1].filename == name.replace("%22", '"')


def test_a_name_adds_no_line_to_the_form() -> None:
    """Nor does a media type."""
    file = File('a"\r\nContent-Type: text/html\r\n\r\nb', b"x", "image/png\r\nX: y")
    texts, uploaded = read(build_note_with_file(7, "x", file))
    assert (texts, uploaded.mimetype) == ({"body": "x", "private": "true"}, "application/octet-stream")
    assert [*uploaded.headers.keys()] == ["Content-Disposition", "Content-Type"]


def test_a_file_cannot_end_its_own_part() -> None:
    """Its boundary is not known before the file is."""
    first = build_note_with_file(7, "x", File("a", PNG, "image/png"))
    boundary = first.content_type.partition("boundary=")[2].encode()
    inside = PNG + b"\r\n--" + boundary + b'\r\nContent-Disposition: form-data; name="private"\r\n\r\nfalse\r\n'
    texts, uploaded = read(build_note_with_file(7, "x", File("a", inside, "image/png")))
    assert (texts["private"], uploaded.stream.read()) == ("true", inside)


def test_a_form_is_sent_without_a_copy(start: Start) -> None:
    """Its length is that of all pieces together."""
    seen: list[bytes] = []
    host = start(answering(b"HTTP/1.1 201 Created\r\nContent-Length: 8\r\n\r\n" + b'{"id":1}', seen=seen))
    send = RequestsTransport(f"http://127.0.0.1:{host.port}", "key")
    content = b"x" * 4_000_000
    request = build_note_with_file(7, "x", File("a", content, "image/png"))
    send(build_note_with_file(7, "x", File("a", b"", "image/png")), 5.0)
    sent_before = len(seen)
    tracemalloc.start()
    assert send(request, 20.0).status == 201
    tracemalloc.stop()
    head, _, body = seen[sent_before].partition(b"\r\n\r\n")
    assert body == b"".join((request.body or b"", *request.more))
    assert f"Content-Length: {len(body)}".encode() in head
    assert f"Content-Type: {request.content_type}".encode() in head
    assert b"chunked" not in head


def row(number: int, **more: Any) -> dict[str, Any]:
    """Return a note as Freshdesk lists it."""
    return {"id": number, "body": f"<div>{number}</div>", "body_text": str(number), "attachments": [], **more}


def test_a_page_of_notes() -> None:
    """With the size of each file, under either of the names that the documentation shows."""
    files = [{"name": "a", "size": 3}, {"name": "b", "file_size": 4}, {"name": "c"}, "d"]
    rows = [row(1, attachments=files), row(2, body_text=None), row(3, attachments=None)]
    assert decipher_conversations(answer(200, rows)) == (
        [Note(1, "1\n<div>1</div>", (3, 4)), Note(2, "\n<div>2</div>"), Note(3, "3\n<div>3</div>")],
        False,
    )
    assert build_conversations(7, 2).path == "/api/v2/tickets/7/conversations?per_page=100&page=2"


def test_a_page_of_notes_has_a_next_one_if_it_is_full_or_says_so() -> None:
    """A `Link` header may be missing, and Freshdesk may give fewer than were asked for."""
    full = [row(number) for number in range(1, 101)]
    assert decipher_conversations(answer(200, full)).more
    assert not decipher_conversations(answer(200, full[:99])).more
    assert decipher_conversations(answer(200, full[:30], {"link": '<…>; rel="next"'})).more


@pytest.mark.parametrize("body", [{}, None, "x", ["x"], [{}], [{"id": "1"}], [row(1), None]])
def test_what_is_no_list_of_notes_is_an_error(body: Any) -> None:
    """A row that cannot be read may be the note that is looked for."""
    with pytest.raises(OutcomeUnknown):
        decipher_conversations(answer(200, body))


@pytest.mark.parametrize(
    ("given", "error"), [(answer(404), FreshdeskRefused), (busy(3.0), FreshdeskBusy), (answer(500), OutcomeUnknown)]
)
def test_a_list_of_notes_that_is_not_given(given: Answer, error: type[Exception]) -> None:
    """As for every other answer."""
    with pytest.raises(error):
        decipher_conversations(given)


class Notes:
    """A ticket with many notes, some of which are deleted while they are read."""

    def __init__(self, count: int, *, at_most: int = 100, deleted: tuple[int, ...] = ()) -> None:
        self.numbers = [*range(1, count + 1)]
        self.at_most = at_most
        self.deleted = deleted  # after the first call
        self.calls: list[tuple[int, int]] = []

    def __call__(self, request: Request, _timeout_s: float) -> Answer:
        """Answer with a page."""
        asked = parse_qs(urlsplit(request.path).query)
        page, size = int(asked["page"][0]), min(int(asked["per_page"][0]), self.at_most)
        self.calls.append((page, size))
        shown = self.numbers[(page - 1) * size : page * size]
        more = {"link": '<…>; rel="next"'} if len(self.numbers) > page * size else {}
        if len(self.calls) == 1:
            self.numbers = [number for number in self.numbers if number not in self.deleted]
        return answer(200, [row(number) for number in shown], more)


def helpdesk_of(transport: Any, clock: VirtualClock) -> HelpDesk:
    """Return a help desk account behind a transport."""
    return HelpDesk("https://betsur.freshdesk.com", FreshdeskClient(transport), clock)


def numbers_of(transport: Any, seconds: float = 12.0) -> list[int]:
    """Return the numbers of the notes that are read."""
    clock = VirtualClock()
    return [note.note_id for note in helpdesk_of(transport, clock).notes_of(7, Deadline(clock, seconds))]


@pytest.mark.parametrize("at_most", [100, 30])
@pytest.mark.parametrize("count", [0, 1, 30, 31, 99, 100, 101, 199, 250])
def test_all_notes_are_read(count: int, at_most: int) -> None:
    """Each once, oldest first, also where Freshdesk gives fewer on a page than were asked for."""
    assert numbers_of(Notes(count, at_most=at_most)) == [*range(1, count + 1)]


@pytest.mark.parametrize("deleted", [(1,), (100,), (1, 2), (50, 99, 100), tuple(range(1, 101)), tuple(range(1, 140))])
def test_notes_deleted_meanwhile_hide_no_others(deleted: tuple[int, ...]) -> None:
    """Those behind them move up, onto a page that was read already."""
    assert {*range(1, 151)} - {*numbers_of(Notes(150, deleted=deleted))} <= {*deleted}


def test_more_notes_than_can_be_read_are_an_error() -> None:
    """The note that is looked for may be among those that were not read."""
    shelf = Notes(100_000)
    with pytest.raises(TooManyPages):
        numbers_of(shelf)
    assert len(shelf.calls) == NOTE_PAGES


def test_an_empty_page_with_a_next_one_is_no_end() -> None:
    """Nobody knows what comes after it."""
    with pytest.raises(TooManyPages):
        numbers_of(lambda *_: answer(200, [], {"link": '<…>; rel="next"'}))


def test_a_page_that_fails_is_read_once_more() -> None:
    """One failure would waste all pages before it."""
    shelf, fates = Notes(150), iter([None, OutcomeUnknown("time-out"), None])

    def send(request: Request, timeout_s: float) -> Answer:
        if fate := next(fates, None):
            raise fate
        return shelf(request, timeout_s)

    assert len(numbers_of(send)) == 150


def test_a_file_is_added_within_the_deadline() -> None:
    """A refusal is passed on; a good answer is one that can be read."""
    calls: list[tuple[str, float]] = []
    fates = iter([answer(201, {"id": 1}), answer(413), answer(201, None)])

    def send(request: Request, timeout_s: float) -> Answer:
        calls.append((request.path, timeout_s))
        return next(fates)

    clock = VirtualClock()
    desk, deadline, file = helpdesk_of(send, clock), Deadline(clock, 10.0), File("a", b"x", "image/png")
    desk.add_note_with_file(7, "x", file, deadline)
    with pytest.raises(FreshdeskRefused):
        desk.add_note_with_file(7, "x", file, deadline)
    with pytest.raises(OutcomeUnknown):
        desk.add_note_with_file(7, "x", file, deadline)
    assert calls == [("/api/v2/tickets/7/notes", 9.5)] * 3


def test_a_full_minute_is_noted() -> None:
    """Also when a note or its list meets it."""
    clock = VirtualClock()
    desk = helpdesk_of(lambda *_: busy(30.0), clock)
    with pytest.raises(FreshdeskBusy):
        desk.add_note_with_file(7, "x", File("a", b"x", "image/png"), Deadline(clock, 10.0))
    assert desk.closed_for_s == 30.0
