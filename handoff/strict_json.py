"""Pure: bytes → one JSON object, strictly. Python's own reader takes more than RFC 8259 allows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final, NoReturn

JSONObject = dict[str, Any]

BODY_MAX: Final = 256 * 1024  # bytes; whoever reads a body holds it to that, before this room sees it
INTEGER_DIGITS_MAX: Final = 400
DEPTH_MAX: Final = 100  # whoever walks the value later has less stack left than the reader had


class MalformedJSON(Exception):
    """The body is not one JSON object in UTF-8. Its text is for the log: it holds nothing the caller sent."""


def parse_body(raw: bytes) -> JSONObject:
    """Read raw as one JSON object, strictly: UTF-8, no duplicate names, no NaN, nothing too deep or too long.

    Raises:
        MalformedJSON: for anything else; Python's own reader takes more than RFC 8259 allows.

    >>> parse_body(b'{"category": "retiros"}')
    {'category': 'retiros'}
    """
    try:
        text = raw.decode("utf-8")
        value = _STRICT.decode(text)
        _refuse_depth(value)
        if "\\u" in text:  # only an escape can hide a lone surrogate, which would break every later step
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise MalformedJSON(type(error).__name__) from error
    if not isinstance(value, dict):
        raise MalformedJSON("not an object")
    return value


def _refuse_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEPTH_MAX):
        level = [inner for one in level for inner in _inside(one)]
        if not level:
            return
    raise ValueError("nested too deep")


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _distinct(pairs: list[tuple[str, Any]]) -> JSONObject:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate name")
    return found


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError("NaN or Infinity")


def _finite(digits: str) -> float:
    number = float(digits)
    if number in {float("inf"), float("-inf")}:
        raise ValueError("number too large")
    return number


def _bounded(digits: str) -> int:
    if len(digits) > INTEGER_DIGITS_MAX:
        raise ValueError("number too long")
    return int(digits)


_STRICT: Final = json.JSONDecoder(
    object_pairs_hook=_distinct,
    parse_constant=_refuse_constant,
    parse_float=_finite,
    parse_int=_bounded,
)
