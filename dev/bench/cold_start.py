"""How long a new copy of the packaged function takes, from process start to first answer, beside a bare one."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import botocore.session
from moto.server import ThreadedMotoServer

from dev.bench.report import Pair
from dev.bench.servers import PINNED, ROOT, environment
from dev.emulators.lambda_runtime import find_python

TABLE: Final = "handoffs"


def cold_starts(upstream_url: str, folder: Path, runs: int) -> Iterator[Pair]:
    """Yield the milliseconds with each ledger."""
    python = str(find_python())
    env = {**os.environ, "PYTHON": python}
    subprocess.run(["npx", "--no-install", "serverless", "package"], cwd=ROOT, env=env, check=True, stdout=sys.stderr)
    commands = []
    for module in ("bare_lambda", "lambda_handler"):
        own = folder / module
        shutil.rmtree(own, ignore_errors=True)
        with zipfile.ZipFile(ROOT / ".serverless/handoff.zip") as package:
            package.extractall(own)
        shutil.copy(ROOT / "dev/bench/bare_lambda.py", own)
        commands.append(f"{python} -I dev/bench/first_call.py {own} {module}")
    yield _starts("SQLite", commands, environment(upstream_url, f"sqlite:///{folder / 'cold.db'}"), runs)
    with _dynamodb() as aws:
        url = f"dynamodb://{TABLE}?region=us-east-1&endpoint={aws['AWS_ENDPOINT_URL']}"
        yield _starts("DynamoDB", commands, environment(upstream_url, url) | aws, runs)


def _starts(ledger: str, commands: list[str], env: dict[str, str], runs: int) -> Pair:
    out = ROOT / ".local/bench/hyperfine.json"
    hyperfine = [*PINNED, "hyperfine", "-N", "--style=none", "--warmup=1", f"--runs={runs}", f"--export-json={out}"]
    subprocess.run([*hyperfine, *commands], cwd=ROOT, env=env, check=True)
    times = (one["times"] for one in json.loads(out.read_text(encoding="utf-8"))["results"])
    rounds = [(1000 * floor, 1000 * ours) for floor, ours in zip(*times, strict=True)]
    return Pair(f"AWS: process start to first answer, ledger in {ledger}", rounds, most_ratio=1.2)


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
        os.environ.update(env)
        client: Any = botocore.session.get_session().create_client("dynamodb")
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
