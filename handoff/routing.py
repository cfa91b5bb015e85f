"""Pure: `routing.toml` → `Routing`; (bot, category) → `Route`."""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError

from freshdesk_client import is_freshdesk_url
from handoff.identity import letters
from handoff.sanitize import is_email, plain
from handoff.ticket_fields import TicketField, read_fields

SCHEMA_FILE: Final = Path(__file__).parent.parent / "schemas" / "routing.schema.json"
MAIN_ACCOUNT: Final = ""
PRIORITIES: Final = MappingProxyType({"low": 1, "medium": 2, "high": 3, "urgent": 4})
DEFAULT_SOURCE: Final = 2
# Where routing.toml lists none: channels on which a person can be answered in the conversation.
MESSENGERS: Final = (
    "whatsapp", "telegram", "messenger", "instagram", "line", "viber", "twilio", "vonage", "slack", "teams",
)  # fmt: skip

# Numbers and choices belong to one Freshdesk account: a bot in another one must not inherit them.
Found = tuple[tuple[str, ...], str]  # the path of a key, and what is wrong there
_PLACEHOLDER: Final = re.compile(r"\{\{?\s*([\w.-]+)\s*\}?\}")
_ACCOUNT_FIELDS: Final = frozenset(
    {"group_id", "group", "type", "product_id", "source", "responder_id", "email_config_id", "custom_fields", "fields"},
)


class RoutingFault(NamedTuple):
    """One fault of the routing file: the line (None if there is no single one), the key, what to do."""

    line: int | None
    key: str
    message: str

    def __str__(self) -> str:
        where = f"línea {self.line}: " if self.line else ""
        return f"{where}{self.key}: {self.message}" if self.key else f"{where}{self.message}"


