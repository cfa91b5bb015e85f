"""How long a new copy of the packaged function takes, from process start to first answer, beside a bare one."""

from __future__ import annotations

import json
import logging
import os
import shlex
import shutil
import statistics
import subprocess
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import botocore.session
from moto.server import ThreadedMotoServer

from dev.bench.report import Pair
from dev.bench.servers import PINNED, ROOT, environment
from dev.emulators.lambda_runtime import find_python

TABLE: Final = "handoffs"


def cold_starts(upstream_url: str, folder: Path, runs: int) -> tuple[list[Pair], float]:
    """Return milliseconds with each ledger, and the seconds of a second call with the ledger in DynamoDB."""
    python = find_python()
    env = {**os.environ, "PYTHON": str(python)}
    subprocess.run(["npx", "--no-install", "serverless", "package"], cwd=ROOT, env=env, check=True, capture_output=True)
    function, bare = folder / "function", folder / "bare"
    for path in (function, bare):
        shutil.rmtree(path, ignore_errors=True)
        with zipfile.ZipFile(ROOT / ".serverless/handoff.zip") as package:
            package.extractall(path)
    shutil.copy(ROOT / "dev/bench/bare_lambda.py", bare)
    calls = ((bare, "bare_lambda"), (function, "lambda_handler"))
    commands = [[str(python), "-I", "dev/bench/first_call.py", str(path), module] for path, module in calls]
    sqlite = environment(upstream_url, f"sqlite:///{folder / 'cold.db'}")
    pairs = [_starts("ledger in SQLite", commands, sqlite, runs)]
    with _dynamodb() as own:
        dynamodb = environment(upstream_url, f"dynamodb://{TABLE}?region=us-east-1&endpoint={own['AWS_ENDPOINT_URL']}")
        env = {**dynamodb, **own}
        pairs.append(_starts("ledger in DynamoDB", commands, env, runs))
        again = [*PINNED, *commands[1], "again"]
        warm = [subprocess.run(again, cwd=ROOT, env=env, capture_output=True, check=True).stdout for _ in range(runs)]
    return pairs, statistics.median(float(seconds) for seconds in warm)


def _starts(ledger: str, commands: list[list[str]], env: Mapping[str, str], runs: int) -> Pair:
    out = ROOT / ".local/bench/hyperfine.json"
    hyperfine = [*PINNED, "hyperfine", "-N", "--style=none", "--warmup=1", f"--runs={runs}", f"--export-json={out}"]
    subprocess.run([*hyperfine, *map(shlex.join, commands)], cwd=ROOT, env=dict(env), check=True, capture_output=True)
    floor, ours = ([1000 * s for s in one["times"]] for one in json.loads(out.read_text(encoding="utf-8"))["results"])
    return Pair(f"AWS: process start to first answer, {ledger}", "ms", floor, ours, most_ratio=1.2)


@contextmanager
def _dynamodb() -> Iterator[dict[str, str]]:
    """Emulate DynamoDB with the ledger's table; yield the environment that leads there."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # the emulator logs every call
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    env = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}
    env |= {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "TABLE": TABLE}
    try:
        session = botocore.session.Session()
        session.set_credentials("testing", "testing")
        client: Any = session.create_client("dynamodb", region_name="us-east-1", endpoint_url=env["AWS_ENDPOINT_URL"])
        keys = {"reference": "HASH", "entry": "RANGE"}
        client.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys.items()],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
        )
        yield env
    finally:
        server.stop()
