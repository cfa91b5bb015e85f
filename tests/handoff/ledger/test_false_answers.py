"""DynamoDB's answers are checked; a throttle means "slow down", not "down"."""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import pytest

from dev.emulators.dynamodb import REGION
from handoff.ledger import LedgerBusy, LedgerUnavailable
from handoff.ledger.dynamodb import BUSY_PAUSES_S, DynamoDBLedger
from handoff.ledger.outage import Remembering
from tests.ledger_factories import NOW, entry

HTML = b"<html><body>Welcome to the hotel's network</body></html>"
CALLS: dict[str, Callable[[DynamoDBLedger], object]] = {
    "claim": lambda ledger: ledger.claim(entry(), now=NOW, tickets_an_hour=5),
    "claim with words": lambda ledger: ledger.claim(entry(words="words"), now=NOW, tickets_an_hour=5),
    "replace": lambda ledger: ledger.replace(entry(), replace(entry(), version=2)),
    "find": lambda ledger: ledger.find("BF-7K3QX2AB", now=NOW),
    "due": lambda ledger: ledger.due(NOW, 5),
    "check": lambda ledger: ledger.check(),
    "had_outage": lambda ledger: ledger.had_outage(NOW),
}


class Said(NamedTuple):
    """An answer: status, body and checksum; a correct one if None, no header if ""."""

    body: bytes
    crc32: str | None = None
    status: int = 200

    @property
    def headers(self) -> dict[str, str]:
        """Return its headers."""
        crc32 = str(zlib.crc32(self.body)) if self.crc32 is None else self.crc32
        return {"Content-Type": "application/x-amz-json-1.0"} | ({"x-amz-crc32": crc32} if crc32 else {})


