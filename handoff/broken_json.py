"""Pure: text that is not JSON, or is broken JSON → its readable fields. Never raises; linear in time."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from contextlib import suppress
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

from handoff.strict_json import JSONObject, bounded, finite, refuse_depth

FIELDS_MAX: Final = 1000
REST_MAX: Final = 20_000  # characters
# A name and its colon: in double or single quotes, or bare. The lookbehind keeps a long word from being tried at
# each of its letters.
_NAME: Final = re.compile(
    r"""(?:"([^"\\\n]{1,100})"|'([^'\\\n]{1,100})'|(?<![\w"'-])([A-Za-z_]\w{0,99}))[ \t\r\n]{0,20}:[ \t\r\n]{0,20}""",
)
# A quote inside a text is often not escaped. This one ends it: a comma and a quote follow, or a brace, or nothing.
_NEXT_NAME: Final = r"""(?:"[^"\\\n]{1,100}"[ \t]{0,9}:)"""
_TEXT_END: Final = re.compile(
    rf"""\"(?=[ \t\r\n]{{0,20}}(?:,[ \t\r\n]{{0,20}}(?:["'}}]|\w{{1,100}}[ \t]{{0,9}}:)|{_NEXT_NAME}|[}}\]]|\Z))""",
)
_AFTER_VALUE: Final = re.compile(rf"[ \t\r\n]{{0,100}}(?:[,}}\]]|{_NEXT_NAME}|\Z)")
_BARE_END: Final = re.compile(r"[,}\n\r]")
_LINE_END: Final = re.compile(r"[\n\r]")
_BRACKETS: Final = re.compile(r""""(?:[^"\\]|\\.|\\\Z)*+(?:"|\Z)|[{}\[\]]""", re.DOTALL)
_SINGLE_END: Final = re.compile(r"'(?=[ \t\r\n]{0,20}[,}\]])")
_PART_NAME: Final = re.compile(r'[; ]name="([^"]{1,100})"')
_SAYS_SOMETHING: Final = re.compile(r"\w")


def _or_text(read: Any) -> Any:
    def number(digits: str) -> Any:
        try:
            return read(digits)
        except ValueError:
            return digits

    return number


_TOLERANT: Final = json.JSONDecoder(
    parse_constant=str, parse_float=_or_text(finite), parse_int=_or_text(bounded), strict=False
)


class Understood(NamedTuple):
    """The result: `fields` by name, and in `rest` the text outside of all fields."""

    fields: JSONObject
    rest: str = ""


def understand(text: str, known: Collection[str]) -> Understood:
    """Return the readable fields of text: broken JSON, a form of either kind, or lines of `name: value`.

    Of a name given twice the last value counts, as in JavaScript; the other is in the rest.

    Args:
        text: the body.
        known: the names of a handoff's fields. Text that names none of them is not understood: no fields, no rest.

    >>> understand('{"category": "retiros", "nota": NaN, "reason": "no llegó el', {"category", "reason"}).fields
    {'category': 'retiros', 'nota': 'NaN', 'reason': 'no llegó el'}
    """
    for read in (_multipart, _scan, _form):
        found = read(text, known)
        if not found.fields.keys().isdisjoint(known):
            return found
    return Understood({})


def _multipart(text: str, _known: Collection[str]) -> Understood:
    """Read text as multipart/form-data, whose first line is the boundary. Files in it are left out."""
    boundary = text.partition("\n")[0].rstrip("\r") if text.startswith("--") else ""
    fields: JSONObject = {}
    for part in text.split(boundary)[:FIELDS_MAX] if boundary else ():
        head, _, value = part.partition("\r\n\r\n")
        if (named := _PART_NAME.search(head)) and "filename" not in head:
            fields[named[1]] = value.removesuffix("\r\n")
    return Understood(fields)


def _form(text: str, known: Collection[str]) -> Understood:
    """Read text as `a=1&b=2`; if a name or a value is a JSON object, read that."""
    try:
        pairs = parse_qsl(text, errors="windows-1252", max_num_fields=FIELDS_MAX, keep_blank_values=True)
    except ValueError:
        return Understood({})
    inner = next((part for pair in pairs for part in pair if part.lstrip().startswith("{")), None)
    return Understood(dict(pairs)) if inner is None else _scan(inner, known)


def _scan(text: str, known: Collection[str]) -> Understood:
    fields: JSONObject = {}
    rest: list[str] = []
    bare_end = _BARE_END if "{" in text else _LINE_END
    at = 0
    while len(fields) < FIELDS_MAX and (found := _NAME.search(text, at)):
        name = found[1] or found[2] or found[3]
        if found[3] and name not in known:  # any word before a colon could be one
            rest.append(text[at : found.end()])
            at = found.end()
            continue
        rest.append(text[at : found.start()])
        value, at = _value(text, found.end(), bare_end)
        if name in fields and fields[name] != value:
            rest.append(f"{name}: {fields[name]}")
        fields[name] = value
    rest.append(text[at:])
    unread = " … ".join(part.strip(' \t\r\n,{}[]"') for part in rest if _SAYS_SOMETHING.search(part))
    return Understood(_without_halves(fields) if "\\u" in text else fields, unread[:REST_MAX])


def _value(text: str, at: int, bare_end: re.Pattern[str]) -> tuple[Any, int]:
    """Return the value that begins at `at`, and its end."""
    first, value, end = text[at : at + 1], None, -1
    with suppress(ValueError, RecursionError):
        value, end = _TOLERANT.raw_decode(text, at)
        refuse_depth(value)
        if first in {"{", "["} or _AFTER_VALUE.match(text, end):
            return value, end
    if first in {"{", "["}:  # broken inside, or too deep
        end = _closing(text, at)
        return text[at:end], end
    if first == '"':
        return _loose_text(text, at + 1, max(end - 1, at + 1))
    if first == "'":
        stop = _end(_SINGLE_END, text, at + 1)
        return text[at + 1 : stop], stop + 1
    stop = _end(bare_end, text, at)
    return text[at:stop].strip(), stop


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.search(text, at)
    return found.start() if found else len(text)


def _closing(text: str, at: int) -> int:
    """Return the position of the closing bracket for the one at `at`, or the text's end."""
    depth = 0
    for found in _BRACKETS.finditer(text, at):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(found[0], 0)
        if depth == 0:
            return found.end()
    return len(text)


def _loose_text(text: str, start: int, at: int) -> tuple[str, int]:
    """Return a text with broken or missing quotes; its end is not before `at`."""
    stop = _end(_TEXT_END, text, at)
    return _ESCAPE.sub(_unescaped, text[start:stop]), stop + 1


_ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.)|\Z)", re.DOTALL)
_PLAIN_ESCAPES: Final = {"n": "\n", "r": "\n", "t": "\t", "b": "", "f": "\n"}


def _unescaped(found: re.Match[str]) -> str:
    if found[1]:
        return chr(int(found[1], 16))
    return _PLAIN_ESCAPES.get(found[2], found[2]) if found[2] else ""


def _without_halves(fields: JSONObject) -> JSONObject:
    """Return fields with "?" for every lone surrogate, and with pairs of them joined."""
    dumped = json.dumps(fields, ensure_ascii=True)
    paired: JSONObject = json.loads(dumped)
    sound = json.dumps(paired, ensure_ascii=False).encode("utf-8", "replace")
    again: JSONObject = json.loads(sound)
    return again
