"""The deploy itself: into an emulated account, the zip taken back from it, and run as Lambda runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest

from dev.emulators.lambda_runtime import FunctionFailedError, LambdaRuntime
from dev.local_freshdesk import LocalFreshdesk
from tests.deploy.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dev.emulators.lambda_runtime import Answer
    from tests.deploy.conftest import Package

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(300)]

STACK = "handoff-prod"
SECRET = "a-secret-of-at-least-thirty-two-characters"
KEY = "local-freshdesk-key"
NOBODY = "http://127.0.0.1:9"
"""An address that refuses every connection."""
SCHEDULE = {"version": "0", "source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}


@dataclass(frozen=True, slots=True)
class Account:
    """The emulated AWS account."""

    env: dict[str, str]

    def client(self, service: str) -> Any:
        """Return a client of one of its services."""
        session = botocore.session.get_session()
        return session.create_client(
            service,
            region_name="us-east-1",
            endpoint_url=self.env["AWS_ENDPOINT_URL"],
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    def serverless(self, package: Package, *words: str, python: Path) -> str:
        """Run a command of the framework against it; give what it printed."""
        polling = {"SLS_AWS_MONITORING_FREQUENCY": "300"}  # milliseconds; CloudFormation is asked every 5 s otherwise
        env = {**os.environ, **self.env, **package.wheels, **polling, "PYTHON": str(python)}
        command = ["npx", "--no-install", "serverless", *words]
        done = subprocess.run(command, cwd=package.project, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


@dataclass(frozen=True, slots=True)
class Deployed:
    """What the deploy left in the account."""

    account: Account
    printed: str
    zip: Path
    functions: dict[str, dict[str, Any]]
    table: str


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    """An empty account, gone with the tests."""
    command = [sys.executable, "-m", "dev.emulators.aws_emulator"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin
        assert server.stdout
        yield Account(
            {
                "AWS_ENDPOINT_URL": server.stdout.readline().strip(),
                "AWS_ACCESS_KEY_ID": "testing",
                "AWS_SECRET_ACCESS_KEY": "testing",
                "AWS_REGION": "us-east-1",
                "AWS_DEFAULT_REGION": "us-east-1",
            }
        )
        server.stdin.close()


@pytest.fixture(scope="module")
def deployed(
    account: Account, package: Package, python313: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployed]:
    """Deploy as an operator does; afterwards remove, which must leave no function behind."""
    printed = account.serverless(package, "deploy", python=python313)
    stack = account.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    functions = {one["FunctionName"]: one for one in account.client("lambda").list_functions()["Functions"]}
    zip_path = tmp_path_factory.mktemp("deployed") / "handoff.zip"
    zip_path.write_bytes(uploaded(account, outputs["ServerlessDeploymentBucketName"]))
    yield Deployed(account, printed, zip_path, functions, outputs["LedgerTable"])
    account.serverless(package, "remove", python=python313)
    assert account.client("lambda").list_functions()["Functions"] == []


def uploaded(account: Account, bucket: str) -> bytes:
    """Return the zip that the deploy put into its bucket."""
    s3 = account.client("s3")
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    [key] = [key for key in keys if key.endswith("/handoff.zip")]
    body: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return body


@dataclass(frozen=True, slots=True)
class Cloud:
    """The deployed functions, a help desk, and what happened to both."""

    deployed: Deployed
    python: Path
    folder: Path
    freshdesk: LocalFreshdesk

    @contextmanager
    def endpoint(self, name: str, *, freshdesk_url: str = "", key: str = KEY) -> Iterator[LambdaRuntime]:
        """Start a copy of one function, with its own settings and with the secrets filled in."""
        config = self.deployed.functions[f"{STACK}-{name}"]
        secrets = {
            "FRESHDESK_URL": freshdesk_url or self.freshdesk.url,
            "FRESHDESK_API_KEY": key,
            "WEBHOOK_SECRET": SECRET,
        }
        env = config["Environment"]["Variables"] | secrets | self.deployed.account.env
        assert not [name for name, value in env.items() if "{{resolve" in value]
        with LambdaRuntime(
            self.deployed.zip,
            config["Handler"],
            python=self.python,
            folder=self.folder / name,
            env=env,
            timeout=config["Timeout"],
        ) as runtime:
            yield runtime

    def rows(self) -> list[dict[str, Any]]:
        """Return the ledger's rows of handoffs."""
        items = self.deployed.account.client("dynamodb").scan(TableName=self.deployed.table)["Items"]
        return [json.loads(item["row"]["S"]) for item in items if "row" in item]


@pytest.fixture
def cloud(deployed: Deployed, lambda_python: Path, tmp_path: Path) -> Iterator[Cloud]:
    """Return the deployed functions and a help desk of the test's own."""
    with LocalFreshdesk(port=0) as freshdesk:
        yield Cloud(deployed, lambda_python, tmp_path, freshdesk)


