"""How long a new copy of the function takes on Lambda: process start to first answer, against a bare one."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import botocore.session
from moto.server import ThreadedMotoServer

from dev.bench.load import SECRET, handoff
from dev.bench.packaged import Packages
from dev.bench.subjects import TARGET_CORE, environment
from dev.emulators.lambda_runtime import LambdaRuntime

TABLE: Final = "handoffs"
_HEADERS: Final = {"Content-Type": "application/json", "Authorization": f"Bearer {SECRET}"}
_CALL_S: Final = 20
_KEYS: Final = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}


class Starts(NamedTuple):
    """Seconds from process start to first answer, one pair a round; then those of a second call."""

    bare: list[float]
    ours: list[float]
    ours_warm: list[float]


def with_sqlite(packages: Packages, upstream_url: str, folder: Path, rounds: int) -> Starts:
    """Measure with the ledger in a SQLite file."""
    ours = environment(upstream_url, f"sqlite:///{folder / 'cold.db'}")
    return _starts(packages, folder, rounds, bare_env=ours, ours_env=ours)


def with_dynamodb(packages: Packages, upstream_url: str, folder: Path, rounds: int) -> Starts:
    """Measure with the ledger in an emulated DynamoDB table; the bare function makes a client and puts one item."""
    with _table() as endpoint:
        base = environment(upstream_url, f"dynamodb://{TABLE}?region=us-east-1&endpoint={endpoint}") | _KEYS
        bare = base | {"AWS_ENDPOINT_URL": endpoint, "TABLE": TABLE}
        return _starts(packages, folder, rounds, bare_env=bare, ours_env=base)


def _starts(
    packages: Packages, folder: Path, rounds: int, *, bare_env: Mapping[str, str], ours_env: Mapping[str, str]
) -> Starts:
    starts = Starts([], [], [])
    for number in range(rounds + 1):
        seed = f"{time.time_ns()}"
        bare, _ = _start(packages.bare, "bare_lambda.handler", packages.python, folder / "bare", bare_env, seed)
        ours, warm = _start(packages.ours, "lambda_handler.handler", packages.python, folder / "ours", ours_env, seed)
        if number:  # the first round only warms the disk's cache
            starts.bare.append(bare)
            starts.ours.append(ours)
            starts.ours_warm.append(warm)
    return starts


def _start(
    package: Path, handler: str, python: Path, folder: Path, env: Mapping[str, str], seed: str
) -> tuple[float, float]:
    """Return the seconds to the first answer, and those of the second."""
    shutil.rmtree(folder, ignore_errors=True)
    runtime = LambdaRuntime(package, handler, python=python, folder=folder, env=env, timeout=_CALL_S)
    began = time.perf_counter()
    with _on_core(TARGET_CORE), runtime:
        _call(runtime, seed, 1)
        first = time.perf_counter()
        _call(runtime, seed, 2)
        return first - began, time.perf_counter() - first


def _call(runtime: LambdaRuntime, seed: str, number: int) -> None:
    answer = runtime.call("POST", "/", _HEADERS, handoff(seed, number))
    if answer.status != 201:
        raise RuntimeError(f"the packaged function answered {answer.status}: {answer.body[:300]!r}")


@contextmanager
def _on_core(core: int) -> Iterator[None]:
    """What is started inside runs on one core."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def _table() -> Iterator[str]:
    """Emulate DynamoDB with the ledger's table; the address is yielded."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # the emulator would tell of every call
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    try:
        os.environ.update(_KEYS)
        client: Any = botocore.session.get_session().create_client("dynamodb", endpoint_url=endpoint)
        client.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[
                {"AttributeName": "reference", "KeyType": "HASH"},
                {"AttributeName": "entry", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": "reference", "AttributeType": "S"},
                {"AttributeName": "entry", "AttributeType": "S"},
            ],
        )
        yield endpoint
    finally:
        server.stop()
