"""Pure: explains every mistake in `routing.toml` in plain Spanish: the line to correct and what to write there.

People who do not program edit the file; the messages of tomllib and jsonschema are written for programmers.
`routing` imports this module only if the file has a mistake.
"""

from __future__ import annotations

import codecs
import json
import re
import tomllib
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Final

from jsonschema.exceptions import ValidationError

Fault = tuple[int | None, str, str]  # the line, from 1 (None: no single one), the key, what to do
Found = tuple[tuple[str, ...], str]  # the path of a key, and what is wrong there

NOT_UTF8: Final = (
    "el archivo no está guardado en UTF-8: abrilo en el editor, elegí «Guardar como» y, donde dice «Codificación», "
    "guardalo como UTF-8"
)
_HEADER: Final = re.compile(r"^\s*\[+\s*([^\]]+?)\s*\]+")
_QUOTED: Final = re.compile(r'"[^"]*"|\'[^\']*\'')
_CURLY: Final = re.compile("[\u2018-\u201f«»\u00b4`]")  # what word processors and phones write instead of " and '
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


def explain_encoding(error: UnicodeDecodeError) -> Fault:
    """Return the fault of a file that is not UTF-8."""
    content = error.object
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    line = None if wide else content.removeprefix(codecs.BOM_UTF8).count(b"\n", 0, error.start) + 1
    return line, "", NOT_UTF8


def line_of(text: str, path: tuple[str, ...]) -> int | None:
    """Return the line, from 1, of the key at path, or of the nearest table around it that has a line."""
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
    """Return the lines as TOML counts them: a Unicode line separator in a pasted text starts none."""
    return [line.removesuffix("\r") for line in text.split("\n")]


