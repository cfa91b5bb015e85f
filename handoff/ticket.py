"""Pure: (`Handoff`, `Route`) → the fields of a Freshdesk ticket, and the text of a note. Total: never raises."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import fields
from enum import IntEnum
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from handoff.inbound import Handoff
from handoff.marks import mark, with_mark, without_marks
from handoff.routing import PRIORITIES, Route
from handoff.sanitize import cut, one_line

TEMPLATES: Final = Path(__file__).parent.parent / "config"
STATUS_OPEN: Final = 2
# Freshdesk's own limits are not documented; every account is known to accept these lengths.
SUBJECT_MAX: Final = 255
TAG_MAX: Final = 32
NO_ROUTE_TAG: Final = "sin-categoria"
NO_NAME: Final = "Sin nombre"
REFUSED_REMARK: Final = "El bot mandó este pedido con datos que no sirven o que faltan. Esto es lo que hay."

NEEDED: Final = frozenset({"email", "subject", "description", "status"})
_FORMULA_STARTS: Final = ("=", "+", "-", "@")
_UNSAFE_IN_LINK: Final = re.compile(r"[\s\"'<>\\]")
_PLACEHOLDER: Final = re.compile(r"\{(category|reason|bot|name)\}")
_FIELD_NAMES: Final = {
    "group_id": "grupo",
    "product_id": "producto",
    "type": "tipo",
    "source": "origen",
    "tags": "etiquetas",
    "responder_id": "agente",
    "email_config_id": "casilla",
    "priority": "prioridad",
    "phone": "teléfono",
    "name": "nombre",
}
_ID_LABELS: Final = (
    ("Id. de conversación", "conversation_id"),
    ("Id. de mensaje", "message_id"),
    ("Id. de usuario", "user_id"),
    ("Id. de bot", "bot_id"),
)


class Rung(IntEnum):
    """Forms of a ticket; each one leaves out more than the one before, for content that Freshdesk refuses."""

    FULL = 0
    BARE = 1  # no optional fields
    WITHOUT_PHONE = 2
    SHORT = 3  # a short description in plain text; the rest follows as a note
    FALLBACK_REQUESTER = 4


_BARE: Final = frozenset({"email", "phone", "name", "subject", "description", "status"})
SHORT_MAX: Final = 500
SHORT_REMARK: Final = "El pedido completo está en una nota privada de este ticket."


def _lines(text: str) -> Markup:
    return Markup(str(escape(str(text))).replace("\n", "<br>"))  # noqa: S704 -- escaped just here


_environment: Final = Environment(
    loader=FileSystemLoader(TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    auto_reload=False,
)
_environment.filters["lines"] = _lines
_ticket: Final = _environment.get_template("ticket.html")
_note: Final = _environment.get_template("note.html")


def to_ticket(
    handoff: Handoff,
    route: Route,
    *,
    dropped: Collection[str] = (),
    rung: int = Rung.FULL,
    refused: bool = False,
    fallback_requester: str = "",
) -> dict[str, Any]:
    """Return the fields of the ticket for handoff, ready for POST /api/v2/tickets.

    Args:
        handoff: what the person asks.
        route: where it goes.
        dropped: fields Freshdesk refused; they are left out and named in the description.
        rung: how plain the ticket is, a `Rung`.
        refused: whether the request had faults; the ticket says so.
        fallback_requester: the e-mail address to file it under when it holds no address of the person.
    """
    requester = _requester(handoff, fallback_requester, rung)
    fields = {
        **requester,
        "subject": subject(handoff, route),
        "status": STATUS_OPEN,
        "priority": PRIORITIES[route.priority],
        "source": route.source,
        "tags": _tags(route),
        "group_id": route.group_id,
        "product_id": route.product_id,
        "type": route.type,
        "responder_id": route.responder_id,
        "email_config_id": route.email_config_id,
        "custom_fields": {k: v for k, v in route.custom_fields.items() if f"custom_fields.{k}" not in dropped},
    }
    given = {name: value for name, value in fields.items() if value not in (None, {})}
    left_out = {*dropped, *(given.keys() - _BARE if rung else ())}
    remarks = [*_remark_on(left_out), *([REFUSED_REMARK] if refused else [])]
    short = rung >= Rung.SHORT
    text = _short(handoff) if short else _ticket.render(_context(handoff, route, remarks))
    given["description"] = with_mark(text, handoff.reference)
    return {name: value for name, value in given.items() if name not in left_out}


def _short(handoff: Handoff) -> str:
    """Return a description without markup: the person, and the beginning of the summary."""
    who = ", ".join(filter(None, (handoff.user_name, handoff.user_email, handoff.user_phone)))
    summary = cut(one_line(handoff.conversation_summary), SHORT_MAX)
    return str(_lines("\n".join(filter(None, (summary, one_line(who), SHORT_REMARK)))))


def to_note(handoff: Handoff, route: Route, why: str) -> str:
    """Return the HTML of a private note with the whole handoff, under the sentence why."""
    return _note.render({**_context(handoff, route, []), "why": why})


def try_templates() -> None:
    """Fill in both templates once with every field, so that a broken one is found at start.

    Raises:
        jinja2.TemplateError: a template asks for something that is not there.
    """
    texts = {one.name: "https://example.com" for one in fields(Handoff) if one.type == "str"}
    route = Route(bot="", bot_name="", account="", category="", label="", priority="low")
    handoff = Handoff(**texts, other=(("", ""),))  # type: ignore[arg-type]  # the texts are texts
    to_ticket(handoff, route, refused=True)
    to_note(handoff, route, "")


def droppable(fields: dict[str, Any], refused: Iterable[str]) -> frozenset[str]:
    """Return the refused fields that the ticket does not need; its only address is needed.

    >>> sorted(droppable({"email": "a@b.co", "group_id": 7, "phone": "1"}, ["group_id", "email", "phone", "other"]))
    ['group_id', 'phone']
    """
    custom = {f"custom_fields.{name}" for name in fields.get("custom_fields", {})}
    needed = NEEDED if "email" in fields else NEEDED | {"phone", "name"}
    return frozenset(refused) & ((fields.keys() | custom) - needed)


def subject(handoff: Handoff, route: Route) -> str:
    """Return one line of at most 255 characters that ends in the reference."""
    ending = f" {mark(handoff.reference)}"
    label = route.label or handoff.category or "Pedido de ayuda"
    about = handoff.reason or handoff.conversation_summary.partition("\n")[0]
    values = {"category": label, "reason": about, "bot": route.bot_name, "name": handoff.user_name}
    text = _PLACEHOLDER.sub(lambda found: values[found[1]], route.subject or "{category}: {reason}")
    line = _no_formula(without_marks(one_line(text)).removesuffix(":"))
    room = SUBJECT_MAX - len(ending)
    return (line if len(line) <= room else line[: room - 1] + "…") + ending


def _requester(handoff: Handoff, fallback_requester: str, rung: int) -> dict[str, str | None]:
    unusable = rung >= Rung.FALLBACK_REQUESTER or not (handoff.user_email or handoff.user_phone)
    if fallback_requester and unusable:
        return {"email": fallback_requester}
    name = _no_formula(one_line(handoff.user_name)) or None
    if handoff.user_email:
        phone = handoff.user_phone if rung < Rung.WITHOUT_PHONE else ""
        return {"name": name, "email": handoff.user_email, "phone": phone or None}
    # https://developers.freshdesk.com/api/#create_ticket: with a phone and no e-mail the name is mandatory
    return {"name": name or NO_NAME, "phone": handoff.user_phone}


def _tags(route: Route) -> list[str]:
    own = ["botpress", f"bot:{route.bot}", *([] if route.category else [NO_ROUTE_TAG])]
    return list(dict.fromkeys(tag[:TAG_MAX] for tag in (*own, *route.tags)))


def _context(handoff: Handoff, route: Route, remarks: list[str]) -> dict[str, Any]:
    return {
        "handoff": handoff,
        "route": route,
        "remarks": remarks,
        "label": route.label or one_line(handoff.category) or "—",
        "link": _link(handoff.conversation_url),
        "ids": [(label, value) for label, name in _ID_LABELS if (value := getattr(handoff, name))],
    }


def _remark_on(dropped: Collection[str]) -> list[str]:
    if not dropped:
        return []
    names = ", ".join(sorted(_FIELD_NAMES.get(name, name) for name in dropped))
    return [f"Freshdesk no aceptó, y este ticket salió sin: {names}. Hay que corregir la ruta en routing.toml."]


def _link(url: str) -> str:
    """Return url if it is a plain web URL that an agent may follow, else ""."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    plain = not _UNSAFE_IN_LINK.search(url) and "@" not in parts.netloc  # the text before @ can look like the host
    sound = plain and parts.scheme in {"http", "https"} and parts.hostname
    return url if sound else ""


def _no_formula(line: str) -> str:
    """Keep a spreadsheet from running an exported line (CWE-1236)."""
    return f"'{line}" if line.startswith(_FORMULA_STARTS) else line
