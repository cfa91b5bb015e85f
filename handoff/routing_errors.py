"""Pure: what `routing.toml` says line by line; where it is not TOML, the line to mend and what to write there.

People who do not program edit the file. tomllib tells programmers what it expected; so the line it stumbles over is
looked at once more, for what people really get wrong, and told in plain Spanish.
"""

from __future__ import annotations

import codecs
import json
import re
import tomllib
import unicodedata
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

NOT_UTF8: Final = (
    "el archivo no está guardado en UTF-8: abrilo en el editor, elegí «Guardar como» y, donde dice «Codificación», "
    "guardalo como UTF-8"
)
_HEADER: Final = re.compile(r"^\s*\[+\s*([^\]]+?)\s*\]+")
_QUOTED: Final = re.compile(r'"[^"]*"|\'[^\']*\'')
_CURLY: Final = re.compile("[\u2018-\u201f«»\u00b4`]")  # what word processors and telephones make of " and '
_BARE: Final = re.compile(r"[A-Za-z0-9_.-]+")
_NOT_SLUG: Final = re.compile(r"[^a-z0-9_.-]")
_BETWEEN: Final = re.compile(r"\s+")
_NUMBER: Final = re.compile(r"\d[\d., _]*")
_OPENING: Final = re.compile(r"^[ \t]*[\w-]+[ \t]*=[ \t]*\[", re.MULTILINE)
_PLACE: Final = re.compile(r"\(at line (\d+), column (\d+)\)")
_LONGEST: Final = 80
_BACKSLASH: Final = "la barra invertida \\ se escribe dos veces: \\\\"
_DIGITS: Final = "un número va sólo con sus cifras, sin puntos, comas, letras ni espacios"
_LIST: Final = (
    "la lista no está bien escrita: empieza con [, termina con ], lleva cada texto entre comillas y una coma entre "
    'uno y otro: tags = ["uno", "dos"]'
)


class RoutingFault(NamedTuple):
    """One thing wrong in the routing file: the line (None where no single one is to blame), the key, what to do."""

    line: int | None
    key: str
    message: str

    def __str__(self) -> str:
        where = f"línea {self.line}: " if self.line else ""
        return f"{where}{self.key}: {self.message}" if self.key else f"{where}{self.message}"


