"""`make run`: the stand-in, the function and the sweep, with one sample handoff per bot, until Ctrl-C.

The data stays in `.local/` between starts, and the sample handoffs keep their ids: from the second start on they
are answered `duplicate`, with the ticket they already have.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import requests

from dev.local_freshdesk.bot import ROOT, load_bots
from dev.local_freshdesk.children import Child, ChildDiedError, port_is_free, running
from dev.local_freshdesk.helpdesk import DEFAULT_KEY
from operate.stopping import Stop, stopping

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SECRET: Final = "local-secret"  # noqa: S105 - opens nothing but this machine's own function
_START_S: Final = 60.0
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class CannotStartError(Exception):
    """The demo cannot start; the message is one line for the person who typed the command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the demo runs: two ports, the project's root, and the folder that keeps the data."""

    port: int
    freshdesk_port: int
    root: Path
    data: Path

    @property
    def function_url(self) -> str:
        """The function's address."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def freshdesk_url(self) -> str:
        """The stand-in's address."""
        return f"http://127.0.0.1:{self.freshdesk_port}"


def read_place(environ: Mapping[str, str], root: Path, data: Path) -> Place:
    """Return the place with the ports from PORT and FRESHDESK_PORT; raises CannotStartError where one is not free."""
    port = _port(environ, "PORT", 8080)
    freshdesk_port = _port(environ, "FRESHDESK_PORT", 8081)
    if port == freshdesk_port:
        raise CannotStartError(f"PORT and FRESHDESK_PORT are both {port}: give them two different numbers.")
    for name, number, what in (("PORT", port, "function"), ("FRESHDESK_PORT", freshdesk_port, "Freshdesk stand-in")):
        if not port_is_free(number):
            instead = f"`make run {name}={number + 10}`"
            raise CannotStartError(f"Port {number} is taken, and the {what} needs it: choose another, as in {instead}.")
    return Place(port=port, freshdesk_port=freshdesk_port, root=root, data=data)


def _port(environ: Mapping[str, str], name: str, usual: int) -> int:
    text = environ.get(name) or str(usual)
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):  # noqa: PLR2004 - the ports there are
        raise CannotStartError(f"{name} must be a port number from 1 to 65535, not {text!r}.")
    return int(text)


def commands(place: Place) -> dict[str, list[str]]:
    """Return the three programs by name."""
    python = [sys.executable, "-m"]
    stand_in = ["dev.local_freshdesk", "--port", str(place.freshdesk_port), "--db", str(place.data / "freshdesk.db")]
    chat = ["--function-url", place.function_url, "--secret", SECRET]
    function = ["functions_framework", "--source", "main.py", "--target", "create_ticket", "--host", "127.0.0.1"]
    return {
        "Freshdesk stand-in": [*python, *stand_in, *chat],
        "function": [*python, *function, "--port", str(place.port)],
        "sweep": [sys.executable, "ops.py", "sweep", "--every", "5"],
    }


