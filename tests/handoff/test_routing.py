"""`routing.toml` → routes, or every fault in it by line and key."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoff.routing import DEFAULT_SOURCE, PRIORITIES, SCHEMA_FILE, RoutingError, RoutingFault, load_routing, plain
from handoff.settings import DEFAULT_ROUTING
from tests.factories import SMALL_ROUTING as SMALL

SHIPPED = DEFAULT_ROUTING.read_text(encoding="utf-8")
SMALL_ROUTING = load_routing(SMALL)
LEVELS = """\
default_bot = "betsur"
[default]
group_id = 1
group = "G1"
priority = "low"
type = "T1"
source = 9
tags = ["default"]
custom_fields = { cf_a = 1, cf_b = 1 }
[bots.betsur]
name = "Betsur"
product_id = 20
tags = ["bot"]
custom_fields = { cf_b = 2, cf_c = 2 }
[categories.retiros]
label = "Retiros"
aliases = ["cobros"]
group_id = 3
priority = "medium"
tags = ["shared", "default"]
custom_fields = { cf_c = 3 }
[bots.betsur.categories.retiros]
aliases = ["pagos"]
priority = "urgent"
responder_id = 4
subject = "{category}"
email_config_id = 40
tags = ["own"]
"""
ELSEWHERE = (
    LEVELS
    + """
[desks.otra]
url = "https://otra.freshdesk.com"
[bots.corp]
name = "Corp"
desk = "otra"
group_id = 50
[bots.corp.categories.prensa]
priority = "high"
"""
)


def faults(text: str) -> list[RoutingFault]:
    """Return what is wrong with a routing file."""
    with pytest.raises(RoutingError) as caught:
        load_routing(text)
    assert str(caught.value) == "\n".join(map(str, caught.value.faults))
    return list(caught.value.faults)


def test_the_smallest_file_routes_everything() -> None:
    """One bot and a default are enough."""
    route = load_routing(SMALL).route("betsur", "lo que sea")
    assert (route.bot, route.bot_name, route.account, route.category, route.label) == ("betsur", "Betsur", "", "", "")
    assert (route.group_id, route.group, route.priority, route.source) == (1, "", "low", DEFAULT_SOURCE)
    assert (route.type, route.product_id, route.tags, route.custom_fields, route.subject) == (None, None, (), {}, None)


def test_the_closest_level_wins_field_by_field() -> None:
    """The bot's category over the shared category, that over the bot, that over the default."""
    route = load_routing(LEVELS).route("betsur", "retiros")
    assert (route.priority, route.responder_id, route.subject, route.email_config_id) == ("urgent", 4, "{category}", 40)
    assert (route.group_id, route.label) == (3, "Retiros")
    assert route.product_id == 20
    assert (route.type, route.source) == ("T1", 9)


def test_tags_and_custom_fields_add_up() -> None:
    """Every level adds its tags once; a custom field has the closest level's value."""
    route = load_routing(LEVELS).route("betsur", "retiros")
    assert route.tags == ("default", "bot", "shared", "own")
    assert route.custom_fields == {"cf_a": 1, "cf_b": 2, "cf_c": 3}


def test_a_groups_name_goes_with_its_number() -> None:
    """A level that gives another group without a name does not inherit the name of the first."""
    assert load_routing(LEVELS).route("betsur", "retiros").group == ""
    assert load_routing(LEVELS).route("betsur", "otra cosa").group == "G1"


@pytest.mark.parametrize(
    "told", ["retiros", "RETIROS", " ré-ti_ros ", "cobros", "pagos", "Retiros\u200b", "\U0001d411etiros"]
)
def test_a_category_is_known_however_it_is_written(told: str) -> None:
    """Case, accents, separators and hidden characters do not count; both levels' aliases do."""
    assert load_routing(LEVELS).route("betsur", told).category == "retiros"


@pytest.mark.parametrize("told", ["", " ", "---", "💥", "retiro s de dinero", "\x00", "x" * 10_000])
def test_an_unknown_category_gets_the_bots_own_route(told: str) -> None:
    """Never an error, whatever the bot calls it."""
    assert load_routing(LEVELS).route("betsur", told).category == ""


