"""Values of the conversation in the help desk's own fields: of the right type, or left out and shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoff.routing import Route, RoutingError, load_routing
from handoff.ticket import FULL_OFFER, Offer, to_ticket, unfit_fields
from handoff.ticket_fields import TicketField, read_fields
from tests.factories import handoff, route

FIELDS: Final = {
    "apuesta": "cf_apuesta",
    "monto": {"field": "cf_monto", "type": "decimal", "default": 0.5},
    "veces": {"field": "cf_veces", "type": "number"},
    "dia": {"field": "cf_dia", "type": "date"},
    "vip": {"field": "cf_vip", "type": "checkbox"},
    "medio": {"field": "cf_medio", "type": "dropdown", "choices": ["Transferencia", "Tarjeta de crédito"]},
}
SCALARS = st.text(max_size=20) | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()


def routed(**fields: Any) -> Route:
    """Return a route with these fields."""
    return replace(route(), fields=read_fields(fields or FIELDS))


def custom(**values: Any) -> dict[str, Any]:
    """Return the custom fields of a ticket for a conversation with these values."""
    return dict(to_ticket(handoff(fields=tuple(values.items())), routed()).get("custom_fields", {}))


@pytest.mark.parametrize(
    ("kind", "value", "fit"),
    [
        ("text", 12, "12"),
        ("text", True, "sí"),
        ("number", "1.234", 1234),
        ("number", " 45 ", 45),
        ("number", 45.0, 45),
        ("number", 45.5, None),
        ("number", "doce", None),
        ("number", True, None),
        ("number", 10**30, None),
        ("decimal", "1.234,50", 1234.5),
        ("decimal", "1,234.50", 1234.5),
        ("decimal", "1.234", 1234.0),
        ("decimal", "12,5", 12.5),
        ("decimal", "-0.75", -0.75),
        ("decimal", "1.2.3,4,5", None),
        ("decimal", "", None),
        ("date", "2026-12-01T10:00:00Z", "2026-12-01"),
        ("date", "1/12/2026", "2026-12-01"),
        ("date", "31/2/2026", None),
        ("date", 20261201, None),
        ("checkbox", "Sí", True),
        ("checkbox", "no", False),
        ("checkbox", 1, True),
        ("checkbox", "quizás", None),
        ("dropdown", "tarjeta de credito", "Tarjeta"),
        ("dropdown", "cripto", None),
    ],
)
def test_a_value_is_sent_as_the_field_takes_it(kind: str, value: Any, fit: Any) -> None:
    """Numbers with either country's separators, dates with either order, choices in any spelling."""
    choices = ("Tarjeta de crédito",) if fit == "Tarjeta" else ("a",)
    found = TicketField("cf_x", kind, choices).fit(value)
    assert (found, type(found)) == (fit, type(fit)) or (fit, found) == ("Tarjeta", "Tarjeta de crédito")


@pytest.mark.parametrize(("value", "fit"), [("Tarjeta", "Tarjeta"), (7, "7"), (True, None)])
def test_a_choice_of_an_unknown_list_is_sent_as_it_is(value: Any, fit: str | None) -> None:
    """Freshdesk says whether it is one of its own."""
    assert TicketField("cf_x", "dropdown").fit(value) == fit


def test_values_go_into_the_fields_that_the_routing_names() -> None:
    """By the names the bot uses, however they are spelled; a default stands in for a value that does not fit."""
    assert custom(Apuesta="A-77", veces="tres", VIP="si") == {"cf_apuesta": "A-77", "cf_vip": True, "cf_monto": 0.5}


def test_a_value_that_does_not_fit_is_shown_to_the_agent() -> None:
    """Nothing that the conversation knows is lost."""
    given_one = handoff(fields=(("veces", "tres"), ("otra", 7)))
    assert unfit_fields(given_one, routed()) == ["veces"]
    description = to_ticket(given_one, routed())["description"]
    assert "veces: tres (no entra en el campo de Freshdesk)" in description
    assert "otra: 7" in description


@given(st.dictionaries(st.sampled_from(sorted(FIELDS)), SCALARS))
def test_any_values_make_a_ticket_that_freshdesk_takes(values: dict[str, Any]) -> None:
    """With six required fields of six types: as Freshdesk insists on one after the other, each gets a value."""
    types = {"cf_apuesta": str, "cf_monto": float, "cf_veces": int, "cf_dia": str, "cf_vip": bool, "cf_medio": str}
    given_one, way, offer = handoff(fields=tuple(values.items())), routed(), FULL_OFFER
    for _ in range(3):
        fields = to_ticket(given_one, way, offer)
        missing = [f"custom_fields.{name}" for name in types.keys() - fields.get("custom_fields", {}).keys()]
        if not missing:
            break
        offer = offer.plainer(way, fields, missing)
    sent = fields["custom_fields"]
    assert {name: type(value) for name, value in sent.items()} == types
    assert sent["cf_medio"] in FIELDS["medio"]["choices"]  # type: ignore[index]  # a table
    assert offer.rung == 0


def test_a_field_that_freshdesk_insists_on_stays_in_a_plainer_ticket() -> None:
    """Without the optional fields, but not without what no ticket may lack."""
    fields = to_ticket(handoff(), routed(), Offer(rung=1, filled=frozenset({"custom_fields.cf_veces"})))
    assert fields["custom_fields"] == {"cf_veces": 0}
    assert "group_id" not in fields


ROUTING: Final = """
default_bot = "b"
[default]
group_id = 1
priority = "low"
{default}
[fields]
apuesta = "cf_apuesta"
[bots.b]
name = "B"
[bots.b.fields]
monto = {{ field = "cf_monto", type = "decimal" }}
[categories.retiros.fields]
apuesta = "cf_otra"
"""


def test_fields_are_those_of_all_levels() -> None:
    """For everybody, for a bot, for a category; the closer one wins."""
    routing = load_routing(ROUTING.format(default=""))
    assert {name: one.field for name, one in routing.route("b", "retiros").fields.items()} == {
        "apuesta": "cf_otra",
        "monto": "cf_monto",
    }
    assert routing.route("b", "x").fields["apuesta"].field == "cf_apuesta"


def test_a_placeholder_in_custom_fields_is_answered_with_the_line_to_write() -> None:
    """It would arrive as it stands, in every ticket."""
    with pytest.raises(RoutingError) as caught:
        load_routing(ROUTING.format(default='custom_fields = { cf_apuesta = "{numero_de_apuesta}" }'))
    (fault,) = caught.value.faults
    assert 'bajo [fields], numero_de_apuesta = "cf_apuesta"' in fault.message
    assert fault.key == "default.custom_fields.cf_apuesta"


@pytest.mark.parametrize(
    ("described", "says"),
    [
        ('{ field = "cf_x", type = "dropdown" }', "faltan las opciones"),
        ('{ field = "cf_x", type = "number", default = "x" }', "no sirve para un campo de tipo number"),
        ('{ field = "Nº" }', "empieza con cf_"),
        ('{ type = "number" }', "field"),
        ('{ field = "cf_x", type = "money" }', "money"),
        ("7", "entre comillas"),
    ],
)
def test_a_field_that_cannot_be_is_a_fault(described: str, says: str) -> None:
    """The file is refused before anybody's ticket is."""
    with pytest.raises(RoutingError, match=says):
        load_routing(ROUTING.format(default="").replace('apuesta = "cf_apuesta"', f"apuesta = {described}"))
