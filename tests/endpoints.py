"""The endpoint inside the test's own process, built from an environment of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from handoff import bootstrap
from handoff.endpoint import Endpoint
from tests.factories import API_KEY, SECRET
from tests.ledger_factories import QuickClock

__all__ = ["NOWHERE", "ROOT", "Endpoint", "environ", "open_endpoint"]

NOWHERE = "http://127.0.0.1:9"  # nothing listens on the discard port
ROOT = Path(__file__).parent.parent


def environ(url: str = NOWHERE, ledger: str | Path = "handoffs.db", **more: str) -> dict[str, str]:
    """Return a complete environment for the function."""
    return {
        "FRESHDESK_URL": url,
        "FRESHDESK_API_KEY": API_KEY,
        "WEBHOOK_SECRET": SECRET,
        "LEDGER_URL": f"sqlite:///{ledger}",
        **more,
    }


@contextmanager
def open_endpoint(url: str, folder: Path, **more: str) -> Iterator[Endpoint]:
    """Return an endpoint that talks to the Freshdesk at url and keeps its ledger in folder; its pauses cost nothing."""
    opened = bootstrap.open_endpoint(environ(url, folder / "handoffs.db", **more), clock=QuickClock())
    try:
        yield opened
    finally:
        opened.delivery.writer.ledger.close()
