"""Pure: says at once that an ordinary object obeys a schema, so that only the others are walked through by jsonschema.

It can only say yes. Whatever it does not know (a keyword, a value that is not a string) is left to the validator, so
editing the schema can make it useless, never wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, cast

_REMARKS: Final = frozenset({"description", "format", "title", "$schema", "$id", "$defs", "x-cut-at", "x-keep"})
_TEXT_RULES: Final = frozenset({"type", "minLength", "maxLength", "pattern"})
_OBJECT_RULES: Final = frozenset({"type", "required", "properties", "maxProperties", "additionalProperties"})
_UNKNOWN: Final[Mapping[str, Any]] = {"not": {}}

Rule = Mapping[str, Any]


class _Text(NamedTuple):
    """What a string must be."""

    least: int
    most: float
    pattern: re.Pattern[str]

    def takes(self, value: object) -> bool:
        fits = isinstance(value, str) and self.least <= len(value) <= self.most
        return fits and self.pattern.search(cast("str", value)) is not None


class _Object(NamedTuple):
    """What an object must be; a property that is None here may hold what only the validator can judge."""

    required: frozenset[str]
    properties: Mapping[str, _Text | None]
    most: float

    def takes(self, given: Mapping[str, Any]) -> bool:
        if len(given) > self.most or not self.required <= given.keys():
            return False
        named = ((rule, given[name]) for name, rule in self.properties.items() if name in given)
        return all(rule is not None and rule.takes(value) for rule, value in named)


class PlainCheck:
    """Knows objects of strings that a schema certainly takes."""

    def __init__(self, schema: Rule) -> None:
        rest = {name: rule for name, rule in schema.items() if name != "anyOf"}
        self._whole = _object(rest, schema)
        self._ways = [_object(way, schema) for way in schema.get("anyOf", ({},))]

    def takes(self, given: Mapping[str, Any]) -> bool:
        """Tell whether given certainly obeys the schema; False says nothing."""
        whole = self._whole is not None and self._whole.takes(given)
        return whole and any(way is not None and way.takes(given) for way in self._ways)


def _object(rule: Rule, schema: Rule) -> _Object | None:
    if not rule.keys() <= _REMARKS | _OBJECT_RULES or rule.get("type", "object") != "object":
        return None
    if rule.get("additionalProperties", True) is not True:
        return None
    properties = {name: _text(one, schema) for name, one in rule.get("properties", {}).items()}
    return _Object(frozenset(rule.get("required", ())), properties, rule.get("maxProperties", float("inf")))


def _text(rule: Rule, schema: Rule) -> _Text | None:
    """Return what rule asks of a string; of several ways the first will do."""
    if rule.keys() <= {"description", "$ref"} and "$ref" in rule:
        return _text(schema.get("$defs", {}).get(rule["$ref"].removeprefix("#/$defs/"), _UNKNOWN), schema)
    if rule.keys() <= {"description", "anyOf"} and "anyOf" in rule:
        return _text(rule["anyOf"][0], schema)
    types = rule.get("type", "string")
    if not rule.keys() <= _REMARKS | _TEXT_RULES or "string" not in ([types] if isinstance(types, str) else types):
        return None
    return _Text(rule.get("minLength", 0), rule.get("maxLength", float("inf")), re.compile(rule.get("pattern", "")))
