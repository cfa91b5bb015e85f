"""The environment → `Settings`; every fault is named at once, and no secret is ever shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar
from urllib.parse import parse_qs, urlsplit

from freshdesk_client import is_freshdesk_url, is_loopback
from handoff.routing import Routing, RoutingError, load_routing

SECRET_MIN: Final = 32
DEADLINES_S: Final = (4.0, 50.0)  # with less, a POST and a search do not fit; with more, Botpress has given up
WAITS_S: Final = (1.0, 86_400.0)
PROJECT: Final = Path(__file__).parent.parent
DEFAULT_LEDGER: Final = "sqlite:///handoffs.db"
DEFAULT_ROUTING: Final = PROJECT / "config" / "routing.toml"
DEFAULT_HOSTS: Final = frozenset({"files.bpcontent.cloud"})  # where Botpress keeps what people send
NO_HOSTS: Final = "none"
_HOST: Final = re.compile(r"(?:\*\.)?[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,8}")
_LOCAL_HOST: Final = re.compile(r"(?:127\.0\.0\.1|localhost):[0-9]{1,5}")
T = TypeVar("T")
_TABLE: Final = re.compile(r"[A-Za-z0-9_.-]{3,255}")
# botocore raises its own errors for any other value, and only at the first request.
_REGION: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_ENDPOINT: Final = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?/?")


class SettingsError(Exception):
    """The environment is incomplete or invalid; the message has one line for each fault, with its correction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerAddress:
    """The location of the ledger: a SQLite file, or a DynamoDB table."""

    store: str  # "sqlite" or "dynamodb"
    name: str  # the file's absolute path, or the table's name
    region: str = ""
    endpoint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySettings:
    """The settings of delivery; the sweep and the operator's commands do not need the webhook secret."""

    freshdesk_url: str
    api_keys: Mapping[str, str] = field(repr=False)  # account → key; "" is the main account
    ledger: LedgerAddress
    routing: Routing = field(repr=False)
    deadline_s: float
    in_doubt_wait_s: float
    attachment_hosts: frozenset[str] = DEFAULT_HOSTS

    @staticmethod
    def read(environ: Mapping[str, str]) -> DeliverySettings:
        """Read the settings of delivery.

        Raises:
            SettingsError: with every fault.
        """
        reader = _Reader(environ)
        return reader.sound(reader.delivery())


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(DeliverySettings):
    """The settings of the function. Its repr shows no secret."""

    secrets: tuple[bytes, ...] = field(repr=False)

    @staticmethod
    def read(environ: Mapping[str, str]) -> Settings:
        """Read the settings.

        Raises:
            SettingsError: with every fault.
        """
        reader = _Reader(environ)
        return reader.sound(reader.settings())


def read_ledger(environ: Mapping[str, str]) -> LedgerAddress:
    """Return the location of the ledger, for callers that need nothing else.

    Raises:
        SettingsError: LEDGER_URL is not an address.
    """
    reader = _Reader(environ)
    return reader.sound(reader.ledger())


def read_routing(environ: Mapping[str, str]) -> Routing:
    """Return the routing, for callers that need nothing else.

    Raises:
        SettingsError: with every fault of the file.
    """
    reader = _Reader(environ)
    return reader.sound(reader.routing())


def routing_file(environ: Mapping[str, str]) -> Path:
    """Return the path of the routing file, which may not exist.

    A relative path that leads nowhere is looked for in config/: until 1.0.0 the file was in the project's folder.
    """
    given = Path(environ.get("ROUTING_FILE", "").strip() or DEFAULT_ROUTING)
    moved = DEFAULT_ROUTING.parent / given
    return moved if not given.exists() and moved.is_file() else given