class RoutingError(Exception):
    """The routing file is broken; `faults` name every fault by line and key."""

    def __init__(self, faults: tuple[RoutingFault, ...]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


def decoded(content: bytes) -> str:
    """Return the text of a routing file. The mark that Windows' Notepad puts before it is no part of it.

    Raises:
        RoutingError: it is not UTF-8.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        line = None if wide else content.removeprefix(codecs.BOM_UTF8).count(b"\n", 0, error.start) + 1
        raise RoutingError((RoutingFault(line, "", NOT_UTF8),)) from error


def parsed(text: str) -> dict[str, Any]:
    """Return the tables of a routing file.

    Raises:
        RoutingError: it is not TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RoutingError((_fault(text, str(error)),)) from error


def line_of(text: str, path: tuple[str, ...]) -> int | None:
    """Return the line, from 1, of the key at path, or of the nearest table above it that the file writes out."""
    best: tuple[int, int] | None = None
    for number, here in _written(text):
        if path[: len(here)] == here and (best is None or len(here) > best[0]):
            best = (len(here), number)
    inside = (number for number, here in _written(text) if path and here[: len(path)] == path)
    return best[1] if best else next(inside, None)


def slug(name: str) -> str:
    """Return name as the file may write it without quotes.

    >>> slug("Problema Técnico")
    'problema_tecnico'
    """
    letters = unicodedata.normalize("NFKD", _BETWEEN.sub("_", name.strip(" \t\"'")).lower())
    return _NOT_SLUG.sub("", letters)


def _lines(text: str) -> list[str]:
    """Return the lines as TOML counts them: a separator that came with a pasted text begins none."""
    return [line.removesuffix("\r") for line in text.split("\n")]


def _written(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield what each line names: a table, or a key in the table above it."""
    table: tuple[str, ...] = ()
    for number, line in enumerate(_lines(text), start=1):
        if header := _HEADER.match(line):
            table = tuple(part.strip(" \"'") for part in header[1].split("."))
            yield number, table
        elif "=" in line and not line.lstrip().startswith("#"):
            yield number, (*table, line.partition("=")[0].strip(" \t\"'"))


def _fault(text: str, error: str) -> RoutingFault:
    number = _number(text, error)
    if error.startswith("Cannot"):
        return _twice(text, number)
    line = _lines(text)[number - 1]
    advice = _hidden(line) or _curly(line) or _table(line) or _quotes(line) or _name(line, error) or _value(line, error)
    path = next((path for written, path in _written(text) if written == number), ())
    key = ".".join(path) if all(map(_BARE.fullmatch, path)) else ""
    return RoutingFault(number, key, advice)


def _number(text: str, error: str) -> int:
    """Return the line to mend: tomllib tells where it stopped, which may be later."""
    lines = _lines(text)
    place = _PLACE.search(error)
    if place is None:  # at the end: a quote that was not closed, or the last line
        written = [number for number, line in enumerate(lines, start=1) if line.strip()]
        return next((number for number in written if _quotes(lines[number - 1])), written[-1])
    number, column = int(place[1]), int(place[2])
    if error.startswith("Unclosed array"):
        before = "\n".join([*lines[: number - 1], lines[number - 1][: column - 1]])
        opening = [*_OPENING.finditer(before)]
        return before.count("\n", 0, opening[-1].start()) + 1 if opening else number
    return number


def _twice(text: str, number: int) -> RoutingFault:
    first: dict[tuple[str, ...], int] = {}
    found: tuple[int, tuple[str, ...]] | None = None
    for line, path in _written(text):
        if line <= number and first.setdefault(path, line) != line:
            found = (line, path)
    if found is None:
        return RoutingFault(number, "", "este nombre ya está escrito más arriba con otro contenido: dejá uno solo")
    line, path = found
    if _HEADER.match(_lines(text)[line - 1]):
        told = f"la tabla [{'.'.join(path)}] ya está en la línea {first[path]}: juntá las dos en una sola"
    else:
        told = f"«{path[-1]}» ya está escrito en la línea {first[path]}, en la misma tabla: dejá uno solo"
    return RoutingFault(line, ".".join(path), told)


def _unquoted(line: str) -> str:
    """Return the line without its texts and its comment."""
    return _QUOTED.sub("", line).partition("#")[0]


def _hidden(line: str) -> str:
    spaces = any(unicodedata.category(one) in {"Zs", "Cf"} and one != " " for one in _unquoted(line))
    if spaces or any(unicodedata.category(one) == "Cc" and one != "\t" for one in line):
        return "hay un carácter invisible, copiado de otro programa: borrá la línea y escribila de nuevo a mano"
    return ""


def _curly(line: str) -> str:
    if not _CURLY.search(_unquoted(line)):
        return ""
    return f'las comillas tienen que ser rectas ("), no inclinadas (“ ”){_if_right(_CURLY.sub(chr(34), line))}'


def _table(line: str) -> str:
    if not line.lstrip().startswith("["):
        return ""
    name, closed, _ = line.partition("#")[0].strip().lstrip("[").partition("]")
    if not _BARE.fullmatch(name.strip()):
        told = "el nombre entre corchetes va sin acentos, eñes ni espacios"
        return f"{told}: escribí [{slug(name) or 'default'}]"
    if not closed:
        return f"falta el corchete que cierra: escribí [{name.strip()}]"
    return f"la línea tiene que decir sólo [{name.strip()}]; si sobra un comentario, empezalo con #"


def _quotes(line: str) -> str:
    rest = _unquoted(line)
    if line.lstrip().startswith("#") or ('"' not in rest and "'" not in rest):
        return ""
    left, _, right = line.partition("#")[0].partition("=")
    mended = "" if "[" in right else f"{left.strip()} = {_in_quotes(right)}"
    return f"falta una comilla: cada texto va entre dos comillas rectas{_if_right(mended)}"


def _name(line: str, error: str) -> str:
    left, equals, _ = line.partition("=")
    name = left.strip()
    if not equals and error.startswith("Invalid value"):
        return _LIST
    if not equals:
        return 'falta el signo =, como en priority = "medium"; si es un comentario, empezá la línea con #'
    if not name:
        return 'falta el nombre a la izquierda del =, como en priority = "medium"'
    if not _BARE.fullmatch(name) and not _QUOTED.fullmatch(name):
        return f"el nombre a la izquierda del = va sin acentos, eñes ni espacios: escribí {slug(name) or 'otro'}"
    return ""


def _value(line: str, error: str) -> str:
    left, _, right = line.partition("=")
    name, value = left.strip(), right.partition("#")[0].strip()
    if not value:
        return f'falta el valor después del =; un texto va entre comillas: {name} = "…"'
    if value.startswith("["):
        return _LIST
    if value.startswith("{"):
        return 'entre llaves va así: custom_fields = { cf_pais = "Argentina" }'
    if value.startswith(('"', "'")):
        escaped = "\\" in value and "newline" not in error
        return _BACKSLASH if escaped else "después del valor sobra algo: borralo; si es un comentario, empezalo con #"
    return _bare_value(name, value)


def _bare_value(name: str, value: str) -> str:
    if value.lower() in {"true", "false"}:
        return f"se escribe en minúsculas: {name} = {value.lower()}"
    if _NUMBER.fullmatch(value):
        digits = re.sub(r"\D", "", value).lstrip("0") or "0"
        return f"{_DIGITS}{_if_right(f'{name} = {digits}')}"
    if name.endswith("_id"):
        return _DIGITS
    return f"un texto va entre comillas rectas{_if_right(f'{name} = {_in_quotes(value)}')}"


def _in_quotes(value: str) -> str:
    return json.dumps(value.strip(" \t\"'"), ensure_ascii=False)


def _if_right(line: str) -> str:
    """Propose a line, if it is one that TOML takes and no more than a glance long."""
    try:
        right = bool(tomllib.loads(line))
    except tomllib.TOMLDecodeError:
        right = False
    return f": escribí {line.strip()}" if right and len(line) <= _LONGEST else ""
