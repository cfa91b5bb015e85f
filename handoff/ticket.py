"""Pure: (`Handoff`, `Route`) → the fields of a Freshdesk ticket, and the text of a note. Total: never raises."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import fields
from enum import IntEnum
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from handoff.inbound import Handoff
from handoff.marks import mark, with_mark, without_marks
from handoff.parts import UNUSABLE, Attachment, Value
from handoff.routing import PRIORITIES, Route
from handoff.sanitize import cut, one_line, plain

TEMPLATES: Final = Path(__file__).parent.parent / "config"
STATUS_OPEN: Final = 2
# Freshdesk's own limits are not documented; every account is known to accept these lengths.
SUBJECT_MAX: Final = 255
TAG_MAX: Final = 32
NO_ROUTE_TAG: Final = "sin-categoria"
FILE_HAD: Final = "Archivo que mandó la persona: {name}"
FILE_NOT_HAD: Final = "Este archivo que mandó la persona no se pudo agregar al ticket: {name}. {why}"
WHY_NOT: Final = {
    "too-large": "No entra: un ticket de Freshdesk lleva hasta 20 MB de archivos en total.",
    "gone": "El enlace ya no funciona.",
    "host-not-listed": "Su servidor no figura en ATTACHMENT_HOSTS: abrí el enlace sólo si lo conocés.",
    "not-https": "Su enlace no es seguro (https).",
    "private-address": "Su enlace lleva a una red privada: no lo abras sin preguntarle a quien mantiene el bot.",
    "bad-address": "Su enlace está mal escrito.",
    "refused": "Freshdesk no lo aceptó. Abrilo desde el enlace, antes de que venza.",
    "not-had": "El servidor donde está no lo entregó. Abrilo desde el enlace, antes de que venza.",
}
UNKNOWN_BOT_TAG: Final = "bot-desconocido"
NO_NAME: Final = "Sin nombre"
REFUSED_REMARK: Final = "El bot mandó este pedido con errores"

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
_LABELS: Final = {
    "user_email": "el correo",
    "user_phone": "el teléfono",
    "conversation_summary": "el resumen",
    "category": "la categoría",
    "sin leer": "una parte",
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


class Offer(NamedTuple):
    """How a ticket is offered: its `Rung`, and which fields are left out or filled because Freshdesk refused them."""

    rung: int = Rung.FULL
    dropped: frozenset[str] = frozenset()
    filled: frozenset[str] = frozenset()  # the help desk's own fields that hold `TicketField.filler`

    def plainer(self, route: Route, fields: dict[str, Any], refused: Iterable[str]) -> Offer:
        """Return the next offer, after Freshdesk has refused a ticket with these fields because of some of them."""
        known = {f"custom_fields.{one.field}" for one in route.fields.values() if one.filler is not None}
        if more := (frozenset(refused) & known) - self.filled:
            return self._replace(filled=self.filled | more)
        if more := droppable(fields, refused) - self.dropped:
            return self._replace(dropped=self.dropped | more)
        nothing_new = self.rung == Rung.BARE and "phone" not in fields  # the next rung would leave out nothing more
        return self._replace(rung=self.rung + (2 if nothing_new else 1))


FULL_OFFER: Final = Offer()
_BARE: Final = frozenset({"email", "phone", "unique_external_id", "name", "subject", "description", "status"})
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


def _shown(value: Value) -> str:
    return str(value) if not isinstance(value, bool) else "sí" if value else "no"


_environment.filters["lines"] = _lines
_environment.filters["shown"] = _shown
_ticket: Final = _environment.get_template("ticket.html")
_note: Final = _environment.get_template("note.html")


def to_ticket(
    handoff: Handoff,
    route: Route,
    offer: Offer = FULL_OFFER,
    *,
    refused: bool = False,
    fallback_requester: str = "",
) -> dict[str, Any]:
    """Return the fields of the ticket for handoff, ready for POST /api/v2/tickets.

    Args:
        handoff: what the person asks.
        route: where it goes.
        offer: what it leaves out or fills in because Freshdesk refused it; the description names it.
        refused: whether the request had faults; the ticket says so.
        fallback_requester: the e-mail address to file it under when it holds no address of the person.
    """
    rung, dropped, filled = offer
    requester = _requester(handoff, route, fallback_requester, rung)
    fields = {
        **requester,
        "subject": subject(handoff, route),
        "status": STATUS_OPEN,
        "priority": PRIORITIES[route.priority],
        "source": route.source,
        "tags": _tags(handoff, route),
        "group_id": route.group_id,
        "product_id": route.product_id,
        "type": route.type,
        "responder_id": route.responder_id,
        "email_config_id": route.email_config_id,
        "custom_fields": _custom_fields(handoff, route, offer),
    }
    given = {name: value for name, value in fields.items() if value not in (None, {})}
    left_out = {*dropped, *(given.keys() - _BARE if rung else ())} - ({"custom_fields"} if rung and filled else set())
    remarks = [*_remarks(handoff, route, refused=refused), *_remark_on(left_out)]
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


def to_file_note(attachment: Attachment, mark: str, why_not: str = "") -> str:
    """Return the HTML of the private note that brings a file, or that names it and says why it could not be had."""
    name, link = escape(attachment.shown_as), _link(attachment.url)
    shown = Markup('<a href="{}">{}</a>').format(link, name) if link else f"{name} ({escape(attachment.url)})"
    said = FILE_NOT_HAD.format(name=shown, why=WHY_NOT.get(why_not, why_not)) if why_not else FILE_HAD.format(name=name)
    return f"<p>{said}</p><p>[{mark}]</p>"


def try_templates() -> None:
    """Fill in both templates once with every field, so that a broken one is found at start.

    Raises:
        jinja2.TemplateError: a template asks for something that is not there.
    """
    texts = {one.name: "https://example.com" for one in fields(Handoff) if one.type == "str"}
    parts = {"attachments": (Attachment("https://example.com/a"),), "fields": (("", True),)}
    route = Route(bot="", bot_name="", account="", category="", label="", priority="low")
    handoff = Handoff(**texts, **parts, other=(("", ""),))  # type: ignore[arg-type]  # the texts are texts
    to_ticket(handoff, route, refused=True)
    to_note(handoff, route, "")


def droppable(fields: dict[str, Any], refused: Iterable[str]) -> frozenset[str]:
    """Return the refused fields that the ticket does not need; its only address is needed.

    >>> sorted(droppable({"email": "a@b.co", "group_id": 7, "phone": "1"}, ["group_id", "email", "phone", "other"]))
    ['group_id', 'phone']
    """
    custom = {f"custom_fields.{name}" for name in fields.get("custom_fields", {})}
    needed = NEEDED if "email" in fields else NEEDED | {"phone", "name", "unique_external_id"}
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


def _requester(handoff: Handoff, route: Route, fallback_requester: str, rung: int) -> dict[str, str | None]:
    nobody = not (handoff.user_email or handoff.user_phone or handoff.user_id)
    if fallback_requester and (nobody or rung >= Rung.FALLBACK_REQUESTER):
        return {"email": fallback_requester}
    name = _no_formula(one_line(handoff.user_name)) or None
    if handoff.user_email:
        phone = handoff.user_phone if rung < Rung.WITHOUT_PHONE else ""
        return {"name": name, "email": handoff.user_email, "phone": phone or None}
    # https://developers.freshdesk.com/api/#create_ticket: with a phone and no e-mail the name is mandatory
    if handoff.user_phone or not handoff.user_id:
        return {"name": name or NO_NAME, "phone": handoff.user_phone}
    return {"name": name or NO_NAME, "unique_external_id": external_id(handoff, route)}


def external_id(handoff: Handoff, route: Route) -> str:
    """Return the id under which a person without an address is a contact of their own: `<bot>:<user_id>`."""
    return f"{route.bot}:{handoff.user_id}"


def _tags(handoff: Handoff, route: Route) -> list[str]:
    own = ["botpress", f"bot:{route.bot}", *([] if route.category else [NO_ROUTE_TAG])]
    own += [UNKNOWN_BOT_TAG] if route.unknown_bot else []
    return list(dict.fromkeys(tag[:TAG_MAX] for tag in (*own, *route.tags, *handoff.tags)))


def _custom_fields(handoff: Handoff, route: Route, offer: Offer) -> dict[str, Any]:
    """Return values for Freshdesk's own fields: the conversation's where one fits, else the route's, else a default."""
    values = dict(route.custom_fields)
    given = {plain(name): value for name, value in handoff.fields}
    for name, one in route.fields.items():
        fit = one.fit(given[name]) if name in given else None
        value = one.default if fit is None else fit
        if f"custom_fields.{one.field}" in offer.filled:
            value = one.filler
        if value is not None:
            values[one.field] = value
    sent = {f"custom_fields.{name}": name for name in values}.items()
    kept = (name for path, name in sent if path not in offer.dropped and (not offer.rung or path in offer.filled))
    return {name: values[name] for name in kept}


