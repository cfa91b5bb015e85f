"""Bytes → one JSON object, strictly."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoff.strict_json import MalformedJSON, parse_body

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    SCALARS | NAMES,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=20,
)


def nested(levels: int) -> bytes:
    """Return an object that is that many levels deep, itself included."""
    return b'{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


@given(st.dictionaries(NAMES, VALUES, max_size=8))
def test_any_sound_object_is_read_as_it_was_written(value: dict[str, Any]) -> None:
    """What JSON can say comes back the same."""
    assert parse_body(json.dumps(value).encode()) == value


@given(st.binary(max_size=200) | st.text(alphabet='{}[]",:0123456789.eE+-ntfu\\ \n', max_size=60).map(str.encode))
def test_any_bytes_are_an_object_or_malformed(raw: bytes) -> None:
    """Nothing but `MalformedJSON` ever comes out, whatever goes in."""
    try:
        assert isinstance(parse_body(raw), dict)
    except MalformedJSON as error:
        assert str(error) in {"JSONDecodeError", "UnicodeDecodeError", "ValueError", "not an object"}  # noqa: PT017 -- both ends are right


def test_depth_has_a_bound() -> None:
    """The deepest value allowed is read, one level more is refused: whoever walks it later has less stack left."""
    assert parse_body(nested(100))
    with pytest.raises(MalformedJSON):
        parse_body(nested(101))


@pytest.mark.parametrize("levels", [990, 1_000, 5_000, 100_000])
def test_depth_past_the_stack_is_malformed_too(levels: int) -> None:
    """What the reader itself cannot follow is refused like any other fault."""
    with pytest.raises(MalformedJSON):
        parse_body(nested(levels))


@pytest.mark.parametrize("sign", ["", "-"])
def test_integers_have_a_bound(sign: str) -> None:
    """An integer may have four hundred digits, sign included."""
    digits = "9" * (400 - len(sign))
    assert parse_body(f'{{"a":{sign}{digits}}}'.encode()) == {"a": int(sign + digits)}
    with pytest.raises(MalformedJSON):
        parse_body(f'{{"a":{sign}{digits}9}}'.encode())


@pytest.mark.parametrize("told", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", '"\\ud800"', '{"b":1,"b":1}'])
def test_what_python_reads_and_json_does_not_know_is_refused(told: str) -> None:
    """No NaN, no infinity, no half characters, no name twice."""
    with pytest.raises(MalformedJSON):
        parse_body(f'{{"a":{told}}}'.encode())
