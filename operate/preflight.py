"""Pure: compares Freshdesk's ticket form with routing.toml. Each fault names the line to correct."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

from handoff.routing import MAIN_ACCOUNT, PRIORITIES, Route
from handoff.routing_errors import line_of
from handoff.ticket_fields import TicketField

Level = Literal["ok", "warning", "fault"]
Choice = tuple[int | str, str]  # the value of a ticket field, and its name for people

# routing.toml's name → the name in /ticket_fields
FORM_NAMES: Final = MappingProxyType(
    {
        "group_id": "group",
        "type": "ticket_type",
        "product_id": "product",
        "source": "source",
        "priority": "priority",
        "responder_id": "agent",
    },
)
# Every ticket has these, whatever its route.
_ALWAYS: Final = frozenset({"requester", "subject", "description", "status", "priority", "source"})
_ACCOUNT_WIDE: Final = frozenset(
    {"group_id", "type", "product_id", "source", "responder_id", "custom_fields", "fields"}
)
_CUSTOM_KINDS: Final = MappingProxyType(
    {
        "custom_number": (int,),
        "custom_decimal": (int, float),
        "custom_checkbox": (bool,),
    },
)


# Freshdesk's kinds of custom fields → the type to write under [fields]; any other takes text
_TYPES: Final = MappingProxyType(
    {
        "custom_number": "number",
        "custom_decimal": "decimal",
        "custom_date": "date",
        "custom_checkbox": "checkbox",
        "custom_dropdown": "dropdown",
        "nested_field": "dropdown",
    },
)


class Finding(NamedTuple):
    """The result of one check: its level, the place, and the line of routing.toml to correct."""

    level: Level
    what: str
    text: str
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FormField:
    """One field of the account's ticket form. `choices` is None if any value is allowed, or if none can be read."""

    name: str
    label: str
    kind: str
    required: bool
    custom: bool
    choices: tuple[Choice, ...] | None


def read_form(answer: Any) -> dict[str, FormField]:
    """Return the fields of GET /ticket_fields by name; invalid ones are ignored.

    https://developers.freshdesk.com/api/#list_all_ticket_fields
    """
    rows = answer if isinstance(answer, list) else ()
    return {row["name"]: _field(row) for row in rows if isinstance(row, dict) and isinstance(row.get("name"), str)}


def _field(row: Mapping[str, Any]) -> FormField:
    return FormField(
        name=row["name"],
        label=str(row.get("label") or row["name"]),
        kind=str(row.get("type") or ""),
        required=row.get("required_for_agents") is True,
        custom=row.get("default") is False,
        choices=read_choices(row.get("choices")),
    )


def read_choices(choices: Any) -> tuple[Choice, ...] | None:
    """Return the choices of a field; an answer has them in three shapes, and nested fields in a fourth.

    >>> read_choices(["Consulta"]), read_choices({"Pagos": 101}), read_choices({"2": ["Open", "In work"]})
    ((('Consulta', 'Consulta'),), ((101, 'Pagos'),), ((2, 'Open'),))
    >>> read_choices({"Argentina": {"Córdoba": []}})
    (('Argentina', 'Argentina'),)
    """
    if isinstance(choices, list):
        return tuple((str(one), str(one)) for one in choices) or None
    if not isinstance(choices, dict):
        return None
    return tuple(_choice(name, value) for name, value in choices.items()) or None


def _choice(name: str, value: Any) -> Choice:
    if isinstance(value, int):
        return value, name
    if name.isdecimal() and isinstance(value, list) and value:
        return int(name), str(value[0])
    return name, name


