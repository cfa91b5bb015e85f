"""The ledger in one DynamoDB table: conditional writes, a sparse index for what is due, TTL for what is over.

    partition key `reference`, sort key `entry`
    index `due`            `due_lane` + `due_at`        only rows with something to do are in it
    index `conversation`   `conversation` + `created_at`
    TTL attribute `expires_at`; DynamoDB removes late, so every read and condition looks at it as well

Places of a person's hour are items of their own, under `person#<hash>`: one for each ticket the hour allows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import islice
from typing import Any, Final, cast

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from handoff.ledger import PERSON_WINDOW_S, Claim, Entry, LedgerUnavailable, read_row, read_rows

CONNECT_TIMEOUT_S: Final = 1.0
READ_TIMEOUT_S: Final = 1.0
DUE_LANE: Final = "due"
_PLACE: Final = "person#"
_LOST: Final = "ConditionalCheckFailedException"
_TEXTS: Final = frozenset({"reference", "entry", "owner", "conversation"})
_NUMBERS: Final = frozenset({"version", "created_at", "due_at", "expires_at"})

Item = dict[str, dict[str, str]]


class DynamoDBLedger:
    """One table. Nothing is sent before the first call."""

    def __init__(self, table: str, *, region: str, endpoint: str | None = None) -> None:
        self._table = table
        self._client = botocore.session.get_session().create_client(
            "dynamodb",
            region_name=region,
            endpoint_url=endpoint,
            config=Config(
                connect_timeout=CONNECT_TIMEOUT_S,
                read_timeout=READ_TIMEOUT_S,
                retries={"mode": "standard", "total_max_attempts": 1},
                max_pool_connections=64,
                tcp_keepalive=True,
            ),
        )

    def __repr__(self) -> str:
        return f"DynamoDBLedger({self._table})"

    def claim(self, entry: Entry, *, now: float, tickets_an_hour: int) -> Claim:
        """Insert entry unless there is a row; see `Ledger.claim`."""
        condition = "attribute_not_exists(#entry) OR #expires_at <= :now OR #owner = :owner"
        if not self._put(entry, condition, {":now": _number(now), ":owner": {"S": entry.owner}}):
            standing = self._standing(entry)
            if standing is None:  # removed in between: as good as a store that did not answer; the caller asks again
                raise LedgerUnavailable("the row went away")
            return Claim(standing, mine=False)
        over_limit = entry.counts and not self._take_slot(entry.person, entry.owner, now, tickets_an_hour)
        return Claim(entry, mine=True, over_limit=over_limit)

    def replace(self, old: Entry, new: Entry) -> bool:
        """Write new over old if old still stands; see `Ledger.replace`."""
        values = {":version": _number(old.version), ":owner": {"S": old.owner}}
        return self._put(new, "#version = :version AND #owner = :owner", values) or self._standing(new) == new

    def find(self, reference: str, *, now: float) -> list[Entry]:
        """Return the rows under a reference; see `Ledger.find`."""
        rows = self._query(
            KeyConditionExpression="#reference = :reference",
            ExpressionAttributeNames={"#reference": "reference"},
            ExpressionAttributeValues={":reference": {"S": reference}},
            ConsistentRead=True,
        )
        return [row for row in rows if row.expires_at > now]

    def due(self, until: float, limit: int, after: Entry | None = None) -> list[Entry]:
        """Return rows that are due; see `Ledger.due`."""
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
        return [row for row in rows if row.expires_at > now]

    def take_slot(self, person: str, *, now: float, tickets_an_hour: int) -> bool:
        """Take a place of the person's hour; see `Ledger.take_place`."""
        return self._take_slot(person, "", now, tickets_an_hour)

    def each(self) -> Iterator[Entry]:
        """Yield every row; see `Ledger.each`. Reads the whole table."""
        for item in self._pages("scan", {"TableName": self._table}):
            if not item["reference"]["S"].startswith(_PLACE):
                yield from read_rows([item["row"]["S"]])

    def delete(self, entry: Entry) -> None:
        """Remove the row; see `Ledger.delete`."""
        key = {"reference": {"S": entry.reference}, "entry": {"S": entry.entry}}
        self._call("delete_item", {"TableName": self._table, "Key": key})

    def tidy(self, now: float) -> None:
        """Do nothing: the table's TTL removes what is over."""

    def close(self) -> None:
        """Close the connections; see `Ledger.close`."""
        self._client.close()

    def _put(self, entry: Entry, condition: str, values: Mapping[str, Any]) -> bool:
        """Write entry where condition holds; tell whether it did."""
        names = {"#entry": "entry", "#expires_at": "expires_at", "#owner": "owner", "#version": "version"}
        request = {
            "TableName": self._table,
            "Item": _item(entry),
            "ConditionExpression": condition,
            "ExpressionAttributeNames": {name: value for name, value in names.items() if name in condition},
            "ExpressionAttributeValues": dict(values),
        }
        return self._written(request)

    def _written(self, request: dict[str, Any]) -> bool:
        try:
            self._call("put_item", request)
        except _ConditionFailed:
            return False
        return True

    def _standing(self, entry: Entry) -> Entry | None:
        key = {"reference": {"S": entry.reference}, "entry": {"S": entry.entry}}
        found = self._call("get_item", {"TableName": self._table, "Key": key, "ConsistentRead": True})
        return read_row(found["Item"]["row"]["S"]) if "Item" in found else None

    def _take_slot(self, person: str, owner: str, now: float, tickets_an_hour: int) -> bool:
        """Take the first place that is free or over; the same claim repeated takes its own again."""
        return not person or any(self._take(person, owner, now, number) for number in range(tickets_an_hour))

    def _take(self, person: str, owner: str, now: float, number: int) -> bool:
        place = {
            "reference": {"S": _PLACE + person},
            "entry": {"S": f"place#{number}"},
            "owner": {"S": owner or "-"},
            "expires_at": _number(now + PERSON_WINDOW_S),
        }
        condition = "attribute_not_exists(#entry) OR #expires_at <= :now" + (" OR #owner = :owner" if owner else "")
        request = {
            "TableName": self._table,
            "Item": place,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": {"#entry": "entry", "#expires_at": "expires_at"}
            | ({"#owner": "owner"} if owner else {}),
            "ExpressionAttributeValues": {":now": _number(now)} | ({":owner": {"S": owner}} if owner else {}),
        }
        return self._written(request)

    def _query(self, limit: int | None = None, **request: Any) -> list[Entry]:
        page = {} if limit is None else {"Limit": limit}
        items = self._pages("query", {"TableName": self._table, **page, **request})
        return list(islice(read_rows(item["row"]["S"] for item in items), limit))

    def _pages(self, operation: str, request: dict[str, Any]) -> Iterator[Item]:
        while True:
            answer = self._call(operation, request)
            yield from answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            request = {**request, "ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def _call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**request)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            raise (_ConditionFailed if code == _LOST else LedgerUnavailable)(code) from error
        except (BotoCoreError, OSError) as error:
            raise LedgerUnavailable(type(error).__name__) from error
        return answer


class _ConditionFailed(Exception):
    """The conditional write found another row."""


def _number(value: float) -> dict[str, str]:
    return {"N": str(Decimal(repr(value)))}


def _place_in_due(entry: Entry) -> dict[str, dict[str, str]]:
    """Return where the row stood in the index `due`; DynamoDB goes on from there, whether or not it still does."""
    key = {"reference": {"S": entry.reference}, "entry": {"S": entry.entry}}
    return {**key, "due_lane": {"S": DUE_LANE}, "due_at": _number(cast("float", entry.due_at))}


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
    return item