class RoutingError(Exception):
    """The routing file is invalid; `faults` name every fault by line and key."""

    def __init__(self, faults: tuple[RoutingFault, ...]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


def _is_integer(_: object, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(_: object, value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


# jsonschema accepts 1.07e12 as an integer, but Freshdesk would get 1070000000000.0. JSON has no inf and no nan.
_extend: Any = validators.extend  # jsonschema gives it no types
_Validator: Any = _extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many({"integer": _is_integer, "number": _is_number}),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The destination of a handoff: Freshdesk's fields, and the names people use for them."""

    bot: str
    bot_name: str
    account: str
    category: str  # the slug in routing.toml, "" for an unknown one
    label: str
    priority: str
    group_id: int | None = None
    group: str = ""
    type: str | None = None
    product_id: int | None = None
    source: int = DEFAULT_SOURCE
    responder_id: int | None = None
    email_config_id: int | None = None
    custom_fields: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    subject: str | None = None
    fields: Mapping[str, TicketField] = field(default_factory=dict)  # plain name in the request → field
    unknown_bot: str = ""  # the name the request gives, where routing.toml has no such bot


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """All routes, computed when the file is read, so that a lookup cannot fail."""

    routes: Mapping[str, Mapping[str, Route]]  # slug of the bot → plain category → route; "" is the bot's default route
    bots: Mapping[str, str]  # plain name → slug
    default_bot: str
    fallback_requester: str
    accounts: Mapping[str, str]  # name → URL of each account except the main one
    messengers: frozenset[str] = frozenset()  # channels in lower-case letters and digits

    def bot(self, name: str) -> str:
        """Return the slug of the bot with this name, or the default bot's."""
        return self.bots.get(plain(name), self.default_bot)

    def route(self, bot: str, category: str) -> Route:
        """Return the route of a category as the bot names it; an unknown one gets the bot's default. Never raises."""
        routes = self.routes[self.bot(bot)]
        route = routes.get(plain(category)) or routes[""]
        return route if not bot or plain(bot) in self.bots else replace(route, unknown_bot=bot)

    def each(self) -> Iterator[Route]:
        """Yield the routes of every bot once: its categories, then its default route."""
        for routes in self.routes.values():
            yield from {route.category: route for route in routes.values() if route.category}.values()
            yield routes[""]


def load_routing(content: bytes | str) -> Routing:
    """Read a routing file.

    Raises:
        RoutingError: with every fault, by line and key.
    """
    try:
        text = content if isinstance(content, str) else content.decode("utf-8-sig")
        table = tomllib.loads(text)
    except UnicodeDecodeError as error:
        from handoff import routing_errors  # noqa: PLC0415 -- only for a file with mistakes

        raise RoutingError((RoutingFault(*routing_errors.explain_encoding(error)),)) from error
    except tomllib.TOMLDecodeError as error:
        from handoff import routing_errors  # noqa: PLC0415 -- as above

        raise RoutingError((RoutingFault(*routing_errors.explain_syntax(text, str(error))),)) from error
    errors = schema_errors(table)
    if not errors and not (found := [*_sense_faults(table)]):
        return _routing(table)
    from handoff import routing_errors  # noqa: PLC0415 -- as above

    found = [*routing_errors.explain_schema(errors)] if errors else found
    faults = [RoutingFault(routing_errors.line_of(text, path), ".".join(path), message) for path, message in found]
    raise RoutingError(tuple(sorted(faults, key=lambda fault: fault.line or 0)))


def schema_errors(table: Mapping[str, Any]) -> list[ValidationError]:
    """Return the faults that `schemas/routing.schema.json` finds in a table."""
    schema = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    return [*_Validator(schema).iter_errors(table)]


def _sense_faults(table: Mapping[str, Any]) -> Iterator[Found]:
    """Yield the faults that no schema can find: references to missing names, duplicate names, invalid URLs."""
    bots, accounts = table["bots"], table.get("desks", {})
    yield from _fields_faults(table)
    if table["default_bot"] not in bots:
        yield ("default_bot",), f"no hay ningún [bots.{table['default_bot']}]: escribí uno de {', '.join(bots)}"
    for slug, bot in bots.items():
        if bot.get("desk", MAIN_ACCOUNT) not in {MAIN_ACCOUNT, *accounts}:
            yield ("bots", slug, "desk"), f"no hay ningún [desks.{bot['desk']}]: agregalo, o borrá esta línea"
        yield from _names_given_twice(("bots", slug, "categories"), bot.get("categories", {}))
    yield from _names_given_twice(("categories",), table.get("categories", {}))
    yield from _bots_called_alike(bots)
    if not is_email(table.get("fallback_requester", "a@example.com")):
        yield ("fallback_requester",), "no es una dirección de correo que pueda recibir mensajes: escribí una completa"
    for name, account in accounts.items():
        if not is_freshdesk_url(account["url"]):
            yield (
                ("desks", name, "url"),
                f'tiene que ser una dirección de Freshdesk: url = "https://{name}.freshdesk.com"',
            )


def _fields_faults(table: Mapping[str, Any]) -> Iterator[Found]:
    """Yield what is wrong with values for Freshdesk's own fields, wherever routing.toml has them."""
    for path, level in _levels(table):
        own_fields = ".".join((*path, "fields")).removeprefix("default.")
        for name, value in level.get("custom_fields", {}).items():
            if isinstance(value, str) and (found := _PLACEHOLDER.fullmatch(value.strip())):
                instead = f'borrá la línea y escribí, bajo [{own_fields}], {found[1]} = "{name}"'
                yield (*path, "custom_fields", name), f"«{value}» no se completa solo: {instead}"
        for name, described in level.get("fields", {}).items():
            (one,) = read_fields({name: described}).values()
            if one.type == "dropdown" and not one.choices:
                yield (*path, "fields", name), 'faltan las opciones del campo: agregá choices = ["…", "…"]'
            elif one.default is not None and one.fit(one.default) is None:
                yield (*path, "fields", name), f"«{one.default}» no sirve para un campo de tipo {one.type}: corregilo"


def _levels(table: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Yield each part of the file that says something about routes, with its path."""
    yield (), {"fields": table.get("fields", {})}
    yield ("default",), table["default"]
    yield from ((("categories", name), category) for name, category in table.get("categories", {}).items())
    for slug, bot in table["bots"].items():
        yield ("bots", slug), bot
        for name, category in bot.get("categories", {}).items():
            yield ("bots", slug, "categories", name), category


def _bots_called_alike(bots: Mapping[str, Any]) -> Iterator[Found]:
    owner: dict[str, str] = {}
    for slug in bots:
        if not plain(slug):
            yield ("bots", slug), "el nombre del bot no tiene ninguna letra ni cifra: ponele otro"
        elif owner.setdefault(plain(slug), slug) != slug:
            yield ("bots", slug), f"se lee igual que el bot «{owner[plain(slug)]}»: ponele otro nombre"


def _names_given_twice(path: tuple[str, ...], categories: Mapping[str, Any]) -> Iterator[Found]:
    owner: dict[str, str] = {}
    for slug, category in categories.items():
        for name in (slug, *category.get("aliases", ())):
            if not plain(name):
                yield (*path, slug), f"«{name}» no tiene ninguna letra ni cifra: borralo"
            elif owner.setdefault(plain(name), slug) != slug:
                yield (*path, slug), f"«{name}» ya nombra a la categoría «{owner[plain(name)]}»: dejalo en una sola"


def _routing(table: Mapping[str, Any]) -> Routing:
    return Routing(
        routes={slug: _routes_of(table, slug) for slug in table["bots"]},
        bots={plain(slug): slug for slug in table["bots"]},
        default_bot=table["default_bot"],
        fallback_requester=table.get("fallback_requester", ""),
        accounts={name: account["url"] for name, account in table.get("desks", {}).items()},
        messengers=frozenset(map(letters, table.get("messengers", MESSENGERS))),
    )


def _routes_of(table: Mapping[str, Any], slug: str) -> dict[str, Route]:
    """Return a bot's routes under each of their names, its default route under ""."""
    bot, shared = table["bots"][slug], table.get("categories", {})
    own = bot.get("categories", {})
    foreign = bot.get("desk", MAIN_ACCOUNT) != MAIN_ACCOUNT
    common = {**table["default"], "fields": table.get("fields", {})}
    common = _portable(common) if foreign else common
    routes = {"": _route(slug, bot, "", common, bot)}
    for name in (*shared, *own):
        theirs, ours = shared.get(name, {}), own.get(name, {})
        route = _route(slug, bot, name, common, bot, _portable(theirs) if foreign else theirs, ours)
        for alias in (*theirs.get("aliases", ()), *ours.get("aliases", ()), name):
            routes[plain(alias)] = route
    return routes


def _portable(level: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in level.items() if name not in _ACCOUNT_FIELDS}


def _route(slug: str, bot: Mapping[str, Any], category: str, *levels: Mapping[str, Any]) -> Route:
    """Merge the levels; a later one takes precedence."""
    merged: dict[str, Any] = {}
    for level in levels:
        if "group_id" in level:
            merged.pop("group", None)  # the name belongs to the number of its own level
        merged |= {name: value for name, value in level.items() if name in _ROUTE_FIELDS}
    return Route(
        bot=slug,
        bot_name=bot["name"],
        account=bot.get("desk", MAIN_ACCOUNT),
        category=category,
        label=next((level["label"] for level in reversed(levels) if "label" in level), category),
        tags=tuple(dict.fromkeys(tag for level in levels for tag in level.get("tags", ()))),
        custom_fields={name: v for level in levels for name, v in level.get("custom_fields", {}).items()},
        fields={name: one for level in levels for name, one in read_fields(level.get("fields", {})).items()},
        **merged,
    )


_ROUTE_FIELDS: Final = frozenset(
    {
        "priority",
        "group_id",
        "group",
        "type",
        "product_id",
        "source",
        "responder_id",
        "email_config_id",
        "subject",
    },
)
