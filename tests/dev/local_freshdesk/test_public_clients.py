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
from tests.dev.local_freshdesk.factories import PAGOS, ticket

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


def python_client(desk: LocalFreshdesk, key: str = "local-freshdesk-key") -> Any:
    """python-freshdesk, its address overwritten after construction."""
    client = API("company.freshdesk.com", key)
    client._api_prefix = f"{desk.url}/api/v2/"  # noqa: SLF001 - the client has no setting for it
    return client


def fields() -> dict[str, Any]:
    """A ticket without what the client sends itself."""
    return {name: value for name, value in ticket(group_id=PAGOS).items() if name != "subject"}


def test_python_client_creates_and_reads(desk: LocalFreshdesk) -> None:
    """Create, get, list, groups."""
    client = python_client(desk)
    made = client.tickets.create_ticket("Hola", **fields())
    found = client.tickets.get_ticket(made.id, "requester", "stats", "conversations")
    assert (found.subject, found.priority, found.status, found.source) == ("Hola", "high", "open", "portal")
    assert found.requester["email"] == "ana@example.com"
    assert [row.id for row in client.tickets.list_tickets(filter_name=None, email="ana@example.com")] == [made.id]
    assert "Pagos" in {group.name for group in client.groups.list_groups()}
    assert client.agents.currently_authenticated_agent().contact["email"] == "agustina@ayuda.example"


def test_python_client_writes_notes_and_updates(desk: LocalFreshdesk) -> None:
    """Note, reply, update, delete."""
    client = python_client(desk)
    made = client.tickets.create_ticket("Hola", **fields())
    note = client.comments.create_note(made.id, "una nota")
    client.comments.create_reply(made.id, "una respuesta")
    assert note.body_text == "una nota"
    assert [entry.source for entry in client.comments.list_comments(made.id)] == ["note", "reply"]
    assert client.tickets.update_ticket(made.id, priority=4).priority == "urgent"
    client.tickets.delete_ticket(made.id)
    assert client.tickets.list_tickets(filter_name="deleted")[0].id == made.id


def test_python_client_sends_files(desk: LocalFreshdesk, tmp_path: Path) -> None:
    """Its multipart form, with lists and custom fields in brackets."""
    path = tmp_path / "comprobante.txt"
    path.write_text("x")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the client leaves the file open
        made = python_client(desk).tickets.create_ticket(
            "Hola", **fields(), attachments=[str(path)], custom_fields={"cf_canal": "Web"}
        )
    assert made.attachments[0]["name"] == "comprobante.txt"
    assert (made.tags, made.custom_fields["cf_canal"]) == (["botpress", "bot:betsur"], "Web")


def test_python_client_searches(desk: LocalFreshdesk) -> None:
    """Its search, with the quotes it adds."""
    client = python_client(desk)
    client.tickets.create_ticket("Hola", **fields())
    assert list(client.tickets.filter_tickets(query="status:2")) == []


def limited(desk: LocalFreshdesk) -> LocalFreshdesk:
    """The desk, its limit hit."""
    desk.weather("rate-limited", seconds=30)
    return desk


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (FreshdeskUnauthorized, lambda desk: python_client(desk, "wrong").tickets.get_ticket(1)),
        (FreshdeskNotFound, lambda desk: python_client(desk).tickets.get_ticket(99)),
        (FreshdeskBadRequest, lambda desk: python_client(desk).tickets.create_ticket("x", email="nope")),
        (FreshdeskRateLimited, lambda desk: python_client(limited(desk)).tickets.get_ticket(1)),
    ],
)
def test_python_client_knows_each_error(
    desk: LocalFreshdesk, error: type[Exception], call: Callable[[LocalFreshdesk], Any]
) -> None:
    """401, 404, 400 and 429 are the client's own exceptions."""
    with pytest.raises(error):
        call(desk)


SCRIPT = """
const Freshdesk = require('freshdesk-api')
const [url, key, steps] = [process.argv[1], process.argv[2], JSON.parse(process.argv[3])]
const client = new Freshdesk(url, key)
const run = ([method, ...args]) => new Promise((resolve) => client[method](...args, (error, data) =>
  resolve(error ? { name: error.name, status: error.status, data: error.data, retryAfter: error.retryAfter } : data)))
;(async () => {
  const told = []
  for (const step of steps) told.push(await run(step))
  console.log(JSON.stringify(told))
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


def node_client(packages: Path, desk: LocalFreshdesk, *steps: list[Any], key: str = "local-freshdesk-key") -> list[Any]:
    """What freshdesk-api of npm tells, step by step."""
    command = ["node", "-e", SCRIPT, desk.url, key, json.dumps(steps)]
    done = subprocess.run(command, cwd=packages, capture_output=True, text=True, timeout=60, check=True)
    told: list[Any] = json.loads(done.stdout)
    return told


@pytest.mark.node
def test_node_client_does_the_same(desk: LocalFreshdesk, node_packages: Path) -> None:
    """Create, get, list, the groups of the form (it has no list of groups), note, update."""
    made, found, rows, form, note, changed = node_client(
        node_packages,
        desk,
        ["createTicket", ticket(group_id=PAGOS)],
        ["getTicket", 1],
        ["listAllTickets", {"email": "ana@example.com"}],
        ["listAllTicketFields"],
        ["createNote", 1, {"body": "una nota"}],
        ["updateTicket", 1, {"status": 4}],
    )
    assert (made["id"], found["subject"], len(rows)) == (1, ticket()["subject"], 1)
    assert next(field for field in form if field["name"] == "group")["choices"]["Pagos"] == PAGOS
    assert (note["body_text"], changed["status"]) == ("una nota", 4)


@pytest.mark.node
def test_node_client_knows_each_error(desk: LocalFreshdesk, node_packages: Path) -> None:
    """401, 404 without a body, a validation error with its fields, 429 with the seconds to wait."""
    (unauthorized,) = node_client(node_packages, desk, ["getTicket", 1], key="wrong")
    missing, invalid = node_client(node_packages, desk, ["getTicket", 99], ["createTicket", ticket(status="2")])
    (busy,) = node_client(node_packages, limited(desk), ["getTicket", 1])
    assert [told["status"] for told in (unauthorized, missing, invalid, busy)] == [401, 404, 400, 429]
    assert invalid["data"]["errors"][0]["code"] == "datatype_mismatch"
    assert busy["retryAfter"] == 30
