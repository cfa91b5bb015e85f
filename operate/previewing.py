"""`preview`: the ticket that a handoff would become, without sending it. It prints what the caller gave it."""

from __future__ import annotations

import json
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any, Final, NamedTuple

from handoff.inbound import (
    BODY_KEY_LIFETIME_S,
    Fault,
    Handoff,
    InvalidHandoff,
    read_handoff,
    schema,
)
from handoff.responses import MESSAGES_FILE, Messages, problem
from handoff.routing import Route, Routing
from handoff.sanitize import clean, mask_cards, plain
from handoff.settings import read_routing
from handoff.strict_json import BODY_MAX, MalformedJSON, parse_body
from handoff.ticket import NO_ROUTE_TAG, SUBJECT_MAX, to_ticket
from operate.operator import NEEDS_ACTION, OK, Halt, Operator
from operate.plain import plain_text

_FREE_TEXT: Final = ("conversation_summary", "conversation_transcript", "reason", "user_name")
_PAGE: Final = """<!doctype html>
<html lang="es"><meta charset="utf-8"><title>{subject}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 48rem; margin: 2rem auto; padding: 0 1rem }}
td {{ padding: .15rem 1rem .15rem 0; vertical-align: top }} article {{ border-top: 1px solid #999 }}</style>
<h1>{subject}</h1><table>{rows}</table>
<article>{description}</article></html>
"""


class Preview(NamedTuple):
    """A handoff that was read, and its ticket."""

    handoff: Handoff
    route: Route
    fields: dict[str, Any]
    key: str
    warnings: list[str]


def preview(args: Namespace, operator: Operator) -> int:
    """Run `preview`."""
    raw = _read(args.file, operator)
    routing = read_routing(operator.environ)
    if len(raw) > BODY_MAX:
        return _refused(operator, "payload-too-large", found=f"this one has {len(raw):,} bytes")
    try:
        body = parse_body(raw)
        handoff = read_handoff(body, args.idempotency_key, routing.messengers)
    except MalformedJSON as error:
        return _refused(operator, "malformed-json", found=f"{error.__cause__ or error}")
    except InvalidHandoff as error:
        return _refused(operator, "invalid-handoff", error.faults, error.salvaged.reference)
    _show(operator, _previewed(body, handoff, routing, args.idempotency_key), as_page=args.html)
    return OK


def _read(file: str, operator: Operator) -> bytes:
    if file == "-":
        return operator.stdin.read().encode("utf-8", "surrogateescape")
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise Halt(f"FILE.json: {file} cannot be read ({type(error).__name__})") from error


def _refused(
    operator: Operator, code: str, faults: tuple[Fault, ...] = (), reference: str = "", found: str = ""
) -> int:
    """Show the answer that the bot would get."""
    messages = Messages(MESSAGES_FILE.read_text(encoding="utf-8"))
    answer = json.loads(problem(code, messages, faults=faults, reference=reference).body)
    operator.screen.json(answer | ({"found": found} if found else {}))
    operator.screen.say(f"Refused with {answer['status']} {code}: {answer['detail']}{f' ({found})' if found else ''}")
    for error in answer.get("errors", ()):
        operator.screen.say(f"- {error['field']}: {error['message']}")
    operator.screen.say(f"The bot would say: {answer['message']}")
    operator.screen.say("It is kept all the same; if no good one follows in 15 minutes, the sweep makes it a ticket.")
    return NEEDS_ACTION


def _previewed(body: Mapping[str, Any], handoff: Handoff, routing: Routing, idempotency_key: str) -> Preview:
    route = routing.route(handoff.bot, handoff.category)
    fields = to_ticket(handoff, route, fallback_requester=routing.fallback_requester)
    warnings = [*_cuts(body), *_masked(body), *_unrouted(handoff, route, routing), *_shortened(fields)]
    warnings += [f"{name}: not a field of the schema; it is shown under Otros datos" for name, _ in handoff.other]
    return Preview(handoff, route, fields, _key_kind(handoff, idempotency_key), warnings)