def function_environment(place: Place, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the function and the sweep: nothing in it can reach a real account."""
    own = {name: value for name, value in environ.items() if not name.startswith(("FRESHDESK_", "WEBHOOK_"))}
    return {
        **own,
        "FRESHDESK_URL": place.freshdesk_url,
        "FRESHDESK_API_KEY": DEFAULT_KEY,
        "WEBHOOK_SECRET": SECRET,
        "LEDGER_URL": f"sqlite:///{place.data / 'handoffs.db'}",
        "IN_DOUBT_WAIT_S": "20",  # a newcomer can watch doubt being settled
        "THREADS": "64",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }


def wait_until_up(place: Place, children: list[Child], asked_to_end: Stop, *, patience_s: float = _START_S) -> None:
    """Return when both servers answer, or when asked to end; raises ChildDiedError or CannotStartError."""
    until = time.monotonic() + patience_s
    waiting = [f"{place.freshdesk_url}/weather", place.function_url]
    while waiting and not asked_to_end.is_set():
        for child in children:
            child.must_live()
        waiting = [url for url in waiting if not _answers(url)]
        if waiting and time.monotonic() > until:
            raise CannotStartError(f"{waiting[0]} does not answer after {patience_s:.0f} s; see {place.data}.")
        asked_to_end.wait(0.05 if waiting else 0)


def _answers(url: str) -> bool:
    try:
        _request("GET", url, timeout=2, allow_redirects=False)
    except requests.RequestException:
        return False
    return True


def _request(method: str, url: str, **options: Any) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False  # a proxy of this machine has no business with its loopback
        return session.request(method, url, **options)


def sample_handoffs() -> list[dict[str, str]]:
    """Return one handoff per bot, always with the same ids."""
    samples = []
    for slug, bot in load_bots().items():
        sample = {name: value for name, value in bot["samples"][0].items() if name != "name"}
        ids = {"conversation_id": f"sample-{slug}", "message_id": "sample-1", "channel": "webchat"}
        samples.append({"bot": slug, **sample, **ids})
    return samples


def line_about(handoff: Mapping[str, str], status: int, body: Mapping[str, Any]) -> str:
    """Return one line about one handoff."""
    ticket = f"ticket #{body['ticket_id']}" if body.get("ticket_id") else "ticket to follow"
    about = " · ".join(str(body[name]) for name in ("group", "priority", "reference") if body.get(name))
    return f"  {handoff['bot']:<14} {status} {body.get('status', body.get('code', '')):<10} {ticket:<16} {about}"


def guide(place: Place) -> str:
    """Return what to do next."""
    example = {"bot": "betsur", "category": "retiros", "user_email": "you@example.com", "user_name": "You"}
    example["conversation_summary"] = "My withdrawal has not arrived."
    return f"""
  Chat     {place.freshdesk_url}/chat      play a person with a problem
  Inbox    {place.freshdesk_url}/          where the agents find the ticket
  Weather  {place.freshdesk_url}/weather   make Freshdesk fail, and watch

Try it from another terminal:

  curl -sS {place.function_url} -H 'Authorization: Bearer {SECRET}' -H 'Content-Type: application/json' \\
    -d '{json.dumps(example)}'

The data and the logs stay in {place.data}; samples sent before are answered "duplicate". Ctrl-C ends everything."""


def run(place: Place, environ: Mapping[str, str], asked_to_end: Stop, show: Callable[[str], None]) -> None:
    """Run until asked to end; raises ChildDiedError or CannotStartError. Leaves no child behind."""
    place.data.mkdir(parents=True, exist_ok=True)
    env = function_environment(place, environ)
    headers = {"Authorization": f"Bearer {SECRET}"}
    with running(commands(place), cwd=place.root, env=env, logs=place.data) as children:
        wait_until_up(place, children, asked_to_end)
        if not asked_to_end.is_set():
            show("Everything is up. One sample handoff per bot:\n")
            for handoff in sample_handoffs():
                if asked_to_end.is_set():
                    return
                answer = _request("POST", place.function_url, json=handoff, headers=headers, timeout=30)
                show(line_about(handoff, answer.status_code, answer.json()))
            show(guide(place))
        while not asked_to_end.wait(0.5):
            for child in children:
                child.must_live()


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; return 0 where it was asked to end, 1 where it could not start or a part of it died."""
    parser = argparse.ArgumentParser(prog="python -m dev.local_freshdesk.demo", description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT / ".local", help="folder for databases and logs (.local)")
    parser.add_argument("--root", type=Path, default=ROOT, help="folder with main.py and ops.py (this project)")
    options = parser.parse_args(arguments)
    try:
        with stopping(_SIGNALS) as asked_to_end:
            place = read_place(os.environ, options.root.resolve(), options.data.resolve())
            run(place, os.environ, asked_to_end, lambda line: print(line, flush=True))
    except (CannotStartError, ChildDiedError, requests.RequestException) as error:
        print(error, file=sys.stderr)
        return 1
    print("Ended. Run it again to go on where it stopped.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
