"""The short way round the schema says yes only where the schema does, and says it for the handoffs bots really send."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from handoff.inbound import schema
from handoff.plain_check import PlainCheck

SCHEMA = schema()
VALIDATOR = Draft202012Validator(SCHEMA)
CHECK = PlainCheck(SCHEMA)
ORDINARY = {
    "bot": "betsur",
    "category": "retiros",
    "user_email": "ana@example.com",
    "user_phone": "+54 9 11 5555-0000",
    "conversation_summary": "No llegó mi retiro.",
    "conversation_transcript": "Bot: hola\nPersona: hola",
    "anything": {"else": [1, None]},
}
VALUES: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(["ana@example.com", "+54 11 5555", "no", "", "a", "\u200b", "a" * 330, None, 7, True, [], {}]),
    st.text(max_size=8),
)
OBJECTS = st.dictionaries(st.sampled_from([*SCHEMA["properties"], "other"]), VALUES, max_size=8)


@pytest.mark.parametrize("without", [(), ("user_phone",), ("user_email",), ("bot", "anything")])
def test_an_ordinary_handoff_is_taken(without: tuple[str, ...]) -> None:
    """A short way that takes nothing would be no use."""
    assert CHECK.takes({name: value for name, value in ORDINARY.items() if name not in without})


@given(OBJECTS)
@settings(max_examples=2000, deadline=None)
def test_what_is_taken_obeys_the_schema(told: dict[str, Any]) -> None:
    """A yes is never wrong."""
    assert not CHECK.takes(told) or VALIDATOR.is_valid(told)


@given(OBJECTS)
@settings(max_examples=500, deadline=None)
def test_what_is_taken_of_nothing_but_texts_is_exact(told: dict[str, Any]) -> None:
    """For handoffs of plain texts a no means no as well: nothing ordinary goes the long way."""
    texts = {name: value for name, value in told.items() if isinstance(value, str) and value}
    assert CHECK.takes(texts) == VALIDATOR.is_valid(texts)


def test_too_many_fields_are_not_taken() -> None:
    """The bound on the number of fields holds."""
    assert not CHECK.takes(ORDINARY | {f"field{number}": 1 for number in range(1000)})


def edited(*path: str, to: Any) -> dict[str, Any]:
    """Return the schema with one thing changed."""
    changed = copy.deepcopy(SCHEMA)
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return changed


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("properties", "bot", "enum"), ["institucional"]),
        (("properties", "bot"), {"type": "integer"}),
        (("properties", "bot"), {"$ref": "#/$defs/nothing"}),
        (("properties", "bot"), {"anyOf": [{"const": "x"}, {"type": "string", "maxLength": 1}]}),
        (("properties", "bot"), {"anyOf": [{"type": "string"}], "maxLength": 2}),
        (("properties", "bot", "minLength"), 40),
        (("properties", "bot", "pattern"), "^[0-9]+$"),
        (("$defs", "email", "not"), {"type": "string"}),
        (("required",), ["conversation_summary", "user_name"]),
        (("maxProperties",), 2),
        (("additionalProperties",), False),
        (("minProperties",), 40),
        (("type",), "array"),
        (("anyOf",), [{"required": ["user_name"]}]),
        (("anyOf",), [{"properties": {}, "anyOf": [{"required": ["user_name"]}]}]),
    ],
)
def test_an_edited_schema_makes_it_useless_but_not_wrong(path: tuple[str, ...], to: Any) -> None:
    """Whatever somebody adds to the schema is obeyed: by the check itself, or by leaving it to the validator."""
    assert not PlainCheck(edited(*path, to=to)).takes(ORDINARY)


REMARKS = dict.fromkeys(["description", "format", "title", "$schema", "$id", "x-cut-at", "x-keep"], "x")
EVERY_WORD: dict[str, Any] = {
    **REMARKS,
    "$defs": {"short": {"type": "string", "maxLength": 3}},
    "type": "object",
    "required": ["whole"],
    "maxProperties": 4,
    "additionalProperties": True,
    "properties": {
        "whole": {**REMARKS, "$defs": {}, "type": ["null", "string"], "minLength": 2, "maxLength": 3, "pattern": "a"},
        "named": {"description": "x", "$ref": "#/$defs/short"},
        "first": {"description": "x", "anyOf": [{"maxLength": 3}, {"const": "aaaa"}]},
        "plain": {"description": "x"},
        "more": {"$ref": "#/$defs/short", "minLength": 2},
    },
}


@pytest.mark.parametrize(
    ("told", "taken"),
    [
        ({"whole": "aa"}, True),
        ({"whole": "aaa"}, True),
        ({"whole": "a"}, False),
        ({"whole": "aaaa"}, False),
        ({"whole": "bb"}, False),
        ({"whole": 7}, False),
        ({}, False),
        ({"whole": "aa", "named": "", "first": "", "plain": ""}, True),
        ({"whole": "aa", "named": "", "first": "", "plain": "", "other": ""}, False),
        ({"whole": "aa", "named": "aaaa"}, False),
        ({"whole": "aa", "first": "aaaa"}, False),  # the second way would take it: the validator will
        ({"whole": "aa", "more": "aaa"}, False),  # as above
    ],
)
def test_every_word_it_knows_is_obeyed(told: dict[str, Any], taken: bool) -> None:  # noqa: FBT001 -- a column of the table
    """Each bound includes itself; what stands beside a known word and is not known spoils it."""
    assert PlainCheck(EVERY_WORD).takes(told) is taken
    assert not taken or Draft202012Validator(EVERY_WORD).is_valid(told)