@given(st.text(), st.text())
def test_any_bot_and_category_have_a_route(bot: str, category: str) -> None:
    """Looking up cannot fail, and every route has a group and a priority."""
    route = SMALL_ROUTING.route(bot, category)
    assert (route.bot, route.group_id, route.priority) == ("betsur", 1, "low")


@given(st.text("abcñüÁé09", min_size=1, max_size=12), st.sampled_from([" ", "_", "-", " - "]))
def test_any_spelling_of_a_name_is_that_name(name: str, between: str) -> None:
    """Upper case and separators between the letters change nothing."""
    assert plain(between.join(name.upper())) == plain(name)


@pytest.mark.parametrize(
    "spelling",
    [
        "🛑 Juego responsable",
        "juego_responsable!",
        "¡JUEGO-RESPONSABLE!",
        "«Juego» (responsable) 👩🏽‍💻",
        "1️⃣juego.responsable",
    ],
)
def test_marks_and_pictures_do_not_count(spelling: str) -> None:
    """Only letters and digits name a category."""
    assert plain(spelling).removeprefix("1") == plain("juego responsable") == "juegoresponsable"
    assert plain("🛑 !") == ""


@pytest.mark.parametrize(
    ("told", "bot"),
    [("corp", "corp"), ("CORP", "corp"), ("", "betsur"), ("nadie", "betsur"), ("bet-sur", "betsur")],
)
def test_an_unknown_bot_is_the_default_one(told: str, bot: str) -> None:
    """Bots are told apart as categories are."""
    assert load_routing(ELSEWHERE).bot(told) == bot
    assert load_routing(ELSEWHERE).route(told, "").bot == bot


def test_a_bot_on_another_desk_inherits_no_numbers() -> None:
    """Numbers, types and fields of one account mean something else in another; priority, label and tags travel."""
    route = load_routing(ELSEWHERE).route("corp", "retiros")
    assert (route.account, route.group_id, route.group) == ("otra", 50, "")
    assert (route.type, route.source, route.custom_fields, route.product_id) == (None, DEFAULT_SOURCE, {}, None)
    assert (route.label, route.priority, route.tags) == ("Retiros", "medium", ("default", "shared"))


def test_a_bot_on_another_desk_has_its_own_unknowns() -> None:
    """Its default route has its own group, and what may travel of the default."""
    route = load_routing(ELSEWHERE).route("corp", "nada")
    assert (route.group_id, route.priority, route.type) == (50, "low", None)


def test_the_desks_are_named() -> None:
    """Their addresses are there for the settings to check."""
    routing = load_routing(ELSEWHERE)
    assert routing.accounts == {"otra": "https://otra.freshdesk.com"}
    assert load_routing(SMALL).accounts == {}


def test_each_route_is_told_once() -> None:
    """Aliases do not repeat a route; every bot ends with its default."""
    told = [(route.bot, route.category) for route in load_routing(ELSEWHERE).each()]
    assert told == [("betsur", "retiros"), ("betsur", ""), ("corp", "retiros"), ("corp", "prensa"), ("corp", "")]


def test_a_bots_own_name_for_a_category_wins() -> None:
    """An alias of the bot's own takes a name over from a shared category."""
    text = LEVELS + '[bots.betsur.categories.caja]\naliases = ["cobros"]\n'
    assert load_routing(text).route("betsur", "cobros").category == "caja"


SENSE = [
    (SMALL.replace('"betsur"', '"otro"'), 1, "default_bot", "no hay ningún [bots.otro]: escribí uno de betsur"),
    (SMALL + 'desk = "otra"\n', 7, "bots.betsur.desk", "no hay ningún [desks.otra]"),
    (SMALL + '[bots.bet-sur]\nname = "B"\n', 7, "bots.bet-sur", "se lee igual que el bot «betsur»"),
    (SMALL + '[bots."-"]\nname = "B"\n', 7, "bots.-", "el nombre del bot no tiene ninguna letra ni cifra"),
    (SMALL + '[categories.a]\naliases = ["x", "-"]\n', 7, "categories.a", "«-» no tiene ninguna letra ni cifra"),
    (
        SMALL + '[categories.a]\n[categories.b]\naliases = ["Á"]\n',
        8,
        "categories.b",
        "«Á» ya nombra a la categoría «a»",
    ),
    (
        SMALL + '[bots.betsur.categories.a]\naliases = ["x"]\n[bots.betsur.categories.x]\n',
        9,
        "bots.betsur.categories.x",
        "«x» ya nombra a la categoría «a»",
    ),
    ('fallback_requester = "ana@localhost"\n' + SMALL, 1, "fallback_requester", "no es una dirección de correo"),
    (
        SMALL + '[desks.otra]\nurl = "https://example.com"\n',
        8,
        "desks.otra.url",
        "tiene que ser una dirección de Freshdesk",
    ),
]


