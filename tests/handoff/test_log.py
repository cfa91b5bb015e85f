"""The log has one JSON object in each line."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote_plus

import pytest

from handoff.inbound import Handoff
from handoff.log import JSONLines, log_as_json, place_of
from tests.corpora import TEXTS
from tests.factories import EMAIL, NAME
from tests.leaks import LeakDetector, canaries_in


@contextmanager
def nothing_attached() -> Iterator[logging.Logger]:
    """Set up the root logger as in a new process, and restore it afterwards."""
    logger, urllib3 = logging.getLogger("handoff"), logging.getLogger("urllib3")
    before, level = (logger.handlers[:], logger.level, logger.propagate), urllib3.level
    logger.handlers[:], logger.propagate = [], True
    urllib3.setLevel(logging.NOTSET)
    try:
        yield logger
    finally:
        logger.handlers[:], logger.level, logger.propagate = before
        urllib3.setLevel(level)


def record(message: str = "handoff", **extra: object) -> logging.LogRecord:
    """Return a record of the delivery's logger."""
    made = logging.makeLogRecord({"name": "handoff.delivery", "levelname": "INFO", "msg": message, **extra})
    made.created = 1_700_000_000.25
    return made


def test_a_line_has_its_time_level_logger_event_and_fields() -> None:
    """In this order."""
    assert json.loads(JSONLines().format(record(reference="BF-X", attempts=2))) == {
        "timestamp": "2023-11-14T22:13:20.250+00:00",
        "level": "INFO",
        "logger": "handoff.delivery",
        "message": "handoff",
        "reference": "BF-X",
        "attempts": 2,
    }


@pytest.mark.parametrize("text", [*TEXTS.values(), "\ud800"])
def test_every_line_is_one_line_of_json(text: str) -> None:
    """No value can break the line or start another."""
    line = JSONLines().format(record(text, value=text, deep={"list": [text]}))
    assert len(line.splitlines()) == 1
    assert json.loads(line)["value"] == text


def test_a_value_that_json_does_not_know_becomes_text() -> None:
    """A log line is never lost because of its contents."""
    assert json.loads(JSONLines().format(record(value={1})))["value"] == "{1}"


def test_the_lines_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """From level INFO on, once, however often the function is started."""
    with nothing_attached() as logger:
        log_as_json(platform_formats=False)
        log_as_json(platform_formats=False)
        logging.getLogger("handoff.edge").info("hello")
        logging.getLogger("handoff.edge").debug("not this")
        assert logger.propagate is False
    assert [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()] == ["hello"]


def test_a_platform_that_formats_gets_the_records() -> None:
    """On Lambda the records go up to the platform's own handler, unformatted."""
    with nothing_attached() as logger:
        log_as_json(platform_formats=True)
        assert (logger.handlers, logger.propagate, logger.level) == ([], True, logging.INFO)


def test_the_search_for_leaks_finds_one() -> None:
    """The control of the check after every test: a name in a field, an address in a traceback or path."""
    detector = LeakDetector()
    detector.handle(record(who=NAME))
    detector.handle(record(exc_info=(ValueError, ValueError(EMAIL), None)))
    detector.handle(record(path=f"/?email={quote_plus(EMAIL)}"))
    assert len(detector.found) == 3
    assert canaries_in(json.dumps({"summary": "Canario del resumen: llegó"})) == ["Canario del"]


@pytest.mark.parametrize("platform_formats", [False, True])
def test_urllib3_logs_nothing(platform_formats: bool) -> None:  # noqa: FBT001 -- the two cases
    """Its warnings contain the URL of a call, and so a person's address; they are not needed."""
    with nothing_attached():
        log_as_json(platform_formats=platform_formats)
        assert not logging.getLogger("urllib3.connectionpool").isEnabledFor(logging.ERROR)


def test_the_place_of_an_error_is_in_our_code() -> None:
    """Its innermost frame in our code: file, line and function, without any value."""
    with pytest.raises(ValueError, match="Expecting") as caught:
        Handoff.from_json("Zoraida")
    assert re.fullmatch(r"handoff/inbound\.py:\d+ from_json", place_of(caught.value))
    assert place_of(ValueError(NAME)) == ""