class Preflight:
    """Checks one help desk account's routes against its form."""

    def __init__(self, text: str, routes: Iterable[Route], form: Mapping[str, FormField]) -> None:
        self._text = text
        self._table = tomllib.loads(text)
        self._routes = tuple(routes)
        self._form = form
        self._found: defaultdict[Finding, list[str]] = defaultdict(list)  # a fault → the routes it affects

    def findings(self) -> Iterator[Finding]:
        """Yield the faults, each once with the routes it affects, then the correct fields, one line each."""
        for route in self._routes:
            checks = (*self._standard(route), *self._custom(route), *self._conversation(route), *self._required(route))
            for finding in checks:
                self._found[finding].append(f"{route.bot}/{route.category or '(any other)'}")
        for finding, routes in self._found.items():
            yield finding._replace(text=f"{finding.text} [{_some(routes)}]")
        yield from self._sound()

    def _standard(self, route: Route) -> Iterator[Finding]:
        for name in FORM_NAMES:
            value = PRIORITIES[route.priority] if name == "priority" else getattr(route, name)
            if value is not None:
                yield from self._value(route, name, value)
        if route.email_config_id is not None:
            problem = f"{route.email_config_id} cannot be checked with an agent's key"
            yield Finding("warning", "email_config_id", problem, self._line(route, "email_config_id"))

    def _value(self, route: Route, name: str, value: int | str) -> Iterator[Finding]:
        field = self._form.get(FORM_NAMES[name])
        line = self._line(route, name)
        if field is None or field.choices is None:
            level: Level = "warning" if name in {"responder_id", "source", "priority"} else "fault"
            yield Finding(level, name, f"{value!r}: this account shows no {FORM_NAMES[name]} to choose from", line)
            return
        known = dict(field.choices)
        if value not in known:
            yield Finding("fault", name, f"Freshdesk has no {value!r}; it has {_listed(field.choices)}", line)
        elif name == "group_id" and route.group and known[value] != route.group:
            problem = f"{route.group!r} is called {known[value]!r} in Freshdesk"
            yield Finding("fault", "group", problem, self._line(route, "group"))

    def _custom(self, route: Route) -> Iterator[Finding]:
        for name, value in route.custom_fields.items():
            field, what = self._form.get(name), f"custom_fields.{name}"
            line = self._line(route, "custom_fields", name)
            if field is None or not field.custom:
                own = [one.name for one in self._form.values() if one.custom]
                yield Finding("fault", what, f"Freshdesk has no such field; it has {_some(own)}", line)
            elif field.choices is not None and value not in dict(field.choices):
                yield Finding("fault", what, f"{value!r} is not one of {_listed(field.choices)}", line)
            elif not _fits(field, value):
                yield Finding("fault", what, f"{value!r} does not fit a field of the type {field.kind}", line)

    def _conversation(self, route: Route) -> Iterator[Finding]:
        """Yield what is wrong with the fields that values of the conversation go into."""
        for name, one in route.fields.items():
            level, problem = self._field_problem(one)
            if problem:
                yield Finding(level, f"fields.{name}", problem, self._line(route, "fields", name))

    def _field_problem(self, one: TicketField) -> tuple[Level, str]:
        field = self._form.get(one.field)
        if field is None or not field.custom:
            own = [each.name for each in self._form.values() if each.custom]
            return "fault", f"Freshdesk has no field {one.field}; it has {_some(own)}"
        if (expected := _TYPES.get(field.kind, "text")) != one.type:
            fix = f'write {{ field = "{one.field}", type = "{expected}" }}'
            return "fault", f"Freshdesk's field is of the type {field.kind}: {fix}"
        if field.choices is not None and (strange := {*one.choices} - {str(value) for value, _ in field.choices}):
            return "fault", f"Freshdesk does not have {_some(sorted(strange))}; it has {_listed(field.choices)}"
        needs_default = field.required and one.default is None
        return "warning", f"Freshdesk requires {field.label!r}: add default = …" if needs_default else ""

    def _required(self, route: Route) -> Iterator[Finding]:
        of_conversation = {one.field for one in route.fields.values()}
        set_by = of_conversation | {FORM_NAMES[name] for name in FORM_NAMES if getattr(route, name) is not None}
        for field in self._form.values():
            if not field.required or field.name in _ALWAYS | set_by | route.custom_fields.keys():
                continue
            problem = f"Freshdesk requires {field.label!r} of agents, and no line sets it"
            # Some accounts require the company but accept tickets without: only what a route could set is a fault.
            settable = field.custom or field.name in FORM_NAMES.values()
            yield Finding("fault" if settable else "warning", field.name, problem, self._line(route, "", whole=True))

    def _sound(self) -> Iterator[Finding]:
        wrong = {finding.what for finding in self._found}
        for name in FORM_NAMES:
            values = {getattr(route, name) for route in self._routes} - {None}
            if values and name not in wrong:
                yield Finding("ok", name, f"{len(values)} in use, all known to Freshdesk")

    def _line(self, route: Route, *keys: str, whole: bool = False) -> int | None:
        """Return the line that gives the route this value, by the precedence of `routing`."""
        own = ("bots", route.bot, "categories", route.category)
        shared, bot, default = ("categories", route.category), ("bots", route.bot), ("default",)
        levels: tuple[tuple[str, ...], ...] = (own, shared, bot, default)
        if keys[0] == "fields" and not any(_has(self._table, (*level, *keys)) for level in levels):
            return line_of(self._text, keys)  # those for all stand at the top
        if route.account != MAIN_ACCOUNT and keys[0] in _ACCOUNT_WIDE:
            levels = (own, bot)  # numbers of another account are not inherited
        wanted = () if whole else keys
        found = next((level for level in levels if level[-1] and _has(self._table, (*level, *wanted))), default)
        return line_of(self._text, (*found, *wanted))


def _has(table: Any, path: tuple[str, ...]) -> bool:
    for key in path:
        if not isinstance(table, dict) or key not in table:
            return False
        table = table[key]
    return True


def _fits(field: FormField, value: object) -> bool:
    kinds = _CUSTOM_KINDS.get(field.kind, (str,))
    return isinstance(value, kinds) and isinstance(value, bool) == (bool in kinds)


def _listed(choices: Iterable[Choice]) -> str:
    return _some([f"{label} = {value}" if label != value else label for value, label in choices], most=30)


def _some(names: list[str], most: int = 6) -> str:
    shown = ", ".join(names[:most]) or "none"
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
