"""S12: no pattern can be made to run for long, and every text and list in the schemas has a limit."""

from __future__ import annotations

import importlib
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from handoff import broken_json, inbound, responses, routing, routing_errors, sanitize, settings, strict_json, ticket
from handoff.inbound import SCHEMA_FILE

sre: Any = importlib.import_module("re._constants")  # the parser's own names; there is no public one
sre_parser: Any = importlib.import_module("re._parser")

LONG = 10_000
ALPHABET = ("a", "0", " ", "+", "-", ".", "(", "{", "{category}", "@", "4111 ", "333-", "\u200b", "😀", "\n", "[x]\n")
SCHEMAS: dict[str, Any] = {
    "handoff": json.loads(SCHEMA_FILE.read_text(encoding="utf-8")),
    "routing": json.loads(routing.SCHEMA_FILE.read_text(encoding="utf-8")),
    "openapi": yaml.safe_load(SCHEMA_FILE.with_name("openapi.yaml").read_text(encoding="utf-8")),
}


def nodes(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every object in a schema with its path; examples are data, not schema."""
    if isinstance(node, dict):
        yield path, node
        for name, inner in node.items():
            if name not in {"example", "examples"}:
                yield from nodes(inner, f"{path}/{name}")
    elif isinstance(node, list):
        for number, inner in enumerate(node):
            yield from nodes(inner, f"{path}/{number}")


def schema_nodes() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every schema object of the three documents."""
    for name, document in SCHEMAS.items():
        yield from ((f"{name}{path}", node) for path, node in nodes(document) if not path.endswith("/properties"))


PATTERNS = {path: node["pattern"] for path, node in schema_nodes() if isinstance(node.get("pattern"), str)}
PATTERNS |= {
    f"{module.__name__}.{name}": value.pattern
    for module in (responses, inbound, routing, routing_errors, settings, sanitize, ticket, strict_json, broken_json)
    for name, value in vars(module).items()
    if isinstance(value, re.Pattern)
}


def nested_quantifiers(pattern: str) -> int:
    """Count the unbounded quantifiers inside another one that may begin where they end."""

    def walk(parsed: Any, *, inside: bool) -> int:
        found = 0
        for kind, value in parsed:
            if kind in {sre.MAX_REPEAT, sre.MIN_REPEAT}:
                _, most, inner = value
                unbounded = most == sre.MAXREPEAT
                ends_loose = inside and unbounded and parsed[-1][0] is kind
                found += ends_loose + walk(inner, inside=inside or unbounded)
            elif kind is sre.SUBPATTERN:
                found += walk(value[3], inside=inside)
            elif kind is sre.BRANCH:
                found += sum(walk(branch, inside=inside) for branch in value[1])
        return found

    return walk(sre_parser.parse(pattern), inside=False)


def seconds(pattern: str, subject: str) -> float:
    """Return the least CPU time of three searches, so that other load does not count."""
    compiled = re.compile(pattern)
    times = []
    for _ in range(3):
        began = time.thread_time()
        compiled.search(subject)
        times.append(time.thread_time() - began)
    return min(times)


def test_every_pattern_is_checked() -> None:
    """Those of the schemas and those in the code."""
    assert len(PATTERNS) >= 20
    assert {
        "handoff.sanitize._SEPARATORS",
        "handoff.broken_json._TEXT_END",
        "handoff.routing_errors._HEADER",
        "handoff.ticket._PLACEHOLDER",
    } <= PATTERNS.keys()


@pytest.mark.parametrize("path", sorted(PATTERNS))
def test_no_pattern_takes_too_long(path: str) -> None:
    """Twice the text takes at most a few times as long; the worst pattern is quadratic."""
    for piece in ALPHABET:
        subject = (piece * LONG)[:LONG]
        for ending in ("", "\x00", "!"):
            half = seconds(PATTERNS[path], subject[: LONG // 2] + ending)
            assert seconds(PATTERNS[path], subject + ending) < max(10 * half, 0.05)


@pytest.mark.parametrize("path", sorted(PATTERNS))
def test_no_pattern_has_a_quantifier_inside_another(path: str) -> None:
    """With this shape a matcher tries every way to split a text."""
    assert nested_quantifiers(PATTERNS[path]) == 0


@pytest.mark.parametrize("pattern", ["^(([a-zA-Z0-9])+)+$", "(a+)+b", "(?:x*y?)*z*$(?:a+)*"])
def test_control_the_check_finds_bad_patterns(pattern: str) -> None:
    """Well-known bad patterns are found."""
    assert nested_quantifiers(pattern) > 0


def test_every_text_has_a_limit() -> None:
    """Strings and lists have a maximum length; a `const` or an `enum` is one as well."""
    bare = [
        path
        for path, node in schema_nodes()
        if "string" in types_of(node)
        and not node.keys() & {"maxLength", "const", "enum"}
        and "Idempotency-Key" not in path
        if "/parameters/0" not in path
    ]
    assert bare == []
    assert [path for path, node in schema_nodes() if "array" in types_of(node) and "maxItems" not in node] == []


def types_of(node: dict[str, Any]) -> list[str]:
    """Return the types a schema object names."""
    types = node.get("type", [])
    return types if isinstance(types, list) else [types]


def test_every_object_has_additional_properties_set() -> None:
    """Closed, or open on purpose."""
    objects = [(path, node) for path, node in schema_nodes() if types_of(node) == ["object"]]
    assert [path for path, node in objects if "additionalProperties" not in node] == []


@pytest.mark.parametrize("name", ["handoff", "routing"])
def test_every_property_is_described(name: str) -> None:
    """For authors of a bot or of the routing file."""
    for path, node in nodes(SCHEMAS[name]):
        for field, rule in node.get("properties", {}).items() if isinstance(node.get("properties"), dict) else ():
            assert "description" in rule or "$ref" in rule, f"{path}/{field}"
