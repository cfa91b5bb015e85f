"""S6: a corpus of valid and invalid JSON. Every invalid body is a 400 that is kept; no body causes a 5xx."""

from __future__ import annotations

import json

import pytest

from handoff.inbound import InvalidHandoff, read_handoff
from handoff.strict_json import MalformedJSON, parse_body, unpacked
from tests.corpora import JSON_BODIES
from tests.endpoints import Endpoint
from tests.factories import request

REFUSED = {name: raw for name, raw in JSON_BODIES.items() if name.startswith("refused_")}
READ = {name: raw for name, raw in JSON_BODIES.items() if name.startswith("read_")}


def test_the_corpus_is_large_enough() -> None:
    """Ninety invalid bodies, and some that only look invalid."""
    assert len(REFUSED) >= 90
    assert len(READ) >= 35
    assert len(REFUSED) + len(READ) == len(JSON_BODIES)


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED)
def test_invalid_json_is_malformed(raw: bytes) -> None:
    """There is one error class, and its text contains nothing of the body."""
    with pytest.raises(MalformedJSON) as caught:
        parse_body(raw)
    assert str(caught.value) in {
        *("JSONDecodeError", "UnicodeEncodeError", "ValueError", "RecursionError", "not an object"),
    }


@pytest.mark.parametrize("raw", READ.values(), ids=READ)
def test_valid_json_is_read(raw: bytes) -> None:
    """As a handoff, or as one with faults."""
    try:
        assert read_handoff(parse_body(unpacked(raw))).key
    except InvalidHandoff as error:
        assert error.faults  # noqa: PT017 -- both results are valid


def test_every_body_gets_the_right_answer(endpoint: Endpoint) -> None:
    """From the endpoint: 400 with a reference, or 201 or 422; nothing else."""
    wrong = []
    for name, raw in JSON_BODIES.items():
        reply = endpoint(request(raw=raw))
        allowed = {400} if name in REFUSED else {201, 200, 202, 422}
        if reply.status not in allowed or "reference" not in json.loads(reply.body):
            wrong.append((name, reply.status))
    assert wrong == []


def test_control_pythons_own_parser_accepts_what_is_refused() -> None:
    """Without the strict parser a large part of the corpus would be accepted."""
    taken = 0
    for raw in REFUSED.values():
        try:
            taken += isinstance(json.loads(raw), dict)
        except (ValueError, RecursionError):
            continue
    assert taken >= 20
