"""`check`: finds out whether the function can work with these settings, Freshdesk and the ledger."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

from freshdesk_client import FreshdeskError, FreshdeskRefused, FreshdeskUnreachable
from handoff.bootstrap import open_writer
from handoff.helpdesk import HelpDesk
from handoff.ledger import Ledger, LedgerUnavailable
from handoff.routing import MAIN_ACCOUNT, Routing
from handoff.routing_errors import line_of
from handoff.settings import DeliverySettings, LedgerAddress, routing_file
from operate.operator import NEEDS_ACTION, OK, Operator, missing_file
from operate.preflight import Finding, Preflight, read_form
from operate.reading import TIMEOUT_S, Say, patiently
from operate.routes import read_file, remarks_on

GLOBAL_SCOPE: Final = 1  # https://developers.freshdesk.com/api/#agents: 1 global, 2 group, 3 restricted
_MARKS: Final = {"ok": "ok", "warning": "look", "fault": "FIX"}
_STATUSES: Final = {
    401: "Freshdesk does not know this key: copy it again from the agent's profile settings",
    403: "the agent of this key may not read this: give them a role that may create and see tickets",
    404: "there is no such account: correct the address",
}
# Freshdesk's own codes for a refusal of the whole call: https://developers.freshdesk.com/api/#error
_CODES: Final = {
    "account_suspended": "the account is suspended: its owner has to reactivate it in Freshdesk",
    "require_feature": "the account's plan lacks a feature that this needs",
    "ssl_required": "the address must begin with https://",
    "password_lockout": "the agent is locked out after too many wrong passwords: unlock them in Freshdesk",
    "password_expired": "the agent's password is over: set a new one, then copy the key again",
}
_NO_FOLDER: Final = "its folder does not exist: correct the path, or make the folder"
_OF_THE_URL: Final = frozenset({"account_suspended", "require_feature", "ssl_required"})
_UNREACHABLE: Final = {
    "ca-bundle": "REQUESTS_CA_BUNDLE or this machine's list of certificate authorities",
    "certificate": "the certificate, or the list of authorities that REQUESTS_CA_BUNDLE names",
    "proxy": "HTTPS_PROXY, or the proxy",
}


def check(args: Namespace, operator: Operator) -> int:
    """Run `check`."""
    del args
    settings = DeliverySettings.read(operator.environ)
    path = routing_file(operator.environ)
    text = read_file(path, "ROUTING_FILE").decode("utf-8-sig")
    writer = open_writer(settings, operator.clock, create_ledger=False)
    operator.at_end.callback(writer.ledger.close)
    found: list[tuple[str, Finding]] = []
    with operator.screen.bar("Asking Freshdesk", len(writer.helpdesks) + 1) as bar:
        for name, helpdesk in writer.helpdesks.items():
            found += (
                (name or "main", finding) for finding in _of_account(name, helpdesk, settings.routing, text, bar.say)
            )
            bar.step()
        found += (("", finding) for finding in _of_file(settings.routing, text))
        found += (("", finding) for finding in _of_ledger(writer.ledger, settings.ledger, operator.clock.now()))
    return _show(operator, path.name, found)


def _of_account(name: str, helpdesk: HelpDesk, routing: Routing, text: str, say: Say) -> Iterator[Finding]:
    """Check the key, then the form; if one read fails, it is a finding, and the other is made all the same."""
    suffix = f"_{name.upper()}" if name else ""
    answers: dict[str, Any] = {}
    failures: dict[Finding, None] = {}  # each once, because a wrong key fails both
    for path in ("agents/me", "ticket_fields"):
        try:
            answers[path] = patiently(helpdesk, partial(helpdesk.client.get, path, TIMEOUT_S), say)
        except FreshdeskError as error:
            failures[unread(error, name, suffix, text)] = None
    yield from failures
    if "agents/me" in answers:
        yield _key(answers["agents/me"], suffix)
    if "ticket_fields" in answers:
        form = read_form(answers["ticket_fields"])
        yield from Preflight(text, (one for one in routing.each() if one.account == name), form).findings()


def _key(me: Any, suffix: str) -> Finding:
    """Check that the key sees every ticket; otherwise tickets of other groups would not be found again."""
    scope = me.get("ticket_scope") if isinstance(me, dict) else None
    if scope == GLOBAL_SCOPE:
        return Finding("ok", f"FRESHDESK_API_KEY{suffix}", "valid, and sees every ticket")
    advice = f"its agent sees only some tickets (ticket_scope {scope}): set the agent's scope to Global Access"
    return Finding("fault", f"FRESHDESK_API_KEY{suffix}", advice)


def unread(error: FreshdeskError, name: str, suffix: str, text: str) -> Finding:
    """Return a failed read as the setting to correct, with Freshdesk's own code.

    Args:
        error: why it failed.
        name: the account in routing.toml; "" is the main one.
        suffix: of the account's FRESHDESK_API_KEY.
        text: routing.toml.
    """
    status = error.status if isinstance(error, FreshdeskRefused) else None
    code = error.code if isinstance(error, FreshdeskRefused) else ""
    advice = f"no usable answer ({error})"
    if isinstance(error, FreshdeskUnreachable):
        advice = f"cannot be reached ({error}): correct {_UNREACHABLE.get(error.code, 'the address, or the network')}"
    elif known := _CODES.get(code) or _STATUSES.get(status or 0):
        advice = f"{known} ({status} {code})" if code else known
    if status in {401, 403} and code not in _OF_THE_URL:
        return Finding("fault", f"FRESHDESK_API_KEY{suffix}", advice)
    if name != MAIN_ACCOUNT:
        return Finding("fault", f"desks.{name}.url", advice, line_of(text, ("desks", name, "url")))
    return Finding("fault", "FRESHDESK_URL", advice)


def _of_file(routing: Routing, text: str) -> Iterator[Finding]:
    yield from (Finding("warning", "routing", remark) for remark in remarks_on(routing))
    domain = routing.fallback_requester.rpartition("@")[2]
    if domain in {"example.com", "example.org", "example.net"}:
        advice = f"{domain} belongs to nobody: put an address of yours there"
        yield Finding("warning", "fallback_requester", advice, line_of(text, ("fallback_requester",)))


def _of_ledger(ledger: Ledger, address: LedgerAddress, now: float) -> Iterator[Finding]:
    """Read by the table's key and by each index. A missing SQLite file is not made."""
    if missing := missing_file(address):
        has_folder = Path(address.name).parent.is_dir()
        yield Finding("warning" if has_folder else "fault", "LEDGER_URL", missing if has_folder else _NO_FOLDER)
        return
    try:
        ledger.find("BF-CHECK", now=now)
        ledger.in_conversation("check", now=now)
        waiting = len(ledger.due(now, 1))
    except LedgerUnavailable as error:
        yield Finding("fault", "LEDGER_URL", f"the {address.store} ledger does not answer ({error})")
        return
    yield Finding("ok", "LEDGER_URL", f"the {address.store} ledger answers; {'some' if waiting else 'no'} rows are due")


def _show(operator: Operator, file: str, found: list[tuple[str, Finding]]) -> int:
    faults = [finding for _, finding in found if finding.level == "fault"]
    rows = [{"account": account, **finding._asdict()} for account, finding in found]
    operator.screen.json({"ok": not faults, "file": file, "findings": rows})
    order = ("fault", "warning", "ok")
    shown = sorted(found, key=lambda one: order.index(one[1].level))
    cells = ((_MARKS[one.level], account, one.what, one.text, one.line) for account, one in shown)
    operator.screen.table(("", "account", "what", "how it is", f"line of {file}"), cells)
    good = "Nothing to fix: the function can work with these settings."
    operator.screen.say(f"{len(faults)} to fix." if faults else good)
    return NEEDS_ACTION if faults else OK