def unfit_fields(handoff: Handoff, route: Route) -> list[str]:
    """Return the names of the conversation's values that do not fit the help desk's field that they are for."""
    pairs = ((name, value, route.fields.get(plain(name))) for name, value in handoff.fields)
    return [name for name, value, one in pairs if one is not None and one.fit(value) is None]


def _context(handoff: Handoff, route: Route, remarks: list[str]) -> dict[str, Any]:
    return {
        "handoff": handoff,
        "route": route,
        "remarks": remarks,
        "label": route.label or one_line(handoff.category) or "—",
        "link": _link(handoff.conversation_url),
        "files": [_file(one) for one in handoff.attachments],
        "unfit": unfit_fields(handoff, route),
        "ids": [(label, value) for label, name in _ID_LABELS if (value := getattr(handoff, name))],
    }


def _file(attachment: Attachment) -> dict[str, str]:
    size = f"{attachment.size / 1_000:.0f} kB" if attachment.size else ""
    about = ", ".join(filter(None, (attachment.type, size)))
    return {"name": attachment.shown_as, "url": attachment.url, "link": _link(attachment.url), "about": about}


def _remarks(handoff: Handoff, route: Route, *, refused: bool) -> Iterator[str]:
    """Yield what is wrong with a handoff, and what the agent can do about it."""
    if refused:
        yield _refused_remark(handoff)
    if handoff.user_phone and not handoff.user_email:
        yield f"Una respuesta por correo no le llega a esta persona: llamala o escribile al {handoff.user_phone}."
    elif not handoff.user_email:
        where = (
            "el enlace está abajo" if _link(handoff.conversation_url) else "buscala en Botpress con los datos de abajo"
        )
        yield f"Una respuesta por correo no le llega a esta persona: contestale en la conversación ({where})."
    if route.unknown_bot:
        yield f"El bot «{route.unknown_bot}» no está en routing.toml: el pedido se tomó como de {route.bot_name}."


def _refused_remark(handoff: Handoff) -> str:
    bad = [name.removesuffix(UNUSABLE) for name, _ in handoff.other if name.endswith(UNUSABLE)]
    missing = [name for name in ("conversation_summary", "category") if not getattr(handoff, name)]
    if not handoff.user_email and "user_email" not in bad and not handoff.user_phone:
        missing.append("user_email")
    said = [f"no sirve {_LABELS.get(name, name)} (está en «Otros datos»)" for name in bad]
    said += [f"falta {_LABELS.get(name, name)}" for name in missing]
    what = "; ".join(said) or "no se pudo leer entero; abajo está lo que llegó"
    return f"{REFUSED_REMARK}: {what}."


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
