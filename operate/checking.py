"""`check`: asks the configured Freshdesk, and the ledger, whether the function can work with these settings."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from typing import Any, Final

from freshdesk_client import FreshdeskError, FreshdeskRefused, FreshdeskUnreachable
from handoff.bootstrap import open_writer
from handoff.helpdesk import HelpDesk
from handoff.ledger import Ledger, LedgerUnavailable
from handoff.routing import MAIN_ACCOUNT, Routing
from handoff.routing_errors import line_of
from handoff.settings import DeliverySettings, routing_file
from operate.operator import OK, TO_MEND, Operator
from operate.preflight import Finding, Preflight, read_form
from operate.reading import TIMEOUT_S, Told, patiently
from operate.routes import read_file, remarks_on

GLOBAL_SCOPE: Final = 1  # https://developers.freshdesk.com/api/#agents: 1 global, 2 group, 3 restricted
_MARKS: Final = {"ok": "ok", "warning": "look", "fault": "MEND"}
_STATUSES: Final = {
    401: "Freshdesk does not know this key: copy it again from the agent's profile settings",
    403: "the agent of this key may not read this: give them a role that may create and see tickets",
    404: "there is no such account: correct the address",
}
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
    writer = open_writer(settings, operator.clock)
    operator.at_end.callback(writer.ledger.close)
    found: list[tuple[str, Finding]] = []
    with operator.screen.bar("Asking Freshdesk", len(writer.helpdesks) + 1) as bar:
        for name, helpdesk in writer.helpdesks.items():
            found += (
                (name or "main", finding) for finding in _of_desk(name, helpdesk, settings.routing, text, bar.tell)
            )
            bar.step()
        found += (("", finding) for finding in _of_file(settings.routing, text))
        found += (("", finding) for finding in _of_ledger(writer.ledger, settings.ledger.store, operator.clock.now()))
    return _tell(operator, path.name, found)


def _of_desk(name: str, helpdesk: HelpDesk, routing: Routing, text: str, told: Told) -> Iterator[Finding]:
    suffix = f"_{name.upper()}" if name else ""
    try:
        yield _key(patiently(helpdesk, lambda: helpdesk.client.get("agents/me", TIMEOUT_S), told), suffix)
        form = read_form(patiently(helpdesk, lambda: helpdesk.client.get("ticket_fields", TIMEOUT_S), told))
    except FreshdeskError as error:
        yield _unread(error, name, suffix, text)
        return
    yield from Preflight(text, (route for route in routing.each() if route.account == name), form).findings()


def _key(me: Any, suffix: str) -> Finding:
    """Tell whether the key sees every ticket: one that does not would not find those of other groups again."""
    scope = me.get("ticket_scope") if isinstance(me, dict) else None
    if scope == GLOBAL_SCOPE:
        return Finding("ok", f"FRESHDESK_API_KEY{suffix}", "valid, and sees every ticket")
    told = f"its agent sees only some tickets (ticket_scope {scope}): set the agent's scope to Global Access"
    return Finding("fault", f"FRESHDESK_API_KEY{suffix}", told)


def _unread(error: FreshdeskError, name: str, suffix: str, text: str) -> Finding:
    status = error.status if isinstance(error, FreshdeskRefused) else None
    told = _STATUSES.get(status or 0, f"no answer to work with ({error})")
    if isinstance(error, FreshdeskUnreachable):
        told = f"cannot be reached ({error}): correct {_UNREACHABLE.get(error.code, 'the address, or the network')}"
    if status in {401, 403}:
        return Finding("fault", f"FRESHDESK_API_KEY{suffix}", told)
    if name != MAIN_ACCOUNT:
        return Finding("fault", f"desks.{name}.url", told, line_of(text, ("desks", name, "url")))
    return Finding("fault", "FRESHDESK_URL", told)


def _of_file(routing: Routing, text: str) -> Iterator[Finding]:
    yield from (Finding("warning", "routing", remark) for remark in remarks_on(routing))
    domain = routing.fallback_requester.rpartition("@")[2]
    if domain in {"example.com", "example.org", "example.net"}:
        told = f"{domain} belongs to nobody: put an address of yours there"
        yield Finding("warning", "fallback_requester", told, line_of(text, ("fallback_requester",)))


def _of_ledger(ledger: Ledger, store: str, now: float) -> Iterator[Finding]:
    """Read by the table's key and by each index."""
    try:
        ledger.find("BF-CHECK", now=now)
        ledger.in_conversation("check", now=now)
        waiting = len(ledger.due(now, 1))
    except LedgerUnavailable as error:
        yield Finding("fault", "LEDGER_URL", f"the {store} ledger does not answer ({error})")
        return
    yield Finding("ok", "LEDGER_URL", f"the {store} ledger answers; {'some' if waiting else 'no'} rows are due")


def _tell(operator: Operator, file: str, found: list[tuple[str, Finding]]) -> int:
    faults = [finding for _, finding in found if finding.level == "fault"]
    rows = [{"desk": helpdesk, **finding._asdict()} for helpdesk, finding in found]
    operator.screen.json({"ok": not faults, "file": file, "findings": rows})
    order = ("fault", "warning", "ok")
    shown = sorted(found, key=lambda one: order.index(one[1].level))
    operator.screen.table(("", "desk", "what", "how it is", f"line of {file}"), (_cells(*one) for one in shown))
    told = f"{len(faults)} to mend." if faults else "Nothing to mend: the function can work with these settings."
    operator.screen.say(told)
    return TO_MEND if faults else OK


def _cells(helpdesk: str, finding: Finding) -> tuple[object, ...]:
    return (_MARKS[finding.level], helpdesk, finding.what, finding.told, finding.line)