class _Reader:
    """Reads one environment, and collects its faults."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.faults: list[str] = []

    def sound(self, found: T | None) -> T:
        """Return the result, if there are no faults."""
        if self.faults or found is None:
            raise SettingsError("\n".join(f"- {fault}" for fault in self.faults))
        return found

    def settings(self) -> Settings | None:
        delivery = self.delivery()
        url = self._environ.get("FRESHDESK_URL", "").strip()
        secrets = self._secrets(local=is_freshdesk_url(url) and is_loopback(url))
        if delivery is None:
            return None
        return Settings(secrets=secrets, **{one.name: getattr(delivery, one.name) for one in fields(delivery)})

    def delivery(self) -> DeliverySettings | None:
        url = self._url("FRESHDESK_URL", self._needed("FRESHDESK_URL", "https://<your account>.freshdesk.com"))
        key = self._needed("FRESHDESK_API_KEY", "the key of an agent, from Freshdesk's profile settings")
        ledger = self.ledger()
        routing = self.routing()
        deadline_s = self._seconds("DEADLINE_S", 12.0, DEADLINES_S)
        in_doubt_wait_s = self._seconds("IN_DOUBT_WAIT_S", 600.0, WAITS_S)
        hosts = self._hosts(local=is_freshdesk_url(url) and is_loopback(url))
        if routing is None or ledger is None:
            return None
        return DeliverySettings(
            freshdesk_url=url,
            api_keys=MappingProxyType({"": key, **self._account_keys(routing)}),
            ledger=ledger,
            routing=routing,
            deadline_s=deadline_s,
            in_doubt_wait_s=in_doubt_wait_s,
            attachment_hosts=hosts,
        )

    def _needed(self, name: str, what: str) -> str:
        value = self._environ.get(name, "").strip()
        if not value:
            self.faults.append(f"{name} is not set: {what}")
        return value

    def _url(self, name: str, value: str) -> str:
        if value and not is_freshdesk_url(value):
            self.faults.append(
                f"{name} must be https://<name>.freshdesk.com (http only to this machine); other addresses have no API",
            )
            return ""
        return value.rstrip("/")

    def _secrets(self, *, local: bool) -> tuple[bytes, ...]:
        value = self._needed("WEBHOOK_SECRET", f"what Botpress sends after Bearer; {SECRET_MIN} characters or more")
        secrets = tuple(secret.strip().encode() for secret in value.split(",") if secret.strip())
        if value and not secrets:
            self.faults.append("WEBHOOK_SECRET holds no secret, only commas")
        if any(len(secret) < SECRET_MIN for secret in secrets) and not local:
            self.faults.append(
                f"WEBHOOK_SECRET: each secret needs {SECRET_MIN} characters or more: openssl rand -hex 32"
            )
        return secrets

    def _hosts(self, *, local: bool) -> frozenset[str]:
        """Return the hosts whose files may be fetched; this machine's only with a Freshdesk on this machine."""
        value = self._environ.get("ATTACHMENT_HOSTS", "").strip().lower()
        if not value:
            return DEFAULT_HOSTS
        hosts = frozenset(host.strip() for host in value.split(",") if host.strip()) - {NO_HOSTS}
        for host in sorted(hosts):
            if _LOCAL_HOST.fullmatch(host) and not local:
                self.faults.append(f"ATTACHMENT_HOSTS: {host} is for tests: it needs a FRESHDESK_URL on this machine")
            elif not _LOCAL_HOST.fullmatch(host) and not _HOST.fullmatch(host):
                self.faults.append(
                    "ATTACHMENT_HOSTS must be host names with commas between, such as files.bpcontent.cloud or "
                    f"*.example.com, or {NO_HOSTS}; not {host[:80]!r}"
                )
        return hosts

    def ledger(self) -> LedgerAddress | None:
        address = _ledger_address(self._environ.get("LEDGER_URL", "").strip() or DEFAULT_LEDGER)
        if address is None:
            self.faults.append("LEDGER_URL must be sqlite:///path/to/file.db or dynamodb://table?region=sa-east-1")
        return address

    def routing(self) -> Routing | None:
        path = routing_file(self._environ)
        try:
            return load_routing(path.read_bytes())
        except RoutingError as error:
            self.faults += [f"{path.name}: {fault}" for fault in error.faults]
        except OSError as error:
            self.faults.append(f"ROUTING_FILE cannot be read: {path} ({type(error).__name__})")
        return None

    def _account_keys(self, routing: Routing) -> dict[str, str]:
        return {
            name: self._needed(f"FRESHDESK_API_KEY_{name.upper()}", f"the key for [desks.{name}] of the routing file")
            for name in routing.accounts
        }

    def _seconds(self, name: str, default: float, within: tuple[float, float]) -> float:
        value = self._environ.get(name, "").strip()
        try:
            seconds = float(value) if value else default
        except ValueError:
            seconds = float("nan")
        if not within[0] <= seconds <= within[1]:
            self.faults.append(f"{name} must be a number of seconds from {within[0]:g} to {within[1]:g}")
        return seconds


def _ledger_address(url: str) -> LedgerAddress | None:
    """Return the location that url names, or None if it is invalid.

    A relative path is relative to the project: a command started in another folder must not make a ledger there.

    >>> _ledger_address("sqlite:///handoffs.db").name == str(PROJECT / "handoffs.db")
    True
    >>> _ledger_address("sqlite:////var/handoffs.db").name
    '/var/handoffs.db'
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme == "sqlite" and not parts.netloc and len(parts.path) > 1:
        path = parts.path[1:]
        return LedgerAddress(store="sqlite", name=path if path == ":memory:" else str(PROJECT / path))
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    region, endpoint = query.get("region", ""), query.get("endpoint")
    named = _TABLE.fullmatch(parts.netloc) and _REGION.fullmatch(region)
    if parts.scheme == "dynamodb" and named and (endpoint is None or _ENDPOINT.fullmatch(endpoint)):
        return LedgerAddress(store="dynamodb", name=parts.netloc, region=region, endpoint=endpoint)
    return None
