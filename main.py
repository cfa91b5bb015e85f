"""The two entry points that platforms call: `create_ticket` for HTTP, `sweep_once` for the schedule.

This module alone reads the process's environment; it starts the function when it is imported.
"""

from __future__ import annotations

import os
from typing import Final

from flask import Request

from handoff import sweep
from handoff.bootstrap import open_endpoint
from handoff.responses import Reply
from handoff.settings import SettingsError

try:
    ENDPOINT: Final = open_endpoint(os.environ)
except SettingsError as _error:
    raise SystemExit(f"The function cannot start. Fix this and start it again:\n{_error}") from None


def create_ticket(request: Request) -> Reply:
    """Serve one HTTP request."""
    return ENDPOINT(request)


def sweep_once(budget_s: float = sweep.BUDGET_S) -> sweep.SweepReport:
    """Run one pass of the sweep."""
    return sweep.sweep(ENDPOINT.delivery.writer, budget_s=budget_s)
