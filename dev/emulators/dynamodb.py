"""DynamoDB on loopback: dynalite, in one Node process, so that conditional writes and transactions are atomic."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

import botocore.session

from dev.local_freshdesk.children import tie

ROOT: Final = Path(__file__).resolve().parents[2]
NODE_PACKAGES: Final = ROOT / "tests" / "botpress" / "node"
REGION: Final = "sa-east-1"
CREDENTIALS: Final = {
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@contextmanager
def dynalite() -> Iterator[str]:
    """Start dynalite, and yield its address; `npm ci` must have been run in NODE_PACKAGES."""
    command = tie(["node", str(Path(__file__).with_name("dynalite.js"))])
    with subprocess.Popen(command, cwd=NODE_PACKAGES, stdout=subprocess.PIPE, text=True) as program:
        try:
            port = program.stdout.readline() if program.stdout else ""
            yield f"http://127.0.0.1:{int(port)}"
        finally:
            program.kill()


def make_table(endpoint: str) -> str:
    """Create the ledger's table on an emulator, and return its name. The environment must hold AWS credentials."""
    name = f"handoffs-{uuid.uuid4().hex[:12]}"
    client = client_of(endpoint)
    types = {"reference": "S", "entry": "S", "due_lane": "S", "due_at": "N", "conversation": "S", "created_at": "N"}
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": field, "AttributeType": kind} for field, kind in types.items()],
        KeySchema=_key("reference", "entry"),
        GlobalSecondaryIndexes=[
            {"IndexName": "due", "KeySchema": _key("due_lane", "due_at"), "Projection": {"ProjectionType": "ALL"}},
            {
                "IndexName": "conversation",
                "KeySchema": _key("conversation", "created_at"),
                "Projection": {"ProjectionType": "ALL"},
            },
        ],
    )
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
    return name


@cache
def client_of(endpoint: str) -> Any:
    """Return botocore's client of an emulator."""
    return botocore.session.get_session().create_client("dynamodb", region_name=REGION, endpoint_url=endpoint)


def _key(partition: str, sort: str) -> list[dict[str, str]]:
    return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]
