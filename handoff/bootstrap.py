"""Builds the parts from the settings and connects them."""

from __future__ import annotations

import logging
import os
import random
import secrets
from collections.abc import Mapping
from pathlib import Path
from threading import BoundedSemaphore

from jinja2 import TemplateError

from freshdesk_client import FreshdeskClient
from handoff.deadline import Clock, SystemClock
from handoff.delivery import Delivery
from handoff.endpoint import Endpoint
from handoff.fetching import Fetcher
from handoff.helpdesk import HelpDesk
from handoff.ledger import Ledger, LedgerUnavailable
from handoff.log import log_as_json
from handoff.responses import MESSAGES_FILE, Messages, MessagesError
from handoff.settings import DeliverySettings, LedgerAddress, Settings, SettingsError
from handoff.ticket import try_templates
from handoff.transitions import Policy
from handoff.transport import RequestsTransport
from handoff.version import VERSION, commit
from handoff.writer import TicketWriter

logger = logging.getLogger("handoff.bootstrap")


def open_ledger(address: LedgerAddress, *, create: bool = True) -> Ledger:
    """Return the store without opening it; botocore is imported only for DynamoDB.

    Args:
        address: where it is.
        create: whether a SQLite file that is not there may be made; if not, the first call raises LedgerMissing.
    """
    if address.store == "dynamodb":
        from handoff.ledger.dynamodb import DynamoDBLedger  # noqa: PLC0415 -- takes 200 ms, which SQLite does not need

        return DynamoDBLedger(address.name, region=address.region, endpoint=address.endpoint)
    from handoff.ledger.sqlite import SQLiteLedger  # noqa: PLC0415 -- as above

    return SQLiteLedger(address.name, create=create)


def open_writer(settings: DeliverySettings, clock: Clock | None = None, *, create_ledger: bool = True) -> TicketWriter:
    """Return the writer for settings, with the system clock by default. Opens no connection yet."""
    clock = clock or SystemClock()
    urls = {"": settings.freshdesk_url, **settings.routing.accounts}
    return TicketWriter(
        helpdesks={
            name: HelpDesk(url.rstrip("/"), FreshdeskClient(RequestsTransport(url, settings.api_keys[name])), clock)
            for name, url in urls.items()
        },
        ledger=open_ledger(settings.ledger, create=create_ledger),
        routing=settings.routing,
        clock=clock,
        new_owner=lambda: secrets.token_hex(8),
        jitter=random.SystemRandom().random,
        fetch=Fetcher(settings.attachment_hosts),
        policy=Policy(deadline_s=settings.deadline_s, in_doubt_wait_s=settings.in_doubt_wait_s),
    )


def threads_of(environ: Mapping[str, str]) -> int:
    """Return how many calls functions-framework serves at once: THREADS, else four for each core."""
    said = environ.get("THREADS", "").strip()
    return max(int(said), 1) if said.isdecimal() else 4 * (os.cpu_count() or 1)


def posts_for(threads: int) -> int:
    """Return how many of a process's threads may wait for Freshdesk at once.

    >>> [posts_for(threads) for threads in (1, 4, 16, 64)]
    [1, 2, 12, 60]
    """
    return max(threads - 4, threads // 2, 1)


def open_endpoint(
    environ: Mapping[str, str], messages_file: Path = MESSAGES_FILE, clock: Clock | None = None
) -> Endpoint:
    """Return the endpoint that environ describes, by the system clock if none is given.

    Raises:
        SettingsError: with every fault of the settings and of the routing file, or the first of the templates.
    """
    log_as_json(platform_formats=environ.get("AWS_LAMBDA_LOG_FORMAT") == "JSON")
    settings = Settings.read(environ)
    try:
        messages = Messages(messages_file.read_text(encoding="utf-8"))
        try_templates()
    except (MessagesError, TemplateError) as error:
        raise SettingsError(f"- templates: {error}") from error
    writer = open_writer(settings, clock)
    try:
        writer.ledger.check()
    except LedgerUnavailable as error:  # requests still get tickets, without a ledger
        logger.error("ledger down", extra={"store": settings.ledger.store, "error": str(error)})
    posts_at_once = BoundedSemaphore(posts_for(threads_of(environ)))
    endpoint = Endpoint(Delivery(writer, posts_at_once), settings.secrets, messages)
    logger.info("started", extra={"version": VERSION, "commit": commit()})
    return endpoint
