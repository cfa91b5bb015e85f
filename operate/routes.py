"""`routes`: checks routing.toml, and prints a table of all routes."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from handoff.inbound import Handoff
from handoff.routing import MAIN_ACCOUNT, Route, Routing, RoutingError, load_routing
from handoff.settings import routing_file
from handoff.ticket import to_ticket
from operate.operator import NEEDS_ACTION, OK, Halt, Operator

_COLUMNS = ("bot", "category", "in the subject", "group", "priority", "type", "tags", "account")
_SAMPLE = Handoff(key="A" * 52, user_email="ana@example.com")  # the tags of a ticket do not depend on it
ANY_OTHER = "(any other)"


def show_routes(args: Namespace, operator: Operator) -> int:
    """Run `routes`."""
    path = Path(args.file) if args.file else routing_file(operator.environ)
    content = read_file(path, "FILE" if args.file else "ROUTING_FILE")
    try:
        routing = load_routing(content)
    except RoutingError as error:
        return _broken(operator, path, error)
    remarks = [*remarks_on(routing)]
    shown = [as_dict(route) for route in routing.each()]
    operator.screen.json({"file": str(path), "faults": [], "routes": shown, "remarks": remarks})
    operator.screen.table(
        _COLUMNS, map(_cells, routing.each()), f"{path.name}: a bot not named here is {routing.default_bot}"
    )
    for remark in remarks:
        operator.screen.say(f"- {remark}")
    return OK


def read_file(path: Path, name: str) -> bytes:
    """Return the content of the file in an option or a setting. Raises Halt."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise Halt(f"{name}: {path} cannot be read ({type(error).__name__})") from error


def _broken(operator: Operator, path: Path, error: RoutingError) -> int:
    operator.screen.json({"file": str(path), "faults": [fault._asdict() for fault in error.faults]})
    for fault in error.faults:
        operator.screen.say(f"{path.name}: {fault}")
    operator.screen.say(f"{len(error.faults)} to fix; until then the function does not start with this file.")
    return NEEDS_ACTION


def as_dict(route: Route) -> dict[str, Any]:
    """Return a route as plain values; category None is the bot's default route."""
    return {
        "bot": route.bot,
        "category": route.category or None,
        "label": route.label,
        "group": route.group,
        "group_id": route.group_id,
        "priority": route.priority,
        "type": route.type,
        "product_id": route.product_id,
        "source": route.source,
        "tags": to_ticket(_SAMPLE, route)["tags"],
        "account": route.account,
    }


def _cells(route: Route) -> tuple[object, ...]:
    group = f"{route.group} ({route.group_id})" if route.group else route.group_id
    label = route.label or "as the bot names it"
    names = (route.bot, route.category or ANY_OTHER, label, group, route.priority)
    return (*names, route.type, ", ".join(as_dict(route)["tags"]), route.account or "main")


def remarks_on(routing: Routing) -> Iterator[str]:
    """Yield values that are allowed, but probably a mistake."""
    if not routing.fallback_requester:
        yield "fallback_requester is not set: what is refused and not corrected waits for you in list --state rejected"
    used = {route.account for route in routing.each()}
    for name in sorted(routing.accounts.keys() - used):
        yield f"[desks.{name}] is used by no bot"
    for route in routing.each():
        if route.group_id is None and route.account != MAIN_ACCOUNT:
            yield f"{route.bot}, {route.category or ANY_OTHER}: no group_id; with its own account a bot inherits none"