class NotDynamoDB(ThreadingHTTPServer):
    """Gives each call the next answer, and repeats the last one."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[Said] = []
        self.calls = 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Read the call and answer it."""
        server: Any = self.server
        self.rfile.read(int(self.headers["Content-Length"]))
        server.calls += 1
        said = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
        self.send_response(said.status)
        for name, value in said.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(said.body)))
        self.end_headers()
        self.wfile.write(said.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the name is http.server's
        """Log nothing."""


@pytest.fixture(scope="module")
def opened(aws: None) -> Iterator[tuple[NotDynamoDB, DynamoDBLedger]]:  # noqa: ARG001 -- sets the credentials
    """Return a server in the place of DynamoDB, and a ledger on it; one for all tests, as its client starts slowly."""
    with NotDynamoDB() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        store = DynamoDBLedger("handoffs", region=REGION, endpoint=f"http://127.0.0.1:{server.server_address[1]}")
        yield server, store
        store.close()
        server.shutdown()


@pytest.fixture
def impostor(opened: tuple[NotDynamoDB, DynamoDBLedger]) -> NotDynamoDB:
    """Return the server, which has not been called yet."""
    opened[0].calls = 0
    return opened[0]


@pytest.fixture
def ledger(opened: tuple[NotDynamoDB, DynamoDBLedger]) -> DynamoDBLedger:
    """Return the ledger, which remembers nothing yet."""
    Remembering.__init__(opened[1])
    return opened[1]


def failure(code: str, status: int = 400, **more: Any) -> Said:
    """Return an error as DynamoDB words it."""
    return Said(json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", **more}).encode(), status=status)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "said",
    [
        Said(HTML, ""),
        Said(HTML),
        Said(b"", ""),
        Said(b""),
        Said(b"{}", ""),
        Said(b"{}", "1"),
        Said(b"{", "2745614147"),
        Said(b"[]"),
        Said(b'{"Item": {}, "Items": [{}]', "1"),
    ],
    ids=["html", "html-sum", "empty", "empty-sum", "no-sum", "wrong-sum", "cut", "list", "cut-item"],
)
def test_an_answer_that_is_not_dynamodbs_is_an_outage(
    impostor: NotDynamoDB, ledger: DynamoDBLedger, call: str, said: Said
) -> None:
    """It has status 200 and no meaning: nothing may have been written."""
    impostor.answers = [said]
    with pytest.raises(LedgerUnavailable):
        CALLS[call](ledger)


@pytest.mark.parametrize(
    ("call", "body"),
    [
        ("find", {}),
        ("due", {"Count": 0}),
        ("had_outage", {"Item": {"reference": {"S": "x"}}}),
        ("replace", {"Item": {"reference": {"S": "x"}}}),
    ],
)
def test_an_answer_that_lacks_what_was_asked_for_is_an_outage(
    impostor: NotDynamoDB, ledger: DynamoDBLedger, call: str, body: dict[str, Any]
) -> None:
    """A list without items is not an empty list, and an item without a row is not a row."""
    good = Said(json.dumps(body).encode())
    impostor.answers = [failure("ConditionalCheckFailedException"), good] if call == "replace" else [good]
    with pytest.raises(LedgerUnavailable):
        CALLS[call](ledger)


def test_valid_answers_are_accepted(impostor: NotDynamoDB, ledger: DynamoDBLedger) -> None:
    """The same server, with DynamoDB's own answers."""
    impostor.answers = [Said(b"{}")]
    assert ledger.claim(entry(person=""), now=NOW, tickets_an_hour=5).mine
    assert ledger.claim(entry(person="", words="words"), now=NOW, tickets_an_hour=5).mine
    impostor.answers = [Said(b'{"Items": [], "Count": 0}')]
    assert ledger.find("BF-7K3QX2AB", now=NOW) == []


BUSY = [
    failure("ProvisionedThroughputExceededException"),
    failure("ThrottlingException"),
    failure("RequestLimitExceeded"),
    failure("TransactionConflictException"),
    failure("TransactionCanceledException", CancellationReasons=[{"Code": "None"}, {"Code": "ThrottlingError"}]),
    failure("TransactionCanceledException", CancellationReasons=[{"Code": "TransactionConflict"}, {"Code": "None"}]),
]


@pytest.mark.parametrize("said", BUSY, ids=[str(number) for number in range(len(BUSY))])
def test_a_throttled_call_is_repeated(impostor: NotDynamoDB, ledger: DynamoDBLedger, said: Said) -> None:
    """The table's capacity limit must not cause the outage that it is there to prevent."""
    impostor.answers = [said, said, Said(b"{}")]
    assert ledger.claim(entry(person="", words="words"), now=NOW, tickets_an_hour=5).mine
    assert impostor.calls == 3


@pytest.mark.parametrize("said", BUSY, ids=[str(number) for number in range(len(BUSY))])
def test_a_throttle_that_lasts_is_reported_as_one(impostor: NotDynamoDB, ledger: DynamoDBLedger, said: Said) -> None:
    """After a few attempts the caller gets its own error, to decide how long to wait."""
    impostor.answers = [said]
    with pytest.raises(LedgerBusy):
        ledger.claim(entry(words="words"), now=NOW, tickets_an_hour=5)
    assert impostor.calls == 1 + len(BUSY_PAUSES_S)


def test_a_transaction_that_fails_for_another_reason_is_an_outage(
    impostor: NotDynamoDB, ledger: DynamoDBLedger
) -> None:
    """Nothing was written, and the reason is unknown."""
    reasons = [{"Code": "ValidationError"}, {"Code": "None"}]
    impostor.answers = [failure("TransactionCanceledException", CancellationReasons=reasons)]
    with pytest.raises(LedgerUnavailable):
        ledger.claim(entry(words="words"), now=NOW, tickets_an_hour=5)
    assert impostor.calls == 1


def test_tickets_made_while_throttled_are_stored_when_the_table_answers(
    impostor: NotDynamoDB, ledger: DynamoDBLedger
) -> None:
    """First the mark of the outage, then the row, then the new claim."""
    impostor.answers = [failure("InternalServerError", 500)]
    ledger.remember(replace(entry(), ticket_id=7, due_at=None), now=NOW)
    with pytest.raises(LedgerUnavailable):
        ledger.claim(entry(entry="next"), now=NOW, tickets_an_hour=5)
    impostor.calls, impostor.answers = 0, [Said(b"{}")]
    assert ledger.claim(entry(entry="next", person=""), now=NOW, tickets_an_hour=5).mine
    assert impostor.calls == 3
    assert ledger.had_outage(NOW)
