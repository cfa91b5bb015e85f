"""The function inside the test's own process: `main` is imported once, with an environment of its own."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from handoff.ledger.sqlite import SQLiteLedger
from tests.factories import API_KEY, SECRET

_LEDGER = tempfile.mkdtemp()
atexit.register(shutil.rmtree, _LEDGER, ignore_errors=True)
NOWHERE = "http://127.0.0.1:9"  # nothing listens on the discard port


def environ(url: str = NOWHERE, ledger: str = f"{_LEDGER}/handoffs.db", **more: str) -> dict[str, str]:
    """Return a complete environment for the function."""
    return {
        "FRESHDESK_URL": url,
        "FRESHDESK_API_KEY": API_KEY,
        "WEBHOOK_SECRET": SECRET,
        "LEDGER_URL": f"sqlite:///{ledger}",
        **more,
    }


_before = dict(os.environ)
os.environ.update(environ())
try:
    import main
    from main import Function
finally:
    os.environ.clear()
    os.environ.update(_before)

__all__ = ["NOWHERE", "Function", "environ", "main", "open_function"]


@contextmanager
def open_function(url: str, folder: Path, **more: str) -> Iterator[Function]:
    """Return a function that talks to the Freshdesk at url and keeps its ledger in folder."""
    opened = main.start(environ(url, f"{folder}/handoffs.db", **more))
    try:
        yield opened
    finally:
        assert isinstance(opened.delivery.ledger, SQLiteLedger)
        opened.delivery.ledger.close()