def _written(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the path that each line names: a table, or a key in the table above it."""
    table: tuple[str, ...] = ()
    for number, line in enumerate(_lines(text), start=1):
        if header := _HEADER.match(line):
            table = tuple(part.strip(" \"'") for part in header[1].split("."))
            yield number, table
        elif "=" in line and not line.lstrip().startswith("#"):
            yield number, (*table, line.partition("=")[0].strip(" \t\"'"))


def explain_syntax(text: str, error: str) -> Fault:
    """Return the fault of a file that is not TOML; error is the message of tomllib."""
    number = _number(text, error)
    if error.startswith("Cannot"):
        return _twice(text, number)
    line = _lines(text)[number - 1]
    advice = _hidden(line) or _curly(line) or _table(line) or _quotes(line) or _name(line, error) or _value(line, error)
    path = next((path for written, path in _written(text) if written == number), ())
    key = ".".join(path) if all(map(_BARE.fullmatch, path)) else ""
    return (number, key, advice)


def _number(text: str, error: str) -> int:
    """Return the line to correct: tomllib says where it stopped, which may be later."""
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


def _twice(text: str, number: int) -> Fault:
    first: dict[tuple[str, ...], int] = {}
    found: tuple[int, tuple[str, ...]] | None = None
    for line, path in _written(text):
        if line <= number and first.setdefault(path, line) != line:
            found = (line, path)
    if found is None:
        return (number, "", "este nombre ya está escrito más arriba con otro contenido: dejá uno solo")
    line, path = found
    if _HEADER.match(_lines(text)[line - 1]):
        message = f"la tabla [{'.'.join(path)}] ya está en la línea {first[path]}: juntá las dos en una sola"
    else:
        message = f"«{path[-1]}» ya está escrito en la línea {first[path]}, en la misma tabla: dejá uno solo"
    return (line, ".".join(path), message)


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
    return f'las comillas tienen que ser rectas ("), no inclinadas (“ ”){_if_valid(_CURLY.sub(chr(34), line))}'


def _table(line: str) -> str:
    if not line.lstrip().startswith("["):
        return ""
    name, closed, _ = line.partition("#")[0].strip().lstrip("[").partition("]")
    if not _BARE.fullmatch(name.strip()):
        message = "el nombre entre corchetes va sin acentos, eñes ni espacios"
        return f"{message}: escribí [{slug(name) or 'default'}]"
    if not closed:
        return f"falta el corchete que cierra: escribí [{name.strip()}]"
    return f"la línea tiene que decir sólo [{name.strip()}]; si sobra un comentario, empezalo con #"


def _quotes(line: str) -> str:
    rest = _unquoted(line)
    if line.lstrip().startswith("#") or ('"' not in rest and "'" not in rest):
        return ""
    left, _, right = line.partition("#")[0].partition("=")
    corrected = "" if "[" in right else f"{left.strip()} = {_in_quotes(right)}"
    return f"falta una comilla: cada texto va entre dos comillas rectas{_if_valid(corrected)}"


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
        return f"{_DIGITS}{_if_valid(f'{name} = {digits}')}"
    if name.endswith("_id"):
        return _DIGITS
    return f"un texto va entre comillas rectas{_if_valid(f'{name} = {_in_quotes(value)}')}"


def _in_quotes(value: str) -> str:
    return json.dumps(value.strip(" \t\"'"), ensure_ascii=False)


def _if_valid(line: str) -> str:
    """Return the proposal of a line, if it is valid TOML and short, else ""."""
    try:
        valid = bool(tomllib.loads(line))
    except tomllib.TOMLDecodeError:
        valid = False
    return f": escribí {line.strip()}" if valid and len(line) <= _LONGEST else ""


_SHORT: Final = 40
_AT_THE_TOP: Final = ("default_bot", "fallback_requester")
_EXAMPLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "default_bot": 'default_bot = "betsur"',
        "fallback_requester": 'fallback_requester = "pedidos@tuempresa.com"',
        "default": "[default]",
        "bots": "[bots.betsur]",
        "categories": "[categories.retiros]",
        "desks": "[desks.corporativo]",
        "group_id": "group_id = 1070000000109",
        "group": 'group = "Pagos"',
        "priority": 'priority = "medium"',
        "name": 'name = "Betsur"',
        "label": 'label = "Retiros"',
        "aliases": 'aliases = ["retiro", "cobro"]',
        "type": 'type = "Consulta"',
        "tags": 'tags = ["sensible"]',
        "subject": 'subject = "{category}: {reason}"',
        "source": "source = 2",
        "product_id": "product_id = 1070000000201",
        "responder_id": "responder_id = 1070000000301",
        "email_config_id": "email_config_id = 1070000000401",
        "custom_fields": 'custom_fields = { cf_pais = "Argentina" }',
        "fields": "[fields]",
        "field": 'field = "cf_numero_de_apuesta"',
        "choices": 'choices = ["Transferencia", "Tarjeta"]',
        "messengers": 'messengers = ["whatsapp", "telegram"]',
        "desk": 'desk = "corporativo"',
        "url": 'url = "https://corporativo.freshdesk.com"',
    },
)
# Spanish words that people write for Freshdesk's English ones; the first one allowed there is proposed.
_MEANT: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "alias": ("aliases",),
        "agente": ("responder_id",),
        "asunto": ("subject",),
        "categorias": ("categories",),
        "etiqueta": ("tags",),
        "etiquetas": ("tags",),
        "grupo": ("group",),
        "nombre": ("name", "label"),
        "origen": ("source",),
        "prioridad": ("priority",),
        "producto": ("product_id",),
        "tipo": ("type",),
    },
)
_PRIORITIES: Final = MappingProxyType(
    {"baja": "low", "media": "medium", "normal": "medium", "alta": "high", "urgente": "urgent"}
)
_FIELDS: Final = "{category}, {reason}, {bot} y {name}"


def explain_schema(errors: Iterable[ValidationError]) -> Iterator[Found]:
    """Yield the faults that the schema finds, each once."""
    yield from dict.fromkeys(found for error in errors for found in _explained(error))


def _explained(error: ValidationError) -> Iterator[Found]:
    path = tuple(part for part in error.path if isinstance(part, str))
    value: Any = error.instance
    rule_name = str(error.validator)
    if "propertyNames" in error.schema_path:
        yield (*path, value), _wrong_name(error)
    elif rule_name == "required":
        rule: Any = error.validator_value
        yield from ((path, f"falta «{name}»: agregá {_EXAMPLES[name]}") for name in rule if name not in value)
    elif rule_name == "additionalProperties":
        yield from (((*path, name), _unknown(name, error)) for name in value if name not in _allowed(error))
    elif not _is_second_fault(error):
        places = [part for part in error.path if isinstance(part, int)]
        where = f"el valor {places[0] + 1} de la lista " if places else ""
        yield path, where + _wrong_value(error, path[-1] if path and not places else "")


def _is_second_fault(error: ValidationError) -> bool:
    """Return True if the error only repeats another one: an empty text, or a number that is not whole."""
    schema: Any = error.schema
    empty = error.validator == "pattern" and error.instance == "" and "minLength" in schema
    return empty or (error.validator in {"minimum", "maximum"} and isinstance(error.instance, float))


def _allowed(error: ValidationError) -> list[str]:
    schema: Any = error.schema
    return list(schema["properties"])


def _unknown(name: str, error: ValidationError) -> str:
    allowed = _allowed(error)
    if name in _AT_THE_TOP:
        return f"«{name}» va al principio del archivo, antes de la primera línea con corchetes"
    meant = [word for word in _MEANT.get(slug(name), ()) if word in allowed] or get_close_matches(
        slug(name), allowed, 1
    )
    proposal = f"quizás quisiste escribir «{meant[0]}»" if meant else "borrá la línea"
    return f"«{_cut(name)}» no se conoce acá; {proposal}. Se puede poner: {', '.join(allowed)}"


def _wrong_name(error: ValidationError) -> str:
    name: Any = error.instance
    rule: Any = error.validator_value
    if error.validator == "maxLength":
        return f"el nombre es demasiado largo: hasta {rule} caracteres"
    better = slug(name).replace(".", "_")
    message = "el nombre va en minúsculas, sin acentos, eñes ni espacios"
    return f"{message}: escribí {better}" if better and _is_short(better) else message


def _wrong_value(error: ValidationError, key: str) -> str:
    """Say what is wrong and what to write instead; a long value is not repeated."""
    value: Any = error.instance
    rule: Any = error.validator_value
    sentences: dict[str, Callable[[], str]] = {
        "enum": lambda: _choice(value, rule, key),
        "type": lambda: _kind(value, rule, key),
        "pattern": lambda: _pattern(value, key, rule),
        "minimum": lambda: f"tiene que ser {rule} o más; escribí el número que muestra Freshdesk",
        "maximum": lambda: f"es un número demasiado grande (hasta {rule}); escribí el que muestra Freshdesk",
        "minLength": lambda: "está vacío: escribí el texto entre las comillas, o borrá la línea",
        "maxLength": lambda: f"es demasiado largo: tiene {len(value)} caracteres y van hasta {rule}; acortalo",
        "minProperties": lambda: f"falta al menos uno: agregá {_EXAMPLES.get(key, '')}",
    }
    return sentences.get(str(error.validator), lambda: f"hay {len(value)} y van hasta {rule}; borrá los que sobran")()


def _choice(value: object, choices: list[str], key: str) -> str:
    word = slug(value) if isinstance(value, str) else ""
    meant = _PRIORITIES.get(word, word)
    listed = ", ".join(map(_toml, choices))
    if meant in choices:
        return f"{_toml(value)} no vale: escribí {key} = {_toml(meant)}. Las opciones son {listed}"
    return f"{_toml(value)} no vale: escribí una de estas opciones: {listed}"


def _kind(value: object, kind: str | list[str], key: str) -> str:
    assigned = f"{key} = " if key else ""
    simple = isinstance(value, str | int | float) and _is_short(str(value))
    if kind == "integer":
        return _whole_number(value, assigned, key)
    if kind == "string":
        corrected = assigned + _toml(str(value)) if simple else _EXAMPLES.get(key, '"…"')
        return f"tiene que ser un texto entre comillas: {corrected}"
    if kind == "array":
        corrected = f"{assigned}[{_toml(value)}]" if simple else _EXAMPLES[key]
        return f"tiene que ser una lista entre corchetes: {corrected}"
    if kind == "object":
        corrected = _EXAMPLES.get(key, f"una línea entre corchetes que termina en .{key}]")
        return f"tiene que ser una tabla, no un valor suelto; se escribe así: {corrected}"
    if "object" in kind:
        return f'tiene que ser el nombre del campo en Freshdesk, entre comillas: {key} = "cf_{slug(key)}"'
    return "tiene que ser un texto entre comillas, un número, true o false"


def _whole_number(value: object, assigned: str, key: str) -> str:
    digits = value.strip() if isinstance(value, str) else ""
    if digits.isdecimal() and _is_short(digits):
        return f"el número va sin comillas: {assigned}{digits}"
    if isinstance(value, float) and value.is_integer() and _is_short(str(int(value))):
        return f"el número va sin punto ni exponente: {assigned}{int(value)}"
    return f"tiene que ser un número entero, sin comillas ni punto: {_EXAMPLES[key]}"


def _pattern(value: str, key: str, rule: str) -> str:
    if rule.startswith("^cf_"):
        better = f"cf_{slug(value).removeprefix('cf_')}"
        return f"es el nombre del campo en Freshdesk, que empieza con cf_: escribí {key} = {_toml(better)}"
    if key == "fallback_requester":
        return f"{_toml(value)} no es una dirección de correo: escribí, por ejemplo, {_EXAMPLES[key]}"
    if key == "subject":
        return f"entre llaves puede llevar sólo {_FIELDS}, tal cual; por ejemplo {_EXAMPLES[key]}"
    better = slug(value).replace(".", "_")
    message = "va en minúsculas, sin acentos, eñes ni espacios"
    return f"{message}: escribí {key} = {_toml(better)}" if better else f"{message}, como {_EXAMPLES[key]}"


def _toml(value: object) -> str:
    """Return a value as the file writes it, cut if it is long."""
    if isinstance(value, str):
        return json.dumps(_cut(value), ensure_ascii=False)
    return _cut(str(value).lower() if isinstance(value, bool) else str(value))


def _is_short(text: str) -> bool:
    return len(text) <= _SHORT


def _cut(text: str) -> str:
    return text if _is_short(text) else f"{text[:_SHORT]}…"