@pytest.mark.parametrize(("text", "line", "key", "message"), SENSE)
def test_what_no_schema_can_see_is_told_by_line_and_key(text: str, line: int, key: str, message: str) -> None:
    """Names that point nowhere, names given twice, addresses that lead nowhere."""
    found = faults(text)
    assert [(fault.line, fault.key) for fault in found] == [(line, key)]
    assert found[0].message.startswith(message)


def test_every_fault_of_a_file_is_told_at_once() -> None:
    """Not only the first; from the top of the file down."""
    text = SMALL.replace('"low"', '"alta"').replace("group_id = 1", 'group_id = "1"') + "color = 1\n"
    assert [(fault.line, fault.key) for fault in faults(text)] == [
        (3, "default.group_id"),
        (4, "default.priority"),
        (7, "bots.betsur.color"),
    ]


@pytest.mark.parametrize("text", ["", "# nada todavía\n"])
def test_an_empty_file_is_told_each_thing_once(text: str) -> None:
    """What it needs, with the lines to begin with."""
    assert [str(fault) for fault in faults(text)] == [
        "falta «default»: agregá [default]",
        "falta «bots»: agregá [bots.betsur]",
        'falta «default_bot»: agregá default_bot = "betsur"',
    ]


def test_the_shipped_file_routes_a_betting_companys_help_desk() -> None:
    """Two bots, eight categories or more, and every one with a group, a name for it and a label."""
    routing = load_routing(SHIPPED)
    routes = list(routing.each())
    assert {route.bot for route in routes} == {"betsur", "institucional"}
    assert len({route.category for route in routes if route.bot == "betsur"} - {""}) >= 8
    assert all(route.group_id and route.group and route.priority in PRIORITIES for route in routes)
    assert all(route.label for route in routes if route.category)


@pytest.mark.parametrize("bot", ["betsur", "institucional", ""])
@pytest.mark.parametrize("told", ["juego_responsable", "autoexclusion", "ludopatía", "Quiero dejar de jugar"])
def test_responsible_gambling_is_always_urgent(bot: str, told: str) -> None:
    """A person may be at risk, whichever bot they talk to."""
    route = load_routing(SHIPPED).route(bot, told)
    assert (route.priority, route.group) == ("urgent", "Juego responsable")


def test_every_alias_of_the_shipped_file_leads_to_its_category() -> None:
    """No alias is taken by another category, in any bot."""
    table, routing = tomllib.loads(SHIPPED), load_routing(SHIPPED)
    for bot, own in table["bots"].items():
        for slug, category in [*table["categories"].items(), *own["categories"].items()]:
            for name in (slug, *category["aliases"]):
                assert routing.route(bot, name).category == slug


def test_the_shipped_file_gives_refused_requests_a_home() -> None:
    """It has a fallback requester, so that refusing is not losing."""
    assert load_routing(SHIPPED).fallback_requester == "pedidos-sin-correo@example.com"


def test_the_schema_is_where_it_should_be() -> None:
    """The package that is deployed brings it along."""
    assert SCHEMA_FILE.is_file()


def test_priorities_and_the_usual_source_are_freshdesks_numbers() -> None:
    """https://developers.freshdesk.com/api/#ticket-properties: 1 is low and 4 urgent; 2 is the portal."""
    assert dict(PRIORITIES) == {"low": 1, "medium": 2, "high": 3, "urgent": 4}
    assert DEFAULT_SOURCE == 2
