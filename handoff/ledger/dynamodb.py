"""The ledger in one DynamoDB table: conditional writes, a sparse index for what is due, TTL for what is over.

    partition key `reference`, sort key `entry`
    index `due`            `due_lane` + `due_at`        only rows with something to do are in it
    index `conversation`   `conversation` + `created_at`
    TTL attribute `expires_at`, only where the row may expire; DynamoDB removes late, so every read and condition looks
    at it as well

Items that are no rows have a `reference` that begins with `person#`, which 1.0.0 passes over too:
    `person#<hash>`         the places of a person's hour, one item for each ticket the hour allows
    `person#words#<hash>`   the words of a handoff, and which row holds them
    `person#outage`         when the ledger could not be used for the last time
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import islice
from typing import Any, Final, cast

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from handoff.ledger import (
    OUTAGE_WINDOW_S,
    PERSON_WINDOW_S,
    WORDS_WINDOW_S,
    Claim,
    Entry,
    LedgerBusy,
    LedgerUnavailable,
    bounded,
    files_of,
    named_by,
    read_row,
    read_rows,
)
from handoff.ledger.outage import Remembering

TIMEOUT_S: Final = 1.0  # to connect, and again to read
BUSY_PAUSES_S: Final = (0.05, 0.1, 0.2)
CLAIM_TRIES: Final = 5
DUE_LANE: Final = "due"
OK: Final = 200
_NO_ROW: Final = "person#"
_WORDS: Final = f"{_NO_ROW}words#"
_OUTAGE: Final[dict[str, dict[str, str]]] = {"reference": {"S": f"{_NO_ROW}outage"}, "entry": {"S": "outage"}}
_LOST: Final = "ConditionalCheckFailed"
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html; the codes of a cancelled
# transaction lack the suffix: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
_BUSY: Final = frozenset(
    {
        "ProvisionedThroughputExceeded",
        "Throttling",
        "ThrottlingError",
        "RequestLimitExceeded",
        "TransactionConflict",
        "TransactionInProgress",
    }
)
_TEXTS: Final = frozenset({"reference", "entry", "owner", "conversation", "alias_of"})
_NUMBERS: Final = frozenset({"version", "created_at", "due_at"})
_NAMES: Final = {
    f"#{name}": name for name in ("entry", "expires_at", "owner", "version", "alias_of", "for_reference", "for_entry")
}
_FREE: Final = "attribute_not_exists(#entry) OR #expires_at <= :now"

Item = dict[str, dict[str, str]]


class DynamoDBLedger(Remembering):
    """One table. Nothing is sent before the first call."""

    def __init__(self, table: str, *, region: str, endpoint: str | None = None, timeout_s: float = TIMEOUT_S) -> None:
        super().__init__()
        self._table = table
        self._client = botocore.session.get_session().create_client(
            "dynamodb",
            region_name=region,
            endpoint_url=endpoint,
            config=Config(
                connect_timeout=timeout_s,
                read_timeout=timeout_s,
                retries={"mode": "standard", "total_max_attempts": 1},
                max_pool_connections=64,
                tcp_keepalive=True,
            ),
        )
        self._client.meta.events.register("before-parse.dynamodb", _check_answer)

    def __repr__(self) -> str:
        return f"DynamoDBLedger({self._table})"

    def check(self) -> None:
        """Read one item; see `Ledger.check`."""
        self._get(_OUTAGE)

    def claim(self, entry: Entry, *, now: float, tickets_an_hour: int) -> Claim:
        """Insert entry unless there is a row; see `Ledger.claim`."""
        self.recover()
        entry = bounded(entry)
        for _ in range(CLAIM_TRIES):
            claim = self._claim(entry, now)
            if claim is None:
                continue
            if (
                claim.mine
                and entry.counts
                and not self.take_slot(entry.limited_by, entry, now=now, tickets_an_hour=tickets_an_hour)
            ):
                return claim._replace(over_limit=True)
            return claim
        raise LedgerUnavailable("the row in the way changes over and over")

    def replace(self, old: Entry, new: Entry) -> bool:
        """Write new over old if old still stands; see `Ledger.replace`."""
        new = bounded(new)
        values = {":version": _number(old.version), ":owner": {"S": old.owner}}
        condition = "#version = :version AND #owner = :owner"
        files = files_of(old, new)
        if files:
            done = self._put_with_files(self._request(_item(new), condition, values), files)
        else:
            done = self._put(_item(new), condition, values)
        return done or self._standing(new.reference, new.entry) == new

    def find(self, reference: str, *, now: float) -> list[Entry]:
        """Return the rows under a reference; see `Ledger.find`."""
        self.recover()
        rows = self._query(
            KeyConditionExpression="#reference = :reference",
            ExpressionAttributeNames={"#reference": "reference"},
            ExpressionAttributeValues={":reference": {"S": reference}},
            ConsistentRead=True,
        )
        firsts = ((self._first(row.alias_of, now) if row.alias_of else row) for row in rows if not row.is_over(now))
        return list({(row.reference, row.entry): row for row in firsts if row is not None}.values())

    def due(self, until: float, limit: int, after: Entry | None = None) -> list[Entry]:
        """Return rows that are due; see `Ledger.due`."""
        self.recover()
        return self._query(
            limit,
            IndexName="due",
            KeyConditionExpression="#due_lane = :lane AND #due_at <= :until",
            ExpressionAttributeNames={"#due_lane": "due_lane", "#due_at": "due_at"},
            ExpressionAttributeValues={":lane": {"S": DUE_LANE}, ":until": _number(until)},
            **({"ExclusiveStartKey": _place_in_due(after)} if after else {}),
        )

    def in_conversation(self, conversation: str, *, now: float) -> list[Entry]:
        """Return the rows of a conversation; see `Ledger.in_conversation`."""
        if not conversation:
            return []
        rows = self._query(
            IndexName="conversation",
            KeyConditionExpression="#conversation = :conversation",
            ExpressionAttributeNames={"#conversation": "conversation"},
            ExpressionAttributeValues={":conversation": {"S": conversation}},
        )
        return [row for row in rows if not row.is_over(now)]

    def take_slot(self, person: str, entry: Entry, *, now: float, tickets_an_hour: int) -> bool:
        """Take a place of the person's hour, the first that is free or over; see `Ledger.take_slot`."""
        return not person or any(self._take(person, entry.name, now, number) for number in range(tickets_an_hour))

    def with_slot(self, person: str, *, now: float) -> list[Entry]:
        """Return the rows that have a place; see `Ledger.with_slot`."""
        request = {
            "TableName": self._table,
            "KeyConditionExpression": "#reference = :places",
            "ExpressionAttributeNames": {"#reference": "reference"},
            "ExpressionAttributeValues": {":places": {"S": _NO_ROW + person}},
            "ConsistentRead": True,
        }
        places = (item for item in self._pages("query", request) if float(_value(item, "expires_at")) > now)
        names = [_value(place, "owner") for place in places]
        rows = (self._first(name, now) for name in names if " " in name)  # in 1.0.0 an owner stood there
        return [row for row in rows if row is not None]

    def each(self) -> Iterator[Entry]:
        """Yield every row; see `Ledger.each`. Reads the whole table."""
        self.recover()
        for item in self._pages("scan", {"TableName": self._table}):
            if not _value(item, "reference").startswith(_NO_ROW):
                yield from (row for row in read_rows([_row_of(item)]) if not row.alias_of)

    def delete(self, entry: Entry) -> None:
        """Remove the row; see `Ledger.delete`."""
        self._call("delete_item", {"TableName": self._table, "Key": _key(entry.reference, entry.entry)})

    def tidy(self, now: float) -> None:
        """Do nothing: the table's TTL removes what is over."""

    def migrate(self) -> int:
        """Take the end that 1.0.0 gave every row from those without a ticket; see `Ledger.migrate`.

        1.0.0 let DynamoDB remove a row 30 days after it was claimed, whether or not it had become a ticket.
        """
        count = 0
        for item in self._pages("scan", {"TableName": self._table}):
            if _value(item, "reference").startswith(_NO_ROW) or "expires_at" not in item:
                continue
            for row in read_rows([_row_of(item)]):
                values = {":version": _number(row.version), ":owner": {"S": row.owner}}
                if not row.expires:
                    count += self._put(_item(row), "#version = :version AND #owner = :owner", values)
        return count

    def close(self) -> None:
        """Close the connections; see `Ledger.close`."""
        self._client.close()

    def _store_outage(self, at: float) -> None:
        item = {**_OUTAGE, "owner": {"S": "-"}, "at": _number(at), "expires_at": _number(at + OUTAGE_WINDOW_S)}
        self._put(item, _FREE.replace(":now", ":end"), {":end": item["expires_at"]})

    def _stored_outage(self) -> float | None:
        item = self._get(_OUTAGE)
        return float(_value(item, "at")) if item else None

    def _claim(self, entry: Entry, now: float) -> Claim | None:
        """Try to insert entry; None where the row in the way has changed meanwhile."""
        mine = {":now": _number(now), ":owner": {"S": entry.owner}}
        condition = f"{_FREE} OR (#owner = :owner AND attribute_not_exists(#alias_of))"
        if not entry.shares_words:
            if self._put(_item(entry), condition, mine):
                return Claim(entry, mine=True)
            return self._claim_of_standing(entry, now)
        words = self._words_of(entry)
        words_condition = f"{_FREE} OR (#for_reference = :for_reference AND #for_entry = :for_entry)"
        whose = {":now": _number(now), ":for_reference": words["for_reference"], ":for_entry": words["for_entry"]}
        row_free, words_free = self._put_both(
            self._request(_item(entry), condition, mine), self._request(words, words_condition, whose)
        )
        if not row_free:
            return self._claim_of_standing(entry, now)
        return Claim(entry, mine=True) if words_free else self._claim_of_words(entry, now)

    def _claim_of_standing(self, entry: Entry, now: float) -> Claim | None:
        """Return what a claim finds where there is a row; an alias of nothing is removed on the way."""
        standing = self._standing(entry.reference, entry.entry)
        if standing is None:
            return None
        if not standing.alias_of:
            return Claim(standing, mine=False)
        first = self._first(standing.alias_of, now)
        if first is not None:
            return Claim(first, mine=False, same_words=True)
        values = {":owner": {"S": standing.owner}, ":version": _number(standing.version)}
        over = {**_item(standing), "expires_at": _number(0.0)}
        self._put(over, "#owner = :owner AND #version = :version", values)
        return None

    def _claim_of_words(self, entry: Entry, now: float) -> Claim | None:
        """Make entry's key an alias of the row that has the same words; free the words of a row that is gone."""
        words = self._get(_key(_WORDS + entry.words, "words"))
        if words is None:
            return None
        holder = f"{_value(words, 'for_reference')} {_value(words, 'for_entry')}"
        first = self._first(holder, now)
        mine = self._standing(entry.reference, entry.entry)
        if mine is not None and mine.owner == entry.owner and not mine.alias_of:
            return Claim(entry, mine=True)  # the answer to an earlier try was lost, and its words are over
        if first is None:
            whose = {":for_reference": words["for_reference"], ":for_entry": words["for_entry"]}
            over = {**words, "expires_at": _number(0.0)}
            self._put(over, "#for_reference = :for_reference AND #for_entry = :for_entry", whose)
            return None
        made = self._put(_item(entry.alias(holder)), _FREE, {":now": _number(now)})
        return Claim(first, mine=False, same_words=True) if made else None

    def _words_of(self, entry: Entry) -> Item:
        return {
            **_key(_WORDS + entry.words, "words"),
            "for_reference": {"S": entry.reference},
            "for_entry": {"S": entry.entry},
            "expires_at": _number(entry.created_at + WORDS_WINDOW_S),
        }

    def _first(self, named: str, now: float) -> Entry | None:
        """Return the row that "REFERENCE KEY" names, unless it is gone."""
        first = self._standing(*named_by(named))
        return None if first is None or first.is_over(now) else first

    def _request(self, item: Item, condition: str, values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "TableName": self._table,
            "Item": item,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": {name: field for name, field in _NAMES.items() if name in condition},
            **({"ExpressionAttributeValues": dict(values)} if values else {}),
        }

    def _put(self, item: Item, condition: str, values: Mapping[str, Any]) -> bool:
        """Write item where condition holds; return whether it did."""
        try:
            self._call("put_item", self._request(item, condition, values))
        except _ConditionFailed:
            return False
        return True

    def _put_with_files(self, row: dict[str, Any], files: list[Entry]) -> bool:
        """Write a row and those of its files, all or none; a file's row that is there already stays."""
        waiting = [self._request(_item(file), "attribute_not_exists(#entry)", {}) for file in files]
        while True:
            done, *new = self._put_both(row, *waiting)
            if not done or all(new):
                return done
            waiting = [request for request, is_new in zip(waiting, new, strict=True) if is_new]

    def _put_both(self, *requests: dict[str, Any]) -> list[bool]:
        """Write all of the items or none; return for which the condition holds."""
        try:
            self._call("transact_write_items", {"TransactItems": [{"Put": request} for request in requests]})
        except _ConditionFailed as error:
            return [code != _LOST for code in error.codes]
        return [True] * len(requests)

    def _get(self, key: Item) -> Item | None:
        found = self._call("get_item", {"TableName": self._table, "Key": key, "ConsistentRead": True})
        return cast("Item | None", found.get("Item"))

    def _standing(self, reference: str, key: str) -> Entry | None:
        item = self._get(_key(reference, key))
        return None if item is None else read_row(_row_of(item))

    def _take(self, person: str, name: str, now: float, number: int) -> bool:
        place = {
            **_key(_NO_ROW + person, f"place#{number}"),
            "owner": {"S": name},
            "expires_at": _number(now + PERSON_WINDOW_S),
        }
        return self._put(place, _FREE + " OR #owner = :owner", {":now": _number(now), ":owner": {"S": name}})

    def _query(self, limit: int | None = None, **request: Any) -> list[Entry]:
        page = {} if limit is None else {"Limit": limit}
        items = self._pages("query", {"TableName": self._table, **page, **request})
        return list(islice(read_rows(map(_row_of, items)), limit))

    def _pages(self, operation: str, request: dict[str, Any]) -> Iterator[Item]:
        while True:
            answer = self._call(operation, request)
            if "Items" not in answer:
                raise LedgerUnavailable("an answer without items")
            yield from answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            request = {**request, "ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def _call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Make one call, again after a pause where DynamoDB asks to be called more slowly."""
        for pause_s in BUSY_PAUSES_S:
            try:
                return self._call_once(operation, request)
            except LedgerBusy:
                time.sleep(pause_s)
        return self._call_once(operation, request)

    def _call_once(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**request)
        except ClientError as error:
            raise _meaning(error) from error
        except (BotoCoreError, OSError) as error:
            raise LedgerUnavailable(type(error).__name__) from error
        return answer


class _ConditionFailed(Exception):
    """A conditional write found something else; `codes` has DynamoDB's word on each item of a transaction."""

    def __init__(self, codes: tuple[str, ...]) -> None:
        super().__init__()
        self.codes = codes


def _meaning(error: ClientError) -> Exception:
    response: Any = error.response
    code = response.get("Error", {}).get("Code", "")
    codes = tuple(one.get("Code", "") for one in response.get("CancellationReasons", ())) or (code,)
    short = {one.removesuffix("Exception") for one in codes}
    if short & _BUSY:  # also where another item's condition failed: asked again, that one answers for itself
        return LedgerBusy(", ".join(sorted(short & _BUSY)))
    return _ConditionFailed(codes) if _LOST in short else LedgerUnavailable(code)


def _check_answer(response_dict: dict[str, Any], **_event: Any) -> None:
    """Raise LedgerUnavailable for a 200 that DynamoDB did not write: from something between, or cut on the way.

    DynamoDB sends the CRC32 of each body: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/
    Programming.LowLevelAPI.html#Programming.LowLevelAPI.Response. botocore reads a body
    that is no JSON as an empty one.
    """
    if response_dict["status_code"] != OK:
        return
    body = response_dict["body"]
    if response_dict["headers"].get("x-amz-crc32") != str(zlib.crc32(body)):
        raise LedgerUnavailable("an answer with a wrong checksum")
    try:
        said = json.loads(body)
    except ValueError as error:
        raise LedgerUnavailable("an answer that is no JSON") from error
    if not isinstance(said, dict):
        raise LedgerUnavailable("an answer that is no object")


def _key(reference: str, entry: str) -> Item:
    return {"reference": {"S": reference}, "entry": {"S": entry}}


def _row_of(item: Item) -> str:
    """Return the row's JSON; where there is none, what `read_row` cannot read."""
    return item.get("row", {}).get("S", "")


def _value(item: Item, name: str) -> str:
    """Return an attribute of an item that is no row. Raises LedgerUnavailable where there is none."""
    for value in item.get(name, {}).values():
        return value
    raise LedgerUnavailable(f"an item without {name}")


def _number(value: float) -> dict[str, str]:
    return {"N": str(Decimal(repr(value)))}


def _place_in_due(entry: Entry) -> dict[str, dict[str, str]]:
    """Return where the row stood in the index `due`; DynamoDB goes on from there, whether or not it still does."""
    due_at = _number(cast("float", entry.due_at))
    return {**_key(entry.reference, entry.entry), "due_lane": {"S": DUE_LANE}, "due_at": due_at}


def _item(entry: Entry) -> Item:
    """Return the row as an item: what conditions and indexes need as attributes, the whole as JSON."""
    item: Item = {"row": {"S": entry.to_json()}}
    for name, value in entry.to_dict().items():
        if name in _TEXTS:
            item[name] = {"S": value}
        elif name in _NUMBERS:
            item[name] = _number(value)
    if entry.due_at is not None:
        item["due_lane"] = {"S": DUE_LANE}
    if entry.expires:
        item["expires_at"] = _number(entry.expires_at)
    return item
