"""What every command gets: the environment, the screen, the clock, and the parts built from the settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TextIO

from handoff.bootstrap import open_ledger, open_writer
from handoff.deadline import Clock
from handoff.ledger import Ledger
from handoff.settings import DeliverySettings, LedgerAddress, read_ledger
from handoff.writer import TicketWriter
from operate.screen import Screen

OK: Final = 0
NEEDS_ACTION: Final = 1  # the command ran, and found something for a person to do
WRONG_CALL: Final = 2  # argparse's own status for a wrong option; here also for wrong settings
NO_ANSWER: Final = 3  # the ledger or Freshdesk did not answer
INTERRUPTED: Final = 130


class Halt(Exception):
    """The command cannot go on; the message is one line that names the setting or the field, and the fix."""

    def __init__(self, message: str, status: int = WRONG_CALL) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One call of one command."""

    environ: Mapping[str, str] = field(repr=False)
    screen: Screen
    clock: Clock
    stdin: TextIO
    open_page: Callable[[str], object]
    at_end: ExitStack

    def ledger(self) -> Ledger:
        """Open the ledger at LEDGER_URL; no other setting is needed.

        Raises:
            SettingsError: LEDGER_URL is not an address.
            Halt: there is no such file: asking a new, empty one would answer wrongly.
        """
        address = read_ledger(self.environ)
        _must_exist(address)
        ledger = open_ledger(address, create=False)
        self.at_end.callback(ledger.close)
        return ledger

    def writer(self, *, new_ledger: bool = False) -> TicketWriter:
        """Build the writer for the environment, without the webhook secret.

        Args:
            new_ledger: whether the ledger's file may be absent. Only for a caller that waits until it is there.

        Raises:
            SettingsError, Halt: as for the ledger.
        """
        settings = DeliverySettings.read(self.environ)
        if not new_ledger:
            _must_exist(settings.ledger)
        writer = open_writer(settings, self.clock, create_ledger=False)
        self.at_end.callback(writer.ledger.close)
        return writer


def _must_exist(address: LedgerAddress) -> None:
    if missing := missing_file(address):
        raise Halt(f"LEDGER_URL: {missing}")


def missing_file(address: LedgerAddress) -> str:
    """Return what to do about a missing SQLite file, or "" if it exists or the store is another."""
    if address.store != "sqlite" or Path(address.name).is_file():
        return ""
    return f"there is no file {address.name}; the function makes it: start that first, or set its own LEDGER_URL here"
