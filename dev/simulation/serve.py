"""A process that can be killed at any moment: it is forked from a warm parent, which forks the next one at once.

Everything in the child is real: settings, wiring, sockets, SQLite, Freshdesk over HTTP. Only the lease is shorter, so
that a proof need not wait a minute for each death. The parent prints the number of every child it forks.
"""

from __future__ import annotations

import argparse
import itertools
import os
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NoReturn

from flask import Request
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

from dev.local_freshdesk.tied import tie_to
from dev.simulation.endpoints import open_endpoint
from handoff.bootstrap import open_writer
from handoff.delivery import Delivery
from handoff.ledger import LedgerUnavailable
from handoff.ledger.sqlite import SQLiteLedger
from handoff.settings import Settings
from handoff.sweep import sweep

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

SWEEP_PAUSE_S: Final = 0.3
SWEEP_BUDGET_S: Final = 60.0
_BACKLOG: Final = 512


def main() -> None:
    """Fork one child after the other until it is ended."""
    parser = argparse.ArgumentParser(prog="python -m dev.simulation.serve")
    parser.add_argument("role", choices=("function", "sweep"))
    parser.add_argument("--lease", type=float, required=True, help="seconds, above DEADLINE_S")
    parser.add_argument("--forgetful", action="store_true", help="a control: every child begins with an empty ledger")
    options = parser.parse_args()
    settings, parent = Settings.read(os.environ), os.getpid()
    delivery = Delivery(open_writer(settings))
    delivery = Delivery(replace(delivery.writer, policy=replace(delivery.writer.policy, lease_s=options.lease)))
    work = _serving(delivery) if options.role == "function" else lambda: sweep_for_ever(delivery)
    for number in itertools.count():
        if options.forgetful:
            delivery = Delivery(
                replace(delivery.writer, ledger=SQLiteLedger(f"{settings.ledger.name}.{parent}.{number}"))
            )
            work = _serving(delivery, _LISTENING[0]) if options.role == "function" else work
        child = os.fork()
        if child == 0:
            tie_to(parent)  # a handler in the parent would not know a child just forked
            work()
        print(child, flush=True)
        os.waitpid(child, 0)


_LISTENING: Final[list[socket.socket]] = []


def _serving(delivery: Delivery, listening: socket.socket | None = None) -> Callable[[], None]:
    """Return what serves delivery on a socket that outlives the one who serves."""
    endpoint = open_endpoint(delivery)
    if listening is None:
        listening = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
        _LISTENING.append(listening)
        print(listening.getsockname()[1], flush=True)

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        reply = endpoint(Request(environ))
        return Response(reply.body, reply.status, reply.headers)(environ, start_response)

    def serve() -> None:
        make_server("127.0.0.1", 0, app, threaded=True, fd=listening.fileno()).serve_forever()

    return serve


def sweep_for_ever(delivery: Delivery) -> NoReturn:
    """Run one pass after the other."""
    while True:
        with suppress(LedgerUnavailable):
            sweep(delivery.writer, budget_s=SWEEP_BUDGET_S)
        time.sleep(SWEEP_PAUSE_S)


if __name__ == "__main__":
    main()
