"""Pure: what the schema finds wrong in `routing.toml`, told in plain Spanish with what to write instead."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Final

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError

from handoff.routing_errors import slug

Found = tuple[tuple[str, ...], str]  # the path of a key, and what is wrong there
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
        "desk": 'desk = "corporativo"',
        "url": 'url = "https://corporativo.freshdesk.com"',
    },
)
# What people write where the file wants Freshdesk's English word; the first that may stand there is proposed.
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


def _is_integer(_: object, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(_: object, value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


# To jsonschema 1.07e12 is an integer; Freshdesk would be sent 1070000000000.0. JSON has no inf and no nan.
_extend: Any = validators.extend  # jsonschema gives it no types
_Validator: Any = _extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many({"integer": _is_integer, "number": _is_number}),
)


def schema_faults(table: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Found]:
    """Yield what is wrong by the schema, each thing once."""
    errors = _Validator(schema).iter_errors(table)
    yield from dict.fromkeys(found for error in errors for found in _explained(error))


def _explained(error: ValidationError) -> Iterator[Found]:
    path = tuple(part for part in error.path if isinstance(part, str))
    value: Any = error.instance
    told = str(error.validator)
    if "propertyNames" in error.schema_path:
        yield (*path, value), _wrong_name(error)
    elif told == "required":
        rule: Any = error.validator_value
        yield from ((path, f"falta «{name}»: agregá {_EXAMPLES[name]}") for name in rule if name not in value)
    elif told == "additionalProperties":
        yield from (((*path, name), _unknown(name, error)) for name in value if name not in _allowed(error))
    elif not _told_already(error):
        places = [part for part in error.path if isinstance(part, int)]
        where = f"el valor {places[0] + 1} de la lista " if places else ""
        yield path, where + _wrong_value(error, path[-1] if path and not places else "")


def _told_already(error: ValidationError) -> bool:
    """Tell whether it is the second fault of a text that is empty, or of a number that is not whole."""
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
    mend = f"quizás quisiste escribir «{meant[0]}»" if meant else "borrá la línea"
    return f"«{_cut(name)}» no se conoce acá; {mend}. Se puede poner: {', '.join(allowed)}"


def _wrong_name(error: ValidationError) -> str:
    name: Any = error.instance
    rule: Any = error.validator_value
    if error.validator == "maxLength":
        return f"el nombre es demasiado largo: hasta {rule} caracteres"
    better = slug(name).replace(".", "_")
    told = "el nombre va en minúsculas, sin acentos, eñes ni espacios"
    return f"{told}: escribí {better}" if better and _is_short(better) else told


def _wrong_value(error: ValidationError, key: str) -> str:
    """Say what is wrong and what to write instead; a long value is not repeated."""
    value: Any = error.instance
    rule: Any = error.validator_value
    told: dict[str, Callable[[], str]] = {
        "enum": lambda: _choice(value, rule, key),
        "type": lambda: _kind(value, rule, key),
        "pattern": lambda: _pattern(value, key),
        "minimum": lambda: f"tiene que ser {rule} o más; escribí el número que muestra Freshdesk",
        "maximum": lambda: f"es un número demasiado grande (hasta {rule}); escribí el que muestra Freshdesk",
        "minLength": lambda: "está vacío: escribí el texto entre las comillas, o borrá la línea",
        "maxLength": lambda: f"es demasiado largo: tiene {len(value)} caracteres y van hasta {rule}; acortalo",
        "minProperties": lambda: f"falta al menos uno: agregá {_EXAMPLES.get(key, '')}",
    }
    return told.get(str(error.validator), lambda: f"hay {len(value)} y van hasta {rule}; borrá los que sobran")()


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
        mended = assigned + _toml(str(value)) if simple else _EXAMPLES.get(key, '"…"')
        return f"tiene que ser un texto entre comillas: {mended}"
    if kind == "array":
        mended = f"{assigned}[{_toml(value)}]" if simple else _EXAMPLES[key]
        return f"tiene que ser una lista entre corchetes: {mended}"
    if kind == "object":
        mended = _EXAMPLES.get(key, f"una línea entre corchetes que termina en .{key}]")
        return f"tiene que ser una tabla, no un valor suelto; se escribe así: {mended}"
    return "tiene que ser un texto entre comillas, un número, true o false"


def _whole_number(value: object, assigned: str, key: str) -> str:
    digits = value.strip() if isinstance(value, str) else ""
    if digits.isdecimal() and _is_short(digits):
        return f"el número va sin comillas: {assigned}{digits}"
    if isinstance(value, float) and value.is_integer() and _is_short(str(int(value))):
        return f"el número va sin punto ni exponente: {assigned}{int(value)}"
    return f"tiene que ser un número entero, sin comillas ni punto: {_EXAMPLES[key]}"


def _pattern(value: str, key: str) -> str:
    if key == "fallback_requester":
        return f"{_toml(value)} no es una dirección de correo: escribí, por ejemplo, {_EXAMPLES[key]}"
    if key == "subject":
        return f"entre llaves puede llevar sólo {_FIELDS}, tal cual; por ejemplo {_EXAMPLES[key]}"
    better = slug(value).replace(".", "_")
    told = "va en minúsculas, sin acentos, eñes ni espacios"
    return f"{told}: escribí {key} = {_toml(better)}" if better else f"{told}, como {_EXAMPLES[key]}"


def _toml(value: object) -> str:
    """Return a value as the file writes it, the end of a long one left out."""
    if isinstance(value, str):
        return json.dumps(_cut(value), ensure_ascii=False)
    return _cut(str(value).lower() if isinstance(value, bool) else str(value))


def _is_short(text: str) -> bool:
    return len(text) <= _SHORT


def _cut(text: str) -> str:
    return text if _is_short(text) else f"{text[:_SHORT]}…"
