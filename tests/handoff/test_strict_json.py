"""Bytes → one JSON object."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoff.strict_json import BODY_MAX, BodyTooLarge, MalformedJSON, decode, parse_body, unpacked

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    SCALARS | NAMES,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=20,
)


def nested(levels: int) -> bytes:
    """Return an object with that many levels, including itself."""
    return b'{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


@given(st.dictionaries(NAMES, VALUES, max_size=8))
def test_any_valid_object_is_read_unchanged(value: dict[str, Any]) -> None:
    """Every value of JSON comes back the same."""
    assert parse_body(json.dumps(value).encode()) == value


@given(st.binary(max_size=200) | st.text(alphabet='{}[]",:0123456789.eE+-ntfu\\ \n', max_size=60).map(str.encode))
def test_any_bytes_are_an_object_or_malformed(raw: bytes) -> None:
    """No error except `MalformedJSON` is raised, whatever the bytes."""
    try:
        assert isinstance(parse_body(raw), dict)
    except MalformedJSON as error:
        assert str(error) in {"JSONDecodeError", "ValueError", "not an object"}  # noqa: PT017 -- both results are right


def test_depth_is_limited() -> None:
    """The deepest allowed value is read, one level more is refused, as later steps have less stack left."""
    assert parse_body(nested(100))
    with pytest.raises(MalformedJSON):
        parse_body(nested(101))


@pytest.mark.parametrize("levels", [990, 1_000, 5_000, 100_000])
def test_depth_that_exceeds_the_stack_is_malformed_too(levels: int) -> None:
    """It is refused like any other fault."""
    with pytest.raises(MalformedJSON):
        parse_body(nested(levels))


@pytest.mark.parametrize("sign", ["", "-"])
def test_the_length_of_integers_is_limited(sign: str) -> None:
    """An integer may have four hundred digits, including its sign."""
    digits = "9" * (400 - len(sign))
    assert parse_body(f'{{"a":{sign}{digits}}}'.encode()) == {"a": int(sign + digits)}
    with pytest.raises(MalformedJSON):
        parse_body(f'{{"a":{sign}{digits}9}}'.encode())


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", '"\\ud800"', '{"b":1,"b":1}'])
def test_values_that_only_python_accepts_are_refused(value: str) -> None:
    """NaN, infinity, half characters, duplicate names."""
    with pytest.raises(MalformedJSON):
        parse_body(f'{{"a":{value}}}'.encode())


TEXT = '{"reason": "Débito de 500 €"}'


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "cp1252"]
)
@pytest.mark.parametrize(
    "charset",
    ["", "utf-8", "UTF8", "utf-16", "us-ascii", "none", "undefined", "rot13", "unicode_escape", "../x", "x" * 99, "\0"],
)
def test_text_is_read_in_any_usual_encoding(encoding: str, charset: str) -> None:
    """It is recognised by its byte-order mark or its zeros, else Windows-1252, whatever a wrong charset says."""
    assert decode(TEXT.encode(encoding), charset) == TEXT


@pytest.mark.parametrize(
    "charset", ["iso-8859-15", "ISO_8859-15", "cp850", "windows-1250", "mac-roman", "latin-1", "l1"]
)
def test_a_charset_of_one_byte_is_used(charset: str) -> None:
    """ISO-8859-1 means Windows-1252, as in a browser."""
    text = TEXT.replace(" €", "")
    assert decode(text.encode(charset), charset) == text
    assert decode(b"\x80", "latin-1") == "€"
    assert decode(b"\xef\xbb\xbf" + text.encode(), charset).endswith(text)


@given(st.binary(max_size=60), st.sampled_from(["", "cp1252", "utf-16", "koi8-r"]))
def test_any_bytes_are_read_as_some_text(raw: bytes, charset: str) -> None:
    """The text can be written again."""
    decode(raw, charset).encode()


def test_half_a_character_is_written_by_no_means() -> None:
    """The way to read wrong bytes as Windows-1252 is for reading only."""
    with pytest.raises(UnicodeEncodeError):
        "\ud800".encode("utf-8", "windows-1252")


def test_an_object_that_was_encoded_twice_is_read() -> None:
    """It is decoded twice, and not three times."""
    twice = json.dumps(TEXT)
    assert parse_body(twice.encode()) == json.loads(TEXT)
    with pytest.raises(MalformedJSON):
        parse_body(json.dumps(twice).encode())


@pytest.mark.parametrize("packed", [gzip.compress, lambda raw: zlib.compress(raw, wbits=-15), zlib.compress])
def test_no_more_is_unpacked_than_a_body_may_have(packed: Any) -> None:
    """Exact to the byte; of more, the beginning is kept."""
    most = b"x" * BODY_MAX
    assert unpacked(packed(most), "deflate") == most
    with pytest.raises(BodyTooLarge) as caught:
        unpacked(packed(most + b"y"), "deflate")
    assert caught.value.head == most


def test_damaged_gzip_is_unpacked_up_to_the_damage() -> None:
    """The readable part is kept."""
    raw = json.dumps([*range(20_000)]).encode()
    packed = bytearray(gzip.compress(raw))
    assert raw.startswith(unpacked(bytes(packed[:-5_000])))
    packed[-5_000:-4_990] = b"\xff" * 10
    assert unpacked(bytes(packed))[:20_000] == raw[:20_000]
    assert unpacked(bytes(gzip.compress(raw)) + b"more") == raw
    assert unpacked(b"\x1f\x8bno", "gzip") == b"\x1f\x8bno"
    assert unpacked(b'{"k11": 11}', "deflate") == b'{"k11": 11}'  # a few of its bytes can be unpacked
