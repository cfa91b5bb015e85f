"""Files, values and tags of a request: what is usable is used, and nothing of them ever refuses a handoff."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoff.inbound import Handoff, read_handoff
from handoff.parts import FIELDS_MAX, FILE_NAME_MAX, FILES_MAX, TAGS_MAX, Attachment, file_name, read_parts
from handoff.ticket import to_ticket
from tests.factories import body, route

URL = "https://files.bpcontent.cloud/2026/12/01/foto.jpg?sig=1"
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=12) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)


@given(ANYTHING, ANYTHING, ANYTHING)
def test_no_list_or_object_refuses_a_handoff(attachments: Any, fields: Any, tags: Any) -> None:
    """Whatever is sent in them, the handoff is read, kept whole and becomes a ticket."""
    handoff = read_handoff(body(attachments=attachments, fields=fields, tags=tags))
    assert Handoff.from_json(handoff.to_json()) == handoff
    assert to_ticket(handoff, route())["description"]


def test_a_file_is_read_with_all_that_is_known_of_it() -> None:
    """Name, media type and size are optional; a name comes without its path."""
    sent = {"url": f" {URL} ", "name": "C:\\fotos\\comprobante.jpg", "type": "Image/JPEG", "size": 51_234}
    assert read_parts({"attachments": [sent, {"url": "http://x.example.com/a"}]}).attachments == (
        Attachment(URL, "comprobante.jpg", "image/jpeg", 51_234),
        Attachment("http://x.example.com/a"),
    )


@pytest.mark.parametrize(
    "entry",
    [
        "foto.jpg",
        7,
        [URL],
        {"name": "foto.jpg"},
        {"url": 5},
        {"url": "foto.jpg"},
        {"url": "file:///etc/passwd"},
        {"url": "javascript:alert(1)"},
        {"url": "https://"},
        {"url": "https://["},
        {"url": f"https://x.example.com/{'a' * 2_000}"},
        {"url": "https://x.example.com/a b"},
    ],
)
def test_an_unusable_file_is_shown_as_it_came(entry: Any) -> None:
    """It is named in the warnings, and the agent can read it."""
    parts = read_parts({"attachments": [{"url": URL}, entry]})
    assert parts.attachments == (Attachment(URL),)
    assert parts.unusable == (("attachments[1] (?)", entry),)


def test_ten_files_are_taken_and_the_others_shown() -> None:
    """The eleventh is among the other data."""
    parts = read_parts({"attachments": [{"url": f"https://x.example.com/{number}"} for number in range(12)]})
    assert len(parts.attachments) == FILES_MAX
    assert [name for name, _ in parts.unusable] == ["attachments[10] (?)", "attachments[11] (?)"]


def test_a_file_that_is_sent_twice_is_one() -> None:
    """Its link may have been signed anew: the query does not count."""
    twice = [{"url": URL}, {"url": URL.replace("sig=1", "sig=2")}]
    assert len(read_parts({"attachments": twice}).attachments) == 1
    first, second = (read_handoff(body(attachments=[one])) for one in twice)
    assert first.fingerprint == second.fingerprint


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("../../etc/passwd", "passwd"),
        ('a<b>:"|?*.pdf', "a_b_.pdf"),
        ("a\x00\x1f\nb.png", "a b.png"),
        ("CV\u202egpj.exe", "CVgpj.exe"),
        ("..", ""),
        ("ñandú 🦩.jpg", "ñandú 🦩.jpg"),
    ],
)
def test_a_file_name_is_one_name(text: str, name: str) -> None:
    """No path, no control characters, nothing that a system refuses."""
    assert file_name(text) == name


def test_a_long_file_name_keeps_its_extension() -> None:
    """Without it nobody can open the file."""
    name = file_name("a" * 500 + ".jpeg")
    assert (len(name), name[-5:]) == (FILE_NAME_MAX, ".jpeg")


def test_a_file_without_a_name_is_called_by_its_address() -> None:
    """Else the agent would read an address."""
    assert Attachment(URL).shown_as == "foto.jpg"
    assert Attachment("https://x.example.com/").shown_as == "archivo"


def test_values_are_kept_by_name() -> None:
    """Texts, numbers, yes and no; what is empty or was not filled in is absent."""
    sent = {"numero": 7, "monto": 1.5, "vip": True, "nota": " hola ", "vacio": "", "nada": None, "sin": "{{x}}"}
    assert dict(read_parts({"fields": sent}).fields) == {"numero": 7, "monto": 1.5, "vip": True, "nota": "hola"}


def test_a_value_that_is_an_object_is_shown_as_it_came() -> None:
    """So are values beyond the fiftieth."""
    parts = read_parts({"fields": {"a": {"b": 1}, **{f"f{number}": number for number in range(FIELDS_MAX + 1)}}})
    assert len(parts.fields) == FIELDS_MAX
    assert parts.unusable == (("fields.a (?)", {"b": 1}), (f"fields.f{FIELDS_MAX} (?)", FIELDS_MAX))


@pytest.mark.parametrize("sent", [["vip", "vip", " retiro,urgente ", "", 7], "vip, retiro urgente,7"])
def test_tags_are_a_list_or_one_text(sent: Any) -> None:
    """Each once, without commas, for Freshdesk's own list has them."""
    assert read_parts({"tags": sent}).tags == ("vip", "retiro urgente", "7")


def test_ten_tags_of_32_characters_are_taken() -> None:
    """The others are among the other data."""
    parts = read_parts({"tags": [f"{number}" + "x" * 40 for number in range(11)]})
    assert (len(parts.tags), {len(tag) for tag in parts.tags}) == (TAGS_MAX, {32})
    assert len(parts.unusable) == 1


@pytest.mark.parametrize("nothing", [None, "", [], {}, "undefined", "[object Object]"])
def test_nothing_is_no_fault(nothing: Any) -> None:
    """What a template leaves is absent."""
    assert read_parts(dict.fromkeys(("attachments", "fields", "tags"), nothing)).unusable == ()


def test_the_ticket_names_each_file_with_its_link() -> None:
    """Also before its bytes are there, and if they never come."""
    handoff = read_handoff(body(attachments=[{"url": URL, "name": "foto <1>.jpg", "size": 51_234}]))
    description = to_ticket(handoff, route())["description"]
    assert f'<a href="{URL}">foto _1_.jpg</a> (51 kB)' in description
