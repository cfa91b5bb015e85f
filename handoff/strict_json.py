"""Pure: bytes → one JSON object. Lenient about compression and encoding, strict about the JSON."""

from __future__ import annotations

import codecs
import json
import re
import zlib
from collections.abc import Iterable
from typing import Any, Final, NoReturn

JSONObject = dict[str, Any]

BODY_MAX: Final = 256 * 1024  # bytes, both as sent and unpacked
INTEGER_DIGITS_MAX: Final = 400
DEPTH_MAX: Final = 100  # later steps have less stack left than the parser had
_CHUNK: Final = 1024
_GZIP: Final = b"\x1f\x8b"
_ZLIB: Final = b"\x78"
_WIDE: Final = frozenset({"utf-16-be", "utf-16-le", "utf-32-be", "utf-32-le"})  # without a byte-order mark
_HEAD: Final = 400  # bytes
_ZEROS_SHARE: Final = 3  # in text of Western languages every second byte of UTF-16 is zero
_CHARSET: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")  # nothing else reaches Python's search for codecs
_ONE_BYTE: Final = re.compile(r"iso8859-\d{1,2}|cp125\d|cp437|cp85\d|koi8-[ru]|mac-roman")


class MalformedJSON(Exception):
    """The body is not one JSON object. The error's text is for the log: it contains nothing that the caller sent."""


class BodyTooLarge(Exception):
    """The body is longer than BODY_MAX, as sent or unpacked; its beginning is in `head`."""

    def __init__(self, head: bytes) -> None:
        super().__init__(f"more than {BODY_MAX} bytes")
        self.head = head


def _as_windows_1252(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error("windows-1252", _as_windows_1252)


def unpacked(raw: bytes, encoding: str = "") -> bytes:
    """Return raw, unpacked if it is gzip (by its first bytes) or if `Content-Encoding` is deflate.

    What is damaged is unpacked up to the damage; what is not packed at all comes back as it is.

    Raises:
        BodyTooLarge: more than BODY_MAX bytes come out; no more than that is ever unpacked.
    """
    if raw.startswith(_GZIP):
        window = 16 + zlib.MAX_WBITS
    elif encoding == "deflate" and not raw.startswith(b"{"):
        window = zlib.MAX_WBITS if raw.startswith(_ZLIB) else -zlib.MAX_WBITS  # many senders omit the zlib header
    else:
        return raw
    unpacker = zlib.decompressobj(window)
    out = b""
    for at in range(0, len(raw), _CHUNK):
        try:
            out += unpacker.decompress(raw[at : at + _CHUNK], BODY_MAX + 1 - len(out))
        except zlib.error:
            break
        if len(out) > BODY_MAX:
            raise BodyTooLarge(out[:BODY_MAX])
    return out or raw


def decode(raw: bytes, charset: str = "") -> str:
    """Return the text of raw. Never raises.

    A byte-order mark decides, then the zero bytes of UTF-16 and UTF-32, then charset where Python knows it as a
    one-byte encoding, else it is UTF-8. Bytes that do not fit are read as Windows-1252.

    >>> decode("ñ".encode()), decode("ñ".encode("latin-1")), decode("ñ".encode("cp850"), "cp850")
    ('ñ', 'ñ', 'ñ')
    """
    encoding: str = json.detect_encoding(raw)
    head = raw[:_HEAD]
    if encoding in _WIDE and head.count(0) * _ZEROS_SHARE < len(head):  # Python checks the first four bytes only
        encoding = "utf-8"
    if encoding == "utf-8":
        encoding = _one_byte(charset) or encoding
    return raw.decode(encoding, "windows-1252")


def _one_byte(charset: str) -> str:
    """Return Python's name of a one-byte encoding, "" for any other charset."""
    try:
        name = codecs.lookup(charset).name if _CHARSET.fullmatch(charset) else ""
    except LookupError:
        return ""
    # https://encoding.spec.whatwg.org/#names-and-labels: the label ISO-8859-1 means Windows-1252
    return "cp1252" if name == "iso8859-1" else name if _ONE_BYTE.fullmatch(name) else ""


def parse_body(raw: bytes, charset: str = "") -> JSONObject:
    """Read raw as one JSON object: no duplicate names, no NaN, limited depth and length. See `decode` for charset.

    An object that was made a JSON string once more is read as the object.

    Raises:
        MalformedJSON: for anything else; Python's own reader takes more than RFC 8259 allows.

    >>> parse_body(b'{"category": "retiros"}')
    {'category': 'retiros'}
    """
    text = decode(raw, charset)
    try:
        value = _STRICT.decode(text)
        if isinstance(value, str):
            value = _STRICT.decode(value)
        refuse_depth(value)
        if "\\u" in text:  # only an escape can hide a lone surrogate, which would break every later step
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise MalformedJSON(type(error).__name__) from error
    if not isinstance(value, dict):
        raise MalformedJSON("not an object")
    return value


def refuse_depth(value: Any) -> None:
    """Raise ValueError if value is nested deeper than DEPTH_MAX."""
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


def finite(digits: str) -> float:
    """Return the number, or raise ValueError if it is too large."""
    number = float(digits)
    if number in {float("inf"), float("-inf")}:
        raise ValueError("number too large")
    return number


def bounded(digits: str) -> int:
    """Return the integer, or raise ValueError if it has more than INTEGER_DIGITS_MAX digits."""
    if len(digits) > INTEGER_DIGITS_MAX:
        raise ValueError("number too long")
    return int(digits)


_STRICT: Final = json.JSONDecoder(
    object_pairs_hook=_distinct,
    parse_constant=_refuse_constant,
    parse_float=finite,
    parse_int=bounded,
)
