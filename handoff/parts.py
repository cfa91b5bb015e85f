"""Pure: the parts of a request that are lists or objects: files, values for the help desk's fields, tags.

None of them ever refuses a handoff. What cannot be used is given back under its place in the request (`fields.x`), and
is shown to the agent as it came.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from handoff.sanitize import clean, cut, is_placeholder, one_line

FILES_MAX: Final = 10
URL_MAX: Final = 2_000
FILE_NAME_MAX: Final = 120
FIELDS_MAX: Final = 50
VALUE_MAX: Final = 500
TAGS_MAX: Final = 10
TAG_MAX: Final = 32
_MEDIA_TYPE: Final = re.compile(r"[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,80}")
_NO_PART_OF_A_NAME: Final = re.compile(r'[\x00-\x1f<>:"/\\|?*]+')
UNUSABLE: Final = " (?)"  # follows the name of what only the agent can make sense of
_SIZE_MAX: Final = 10**12

Value = str | int | float | bool
Unusable = tuple[str, Any]


class Attachment(NamedTuple):
    """A file that the person sent. Only `url` is certain; `size` is in bytes, 0 where nobody said it."""

    url: str
    name: str = ""
    type: str = ""
    size: int = 0

    @property
    def shown_as(self) -> str:
        """The name an agent reads: the one that came with it, else the end of its address."""
        last = urlsplit(self.url).path.rpartition("/")[2]
        return self.name or file_name(last) or "archivo"

    @property
    def digest(self) -> str:
        """16 characters that stand for the file: its address without the query, which may be signed anew each time."""
        return digest_of(self.url)


class Parts(NamedTuple):
    """What a request says in lists and objects, and what of it cannot be used."""

    attachments: tuple[Attachment, ...] = ()
    fields: tuple[tuple[str, Value], ...] = ()
    tags: tuple[str, ...] = ()
    unusable: tuple[Unusable, ...] = ()


def digest_of(url: str) -> str:
    """Return 16 characters that stand for the file at url; its query does not count."""
    address = url.partition("#")[0].partition("?")[0]
    return base64.b32encode(hashlib.sha256(address.encode()).digest()).decode()[:16]


def read_parts(sent: dict[str, Any]) -> Parts:
    """Return what `attachments`, `fields` and `tags` of a request say."""
    unusable: list[Unusable] = []
    return Parts(
        attachments=tuple({one.digest: one for one in _attachments(sent.get("attachments"), unusable)}.values()),
        fields=tuple(_fields(sent.get("fields"), unusable)),
        tags=tuple(dict.fromkeys(_tags(sent.get("tags"), unusable))),
        unusable=tuple((name + UNUSABLE, value) for name, value in unusable),
    )


def file_name(text: str) -> str:
    """Return text as a file name: one line without a path, control characters or what Windows does not take.

    >>> file_name("../../etc/passwd"), file_name("comprobante (1).jpg"), file_name(" . ")
    ('passwd', 'comprobante (1).jpg', '')
    """
    last = one_line(clean(text)).replace("\\", "/").rpartition("/")[2]
    name = _NO_PART_OF_A_NAME.sub("_", last).strip(". ")
    stem, dot, extension = name.rpartition(".")
    room = FILE_NAME_MAX - len(dot + extension)
    return name if len(name) <= FILE_NAME_MAX or room < 1 else stem[:room] + dot + extension


def _attachments(value: Any, unusable: list[Unusable]) -> Iterator[Attachment]:
    entries = _listed("attachments", value, unusable)
    for number, entry in enumerate(entries):
        url = entry.get("url") if isinstance(entry, dict) else None
        if number < FILES_MAX and isinstance(entry, dict) and isinstance(url, str) and _is_web_address(url):
            name, media_type, size = entry.get("name"), entry.get("type"), entry.get("size")
            is_size = isinstance(size, int) and not isinstance(size, bool) and 0 < size < _SIZE_MAX
            is_type = isinstance(media_type, str) and _MEDIA_TYPE.fullmatch(media_type.strip().casefold())
            yield Attachment(
                url=url.strip(),
                name=file_name(name)[:FILE_NAME_MAX] if isinstance(name, str) and not is_placeholder(name) else "",
                type=str(media_type).strip().casefold() if is_type else "",
                size=int(size) if is_size else 0,  # type: ignore[arg-type]  # is_size says that it is one
            )
        elif entry not in (None, "", {}):
            unusable.append((f"attachments[{number}]", entry))


def _fields(value: Any, unusable: list[Unusable]) -> Iterator[tuple[str, Value]]:
    if value in (None, "", {}, []) or (isinstance(value, str) and is_placeholder(value)):
        return
    if not isinstance(value, dict):
        unusable.append(("fields", value))
        return
    count = 0
    for sent, one in value.items():
        name = cut(one_line(clean(sent)), 80)
        text = clean(one) if isinstance(one, str) else one
        if text is None or text == "" or (isinstance(text, str) and is_placeholder(text)):
            continue
        if not isinstance(text, Value) or count == FIELDS_MAX:
            unusable.append((f"fields.{name}", one))
            continue
        count += 1
        yield name, cut(text, VALUE_MAX) if isinstance(text, str) else text


def _tags(value: Any, unusable: list[Unusable]) -> Iterator[str]:
    entries = value.split(",") if isinstance(value, str) else _listed("tags", value, unusable)
    count = 0
    for number, entry in enumerate(entries):
        is_text = isinstance(entry, str | int) and not isinstance(entry, bool)
        tag = one_line(clean(str(entry).replace(",", " ")))[:TAG_MAX].strip() if is_text else ""
        if not is_text or count == TAGS_MAX:
            unusable.append((f"tags[{number}]", entry))
        elif tag and not is_placeholder(tag):
            count += 1
            yield tag


def _listed(name: str, value: Any, unusable: list[Unusable]) -> list[Any]:
    if isinstance(value, list):
        return value
    if value not in (None, "", {}) and not (isinstance(value, str) and is_placeholder(value)):
        unusable.append((name, value))
    return []


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return False
    plain = url.isprintable() and not re.search(r"[\s\"'<>\\]", url.strip()) and len(url) <= URL_MAX
    return plain and parts.scheme in {"http", "https"} and bool(parts.hostname)
