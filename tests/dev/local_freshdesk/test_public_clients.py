"""Two clients that nobody here wrote work against the stand-in, unchanged but for their base URL."""

from __future__ import annotations

import fcntl
import json
import subprocess
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dev.local_freshdesk import LocalFreshdesk
from dev.local_freshdesk.helpdesk import DEFAULT_KEY
from tests.dev.local_freshdesk.support import PAGOS, ticket

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # what the client and its dateutil do is theirs
    from freshdesk.v2.api import API
    from freshdesk.v2.errors import (
        FreshdeskBadRequest,
        FreshdeskNotFound,
        FreshdeskRateLimited,
        FreshdeskUnauthorized,
    )

NODE = Path(__file__).parents[2] / "botpress" / "node"


def python_client(freshdesk: LocalFreshdesk, key: str = DEFAULT_KEY) -> Any:
    """Return python-freshdesk's client, its address overwritten after construction."""
    client = API("company.freshdesk.com", key)
    client._api_prefix = f"{freshdesk.url}/api/v2/"  # noqa: SLF001 - the client has no setting for it
    return client


def test_the_python_client_creates_and_reads(freshdesk: LocalFreshdesk) -> None:
    """Create, get, list, groups, notes, conversations."""
    client = python_client(freshdesk)
    made = client.tickets.create_ticket("Hola", **ticket(group_id=PAGOS, subject=None))
    note = client.comments.create_note(made.id, "una nota")
    found = client.tickets.get_ticket(made.id, "requester", "stats", "conversations")
    assert (found.subject, found.priority, found.status, found.source) == ("Hola", "high", "open", "portal")
    assert (found.requester["email"], note.body_text) == ("ana@example.com", "una nota")
    assert [entry.source for entry in client.comments.list_comments(made.id)] == ["note"]
    assert [row.id for row in client.tickets.list_tickets(filter_name=None, email="ana@example.com")] == [made.id]
    assert client.tickets.list_tickets(filter_name="deleted") == []
    assert "Pagos" in {group.name for group in client.groups.list_groups()}
    assert client.agents.currently_authenticated_agent().contact["email"] == "agustina@ayuda.example"


def limited(freshdesk: LocalFreshdesk) -> LocalFreshdesk:
    """Return the stand-in, its limit reached."""
    freshdesk.weather("rate-limited", seconds=30)
    return freshdesk


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (FreshdeskUnauthorized, lambda freshdesk: python_client(freshdesk, "wrong").tickets.get_ticket(1)),
        (FreshdeskNotFound, lambda freshdesk: python_client(freshdesk).tickets.get_ticket(99)),
        (FreshdeskBadRequest, lambda freshdesk: python_client(freshdesk).tickets.create_ticket("x", email="nope")),
        (FreshdeskRateLimited, lambda freshdesk: python_client(limited(freshdesk)).tickets.get_ticket(1)),
    ],
)
def test_the_python_client_knows_each_error(
    freshdesk: LocalFreshdesk, error: type[Exception], call: Callable[[LocalFreshdesk], Any]
) -> None:
    """401, 404, 400 and 429 are the client's own exceptions."""
    with pytest.raises(error):
        call(freshdesk)


SCRIPT = """
const Freshdesk = require('freshdesk-api')
const [url, key, steps] = [process.argv[1], process.argv[2], JSON.parse(process.argv[3])]
const client = new Freshdesk(url, key)
const run = ([method, ...args]) => new Promise((resolve) => client[method](...args, (error, data) =>
  resolve(error ? { name: error.name, status: error.status, data: error.data, retryAfter: error.retryAfter } : data)))
;(async () => {
  const answers = []
  for (const step of steps) answers.push(await run(step))
  console.log(JSON.stringify(answers))
})()
"""


@pytest.fixture(scope="session")
def node_packages() -> Path:
    """Install the pinned packages of tests/botpress/node once, whichever worker comes first."""
    with (Path(tempfile.gettempdir()) / "handoff-node-packages.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (NODE / "node_modules" / "freshdesk-api").exists():
            subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=NODE, check=True, timeout=100)
    return NODE


def node_client(packages: Path, freshdesk: LocalFreshdesk, *steps: list[Any], key: str = DEFAULT_KEY) -> list[Any]:
    """Return what freshdesk-api of npm gives, step by step."""
    command = ["node", "-e", SCRIPT, freshdesk.url, key, json.dumps(steps)]
    done = subprocess.run(command, cwd=packages, capture_output=True, text=True, timeout=60, check=True)
    answers: list[Any] = json.loads(done.stdout)
    return answers


@pytest.mark.node
def test_the_node_client_does_the_same(freshdesk: LocalFreshdesk, node_packages: Path) -> None:
    """Create, get, list, the groups of the form (it has no list of groups), note."""
    made, found, rows, form, note = node_client(
        node_packages,
        freshdesk,
        ["createTicket", ticket(group_id=PAGOS)],
        ["getTicket", 1],
        ["listAllTickets", {"email": "ana@example.com"}],
        ["listAllTicketFields"],
        ["createNote", 1, {"body": "una nota"}],
    )
    assert (made["id"], found["subject"], len(rows)) == (1, ticket()["subject"], 1)
    assert next(field for field in form if field["name"] == "group")["choices"]["Pagos"] == PAGOS
    assert note["body_text"] == "una nota"


@pytest.mark.node
def test_the_node_client_knows_each_error(freshdesk: LocalFreshdesk, node_packages: Path) -> None:
    """401, 404 without a body, a validation error with its fields, 429 with the seconds to wait."""
    (unauthorized,) = node_client(node_packages, freshdesk, ["getTicket", 1], key="wrong")
    missing, invalid = node_client(node_packages, freshdesk, ["getTicket", 99], ["createTicket", ticket(status="2")])
    (busy,) = node_client(node_packages, limited(freshdesk), ["getTicket", 1])
    assert [answer["status"] for answer in (unauthorized, missing, invalid, busy)] == [401, 404, 400, 429]
    assert invalid["data"]["errors"][0]["code"] == "datatype_mismatch"
    assert busy["retryAfter"] == 30