def send(endpoint: LambdaRuntime, conversation: str, **fields: str) -> Answer:
    """Send one handoff, as the bot does."""
    handoff = {
        "bot": "betsur",
        "user_email": f"{conversation}@example.com",
        "category": "retiros",
        "conversation_summary": "Pidió un retiro hace tres días y no llegó.",
        "conversation_id": conversation,
        "message_id": "1",
        **fields,
    }
    headers = {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/json"}
    return endpoint.call("POST", "/", headers, json.dumps(handoff).encode())


def log_lines(endpoint: LambdaRuntime, message: str) -> list[dict[str, Any]]:
    """Return the log's JSON lines with this message."""
    lines = [json.loads(line) for line in endpoint.log().splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("message") == message]


def test_the_deploy_prints_the_address_for_the_bot(deployed: Deployed) -> None:
    """It is what the operator pastes into Botpress."""
    assert "lambda-url.us-east-1.on.aws" in deployed.printed


def test_two_machines_make_the_same_zip(deployed: Deployed, package: Package) -> None:
    """Packaged twice, once offline in an empty environment, once in the deploy: byte for byte the same."""
    assert deployed.zip.read_bytes() == package.zip.read_bytes()


def test_a_handoff_becomes_a_ticket_and_the_same_again_is_a_duplicate(cloud: Cloud) -> None:
    """The promise, on what was deployed: one handoff, sent twice, one ticket."""
    with cloud.endpoint("createTicket") as endpoint:
        first, second = send(endpoint, "c-once"), send(endpoint, "c-once")
    [ticket] = cloud.freshdesk.tickets()
    assert (first.status, first.json["ticket_id"]) == (201, ticket["id"])
    assert (second.status, second.json["status"], second.json["ticket_id"]) == (
        200,
        "duplicate",
        ticket["id"],
    )


def test_a_copy_started_later_knows_the_handoff(cloud: Cloud) -> None:
    """The ledger is the table, not the process: another copy of the function answers alike."""
    with cloud.endpoint("createTicket") as endpoint:
        first = send(endpoint, "c-copies")
    with cloud.endpoint("createTicket") as endpoint:
        assert send(endpoint, "c-copies").json["ticket_id"] == first.json["ticket_id"]


def test_what_freshdesk_could_not_take_the_schedule_delivers(cloud: Cloud) -> None:
    """Freshdesk refuses connections: the bot hears that it is kept; the schedule's sweep makes the ticket."""
    with cloud.endpoint("createTicket", freshdesk_url=NOBODY) as endpoint:
        kept = send(endpoint, "c-later")
    assert (kept.status, kept.json["status"]) == (202, "queued")
    with cloud.endpoint("sweep") as endpoint:
        subjects = sweep_until_done(endpoint, cloud.freshdesk, kept.json["reference"])
        swept = log_lines(endpoint, "swept")
    assert len(subjects) == 1
    assert all(isinstance(line["oldest_waiting_s"], float) for line in swept)
    assert {line["level"] for line in swept} == {"INFO"}


def sweep_until_done(endpoint: LambdaRuntime, freshdesk: LocalFreshdesk, reference: str) -> list[str]:
    """Send the schedule's event as the schedule does, but faster, until the ticket is there; give such subjects.

    A failed pass is not minded, the next one is the retry. What other tests left in the ledger is delivered as well.
    """
    ends = time.monotonic() + 40
    subjects: list[str] = []
    while not subjects and time.monotonic() < ends:
        with suppress(FunctionFailedError):
            endpoint.invoke(SCHEDULE)
        time.sleep(1.0)
        subjects = [ticket["subject"] for ticket in freshdesk.tickets() if reference in ticket["subject"]]
    return subjects


def test_an_error_is_logged_as_the_alarm_expects(cloud: Cloud) -> None:
    """A key that Freshdesk does not know is for a person to correct: a line of level ERROR, which the filter counts."""
    with cloud.endpoint("createTicket", key="not-the-key") as endpoint:
        kept = send(endpoint, "c-error")
        errors = [line for line in log_lines(endpoint, "refused") if line["level"] == "ERROR"]
    assert kept.status == 202
    assert [line["reference"] for line in errors] == [kept.json["reference"]]


def test_an_operator_gets_the_deployed_settings(cloud: Cloud) -> None:
    """One line of shell gives ops.py the stack's own ledger, help desk and waits, and not the alarms' address."""
    secret = {"FRESHDESK_URL": cloud.freshdesk.url, "FRESHDESK_API_KEY": "it's a key", "ALARM_EMAIL": "ops@example.com"}
    secrets = cloud.deployed.account.client("secretsmanager")
    secrets.create_secret(Name="handoff/prod", SecretString=json.dumps(secret))
    env = {**os.environ, **cloud.deployed.account.env}
    printed = 'printf "%s|" "$FRESHDESK_API_KEY" "$LEDGER_URL" "$IN_DOUBT_WAIT_S" "$DEADLINE_S" "$ALARM_EMAIL"'
    script = f'eval "$({sys.executable} -m deploy.aws.stack_env)"; {printed}'
    done = subprocess.run(["sh", "-c", script], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert done.stdout == f"it's a key|dynamodb://{cloud.deployed.table}?region=us-east-1|600|12||"


def test_a_wrong_secret_is_refused_and_reaches_nobody(cloud: Cloud) -> None:
    """The URL is public; the secret is what keeps strangers out."""
    with cloud.endpoint("createTicket") as endpoint:
        answer = endpoint.call("POST", "/", {"Authorization": "Bearer guessed"}, b"{}")
    assert (answer.status, answer.json["code"]) == (401, "unauthorized")
    assert answer.headers["content-type"] == "application/problem+json"
    assert cloud.freshdesk.calls == []


def test_nothing_personal_stays_once_there_is_a_ticket(cloud: Cloud) -> None:
    """The row of a made ticket holds no address and no words."""
    with cloud.endpoint("createTicket") as endpoint:
        send(endpoint, "c-erased")
    kept = json.dumps([row for row in cloud.rows() if row["state"] == "created"])
    assert "c-erased@example.com" not in kept
    assert "retiro hace" not in kept


def test_the_log_names_no_person(cloud: Cloud) -> None:
    """What the function writes to CloudWatch has neither the address nor the words."""
    with cloud.endpoint("createTicket") as endpoint:
        send(endpoint, "c-logged")
        log = endpoint.log()
    assert log
    assert "c-logged@example.com" not in log
    assert "retiro hace" not in log