def _key_kind(handoff: Handoff, idempotency_key: str) -> str:
    if idempotency_key.strip().strip('"'):
        return "the header Idempotency-Key (holds 30 days)"
    if handoff.lifetime_s == BODY_KEY_LIFETIME_S:
        return "a hash of the body (holds 24 h): other words are another handoff; send conversation_id and message_id"
    return "conversation_id and message_id (holds 30 days)"


def _cuts(body: Mapping[str, Any]) -> Iterator[str]:
    for name, rule in schema()["properties"].items():
        value, most = body.get(name), rule.get("x-cut-at")
        if most and isinstance(value, str) and len(clean(value)) > most:
            end = "end" if rule.get("x-keep") == "tail" else "beginning"
            yield f"{name}: {len(clean(value)):,} characters; only the {end} is kept, {most:,} of them"


def _masked(body: Mapping[str, Any]) -> Iterator[str]:
    for name in _FREE_TEXT:
        value = body.get(name)
        if isinstance(value, str) and mask_cards(clean(value)) != clean(value):
            yield f"{name}: holds a payment card number; all but its last four digits are masked"


def _unrouted(handoff: Handoff, route: Route, routing: Routing) -> Iterator[str]:
    if plain(handoff.bot) not in routing.bots:
        yield f"bot: {'not given' if not handoff.bot else 'not in routing.toml'}; {route.bot} is supposed"
    if not route.category:
        yield f"category: not in routing.toml; it takes the bot's default route, with the tag {NO_ROUTE_TAG}"


def _shortened(fields: Mapping[str, Any]) -> Iterator[str]:
    if len(fields["subject"]) == SUBJECT_MAX:
        yield f"subject: cut to {SUBJECT_MAX} characters, the reference kept"


def _show(operator: Operator, found: Preview, *, as_page: bool) -> None:
    screen, text = operator.screen, plain_text(found.fields["description"])
    page = _write_page(found) if as_page else None
    screen.json(
        {
            "reference": found.handoff.reference,
            "key": found.key,
            "account": found.route.account,
            "group": found.route.group,
            "priority": found.route.priority,
            "ticket": found.fields,
            "description_text": text,
            "warnings": found.warnings,
            **({"page": str(page)} if page else {}),
        },
    )
    screen.table(("field", "value"), _rows(found).items(), "The ticket it would become (nothing was sent)")
    screen.say(f"\n{text}\n")
    for warning in found.warnings:
        screen.say(f"- {warning}")
    if page:
        screen.say(f"Page: {page}")
        operator.open_page(page.as_uri())


def _rows(found: Preview) -> dict[str, object]:
    fields, route = found.fields, found.route
    requester = (fields.get(name) for name in ("name", "email", "phone"))
    main = {
        "subject": fields["subject"],
        "requester": ", ".join(str(value) for value in requester if value),
        "group": f"{route.group} ({route.group_id})" if route.group else route.group_id,
        "priority": route.priority,
        "type": route.type,
        "tags": ", ".join(fields["tags"]),
        "account": route.account,
        "reference": found.handoff.reference,
        "key": found.key,
    }
    rest = ("source", "product_id", "responder_id", "email_config_id", "custom_fields")
    return {name: value for name, value in {**main, **{name: fields.get(name) for name in rest}}.items() if value}


def _write_page(found: Preview) -> Path:
    """Write the ticket as a page that only its owner can read, and that runs no code and loads nothing."""
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(str(value))}</td></tr>" for name, value in _rows(found).items()
    )
    page = _PAGE.format(subject=escape(found.fields["subject"]), rows=rows, description=found.fields["description"])
    with tempfile.NamedTemporaryFile("w", suffix=".html", prefix="preview-", delete=False, encoding="utf-8") as file:
        file.write(page)
    return Path(file.name)
