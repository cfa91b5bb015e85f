"""Text that is not valid JSON → the fields that can be read from it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoff import broken_json
from handoff.broken_json import FIELDS_MAX, REST_MAX, understand
from handoff.inbound import schema
from tests.steps import steps_of

KNOWN = schema()["properties"]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)

MULTIPART = (
    '--x\r\nContent-Disposition: form-data; name="category"\r\n\r\na\r\nb\r\n--x\r\n'
    'Content-Disposition: form-data; name="f"; filename="f.txt"\r\n\r\nzzz\r\n--x--\r\n'
)
READ: list[tuple[str, dict[str, Any], str]] = [
    ('{"category": "a", "bot": "b",}', {"category": "a", "bot": "b"}, ""),
    ('{"category": "a" "bot": "b"}', {"category": "a", "bot": "b"}, ""),
    ('{"category": "a"\n"bot": "b"}', {"category": "a", "bot": "b"}, ""),
    ('{"category": "a", "bot": "b', {"category": "a", "bot": "b"}, ""),
    ('{"category": "a", "bot": ', {"category": "a", "bot": ""}, ""),
    ('{"category": "a", "bo', {"category": "a"}, "bo"),
    ('{"category": "a", "x": [1, {"bot": "b"', {"category": "a", "x": '[1, {"bot": "b"'}, ""),
    ('{"category": "a", "x": {"bot": "b"}, "reason": "c"', {"category": "a", "x": {"bot": "b"}, "reason": "c"}, ""),
    ('{"category": "a", "category": "b"}', {"category": "b"}, "category: a"),
    ('{"category": "a", "category": "a"}', {"category": "a"}, ""),
    ('{"category": "a", "n": NaN, "m": -Infinity}', {"category": "a", "n": "NaN", "m": "-Infinity"}, ""),
    ('{"category": "a", "n": 1e999, "m": ' + "9" * 401 + "}", {"category": "a", "n": "1e999", "m": "9" * 401}, ""),
    ('{"category": "a", "n": 1.5, "m": 7, "t": true}', {"category": "a", "n": 1.5, "m": 7, "t": True}, ""),
    ('{"reason": "dijo "hola" y se fue", "bot": "b"}', {"reason": 'dijo "hola" y se fue', "bot": "b"}, ""),
    ('{"reason": "dijo "hola"", "bot": "b"}', {"reason": 'dijo "hola"', "bot": "b"}, ""),
    ('{"reason": "uno\ndos\ttres", "bot": "b"}', {"reason": "uno\ndos\ttres", "bot": "b"}, ""),
    ('{"reason": "c:\\dir \\n\\u00f1 \\"", "bot": "b"}', {"reason": 'c:dir \nñ "', "bot": "b"}, ""),
    ('{"reason": "\\ud83d\\ude00 \\ud83d", "bot": "b",}', {"reason": "😀 ?", "bot": "b"}, ""),
    ('{"reason": "\\q\\ud83d\\ude00", "bot": "b\\', {"reason": "q😀", "bot": "b"}, ""),
    ("{'category': 'a', 'bot': None, 'x': True}", {"category": "a", "bot": "None", "x": "True"}, ""),
    ('{category: "a", bot: b} // eso', {"category": "a", "bot": "b"}, "// eso"),
    ("category: a, b\nHola: chau", {"category": "a, b"}, "Hola: … chau"),
    ('[{"category": "a"}]', {"category": "a"}, ""),
    ('{"x": [1, {"bot": "]",},], "category": "a",}', {"x": '[1, {"bot": "]",},]', "category": "a"}, ""),
    ('{"category": "a"}{"bot": "b"}', {"category": "a", "bot": "b"}, ""),
    ("category=a&bot=d%E9b", {"category": "a", "bot": "déb"}, ""),
    ("payload=%7B%22category%22%3A%22a%22%7D", {"category": "a"}, ""),
    ("%7B%22category%22%3A%22a%22%7D=", {"category": "a"}, ""),
    (MULTIPART, {"category": "a\r\nb"}, ""),
]


@pytest.mark.parametrize(("text", "fields", "rest"), READ)
def test_readable_fields_are_read(text: str, fields: dict[str, Any], rest: str) -> None:
    """Each field comes once (of two, the last), and with them the text that belongs to no field."""
    assert understand(text, KNOWN) == (fields, rest)


@pytest.mark.parametrize(
    "text", ["", "hola", '{"a": 1', "Motivo: no puedo", "{" * 5_000, "a=b&c=d", "--", '"category"']
)
def test_a_text_without_fields_is_not_understood(text: str) -> None:
    """The caller keeps such a text whole."""
    assert understand(text, KNOWN) == ({}, "")


def test_a_form_of_too_many_fields_is_not_understood() -> None:
    """Reading it would take too long."""
    text = "category=a&" + "&".join(f"a{number}=b" for number in range(FIELDS_MAX))
    assert understand(text, KNOWN) == ({}, "")


def test_a_value_that_is_nested_too_deep_becomes_text() -> None:
    """Later steps have less stack left than the parser had."""
    deep = "[" * 200 + "]" * 200
    assert understand(f'{{"x": {deep}, "category": "a",}}', KNOWN).fields["x"].startswith("[[[")


def test_the_rest_is_limited() -> None:
    """The rest is shown to an agent, who does not read more."""
    assert len(understand('{"category": "a", ' + "z" * 30_000, KNOWN).rest) == REST_MAX


@given(st.dictionaries(st.text("abñ _-.😀", min_size=1, max_size=9), TEXTS, max_size=6), st.integers(1, 400))
def test_any_object_is_read_as_json_reads_it(value: dict[str, str], at: int) -> None:
    """With an extra comma it reads the same; cut anywhere, nothing is raised and no field is invented."""
    text = json.dumps({**value, "category": "a"}, ensure_ascii=False)
    assert understand(text[:-1] + ",}", KNOWN).fields == {**value, "category": "a"}
    assert understand(text[:at], KNOWN).fields.keys() <= {**value, "category": "a"}.keys()


@given(TEXTS | st.text(alphabet="{}[]\"':,=&\\nu%category \n", max_size=80))
def test_no_text_raises(text: str) -> None:
    """The result can be written as JSON in UTF-8."""
    json.dumps(understand(text + "category:a", KNOWN).fields, ensure_ascii=False).encode()


PIECES = (
    *(
        '"a":[1,],',
        '"a":["\\"',
        '"a":[""]],',
        '"',
        "'",
        "\\",
        '"a',
        '"a":',
        '"category":"a",',
        '"a" ',
        "a:",
        "category:",
        "a b ",
        '"a":[',
        '"a":{"a":1}x',
        "{",
    ),
    *(
        "=&",
        "%22",
        "a=b&",
        '\\"',
        '"a":"\\q",',
        '"a":"b"c',
        '"a":"b" ',
        "--",
        '--\r\nname="a"\r\n\r\n',
        "\n",
        '"a":"\\ud83d",',
    ),
)


@pytest.mark.parametrize("piece", PIECES)
def test_twice_the_text_takes_twice_the_steps(piece: str) -> None:
    """However often a piece is repeated."""
    text = '"category":"a",' + piece * 400
    half, whole = (steps_of(broken_json, understand, given, KNOWN) for given in (text, text + piece * 400))
    assert whole <= 2 * half + 50
