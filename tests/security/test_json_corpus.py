"""S6: a corpus of JSON and what looks like it. Every invalid body is a 400 that is kept; no body is ever a 5xx."""

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


def test_the_corpus_is_large_enough_to_mean_something() -> None:
    """Ninety ways to be refused, and some that only look like it."""
    assert len(REFUSED) >= 90
    assert len(READ) >= 35
    assert len(REFUSED) + len(READ) == len(JSON_BODIES)


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED)
def test_what_is_no_json_is_malformed(raw: bytes) -> None:
    """One error class, whose text holds nothing of the body."""
    with pytest.raises(MalformedJSON) as caught:
        parse_body(raw)
    assert str(caught.value) in {
        *("JSONDecodeError", "UnicodeEncodeError", "ValueError", "RecursionError", "not an object"),
    }


@pytest.mark.parametrize("raw", READ.values(), ids=READ)
def test_what_is_json_is_read(raw: bytes) -> None:
    """As a handoff, or as one with faults."""
    try:
        assert read_handoff(parse_body(unpacked(raw))).key
    except InvalidHandoff as error:
        assert error.faults  # noqa: PT017 -- either end is right, and each has its own promise


def test_every_body_gets_the_right_answer(endpoint: Endpoint) -> None:
    """Over the whole edge: 400 with a reference, or 201 or 422; nothing else."""
    wrong = []
    for name, raw in JSON_BODIES.items():
        reply = endpoint(request(raw=raw))
        allowed = {400} if name in REFUSED else {201, 200, 202, 422}
        if reply.status not in allowed or "reference" not in json.loads(reply.body):
            wrong.append((name, reply.status))
    assert wrong == []


def test_pythons_own_reader_takes_what_we_refuse() -> None:
    """The control: without the strict reader a good part of the corpus would come in."""
    taken = 0
    for raw in REFUSED.values():
        try:
            taken += isinstance(json.loads(raw), dict)
        except (ValueError, RecursionError):
            continue
    assert taken >= 20
