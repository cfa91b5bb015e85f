"""`routing.toml` → routes, or every fault in it by line and key."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoff.routing import DEFAULT_SOURCE, PRIORITIES, SCHEMA_FILE, RoutingError, RoutingFault, load_routing
from handoff.sanitize import plain
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
    """Return the faults of a routing file."""
    with pytest.raises(RoutingError) as caught:
        load_routing(text)
    assert str(caught.value) == "\n".join(map(str, caught.value.faults))
    return list(caught.value.faults)


def test_the_smallest_file_has_a_route_for_everything() -> None:
    """One bot and a default are enough."""
    route = load_routing(SMALL).route("betsur", "lo que sea")
    assert (route.bot, route.bot_name, route.account, route.category, route.label) == ("betsur", "Betsur", "", "", "")
    assert (route.group_id, route.group, route.priority, route.source) == (1, "", "low", DEFAULT_SOURCE)
    assert (route.type, route.product_id, route.tags, route.custom_fields, route.subject) == (None, None, (), {}, None)


def test_the_closest_level_wins_field_by_field() -> None:
    """In this order: the bot's category, the shared category, the bot, the default."""
    route = load_routing(LEVELS).route("betsur", "retiros")
    assert (route.priority, route.responder_id, route.subject, route.email_config_id) == ("urgent", 4, "{category}", 40)
    assert (route.group_id, route.label) == (3, "Retiros")
    assert route.product_id == 20
    assert (route.type, route.source) == ("T1", 9)


def test_tags_and_custom_fields_of_all_levels_are_combined() -> None:
    """Every tag of every level comes once; a custom field has the value of the closest level."""
    route = load_routing(LEVELS).route("betsur", "retiros")
    assert route.tags == ("default", "bot", "shared", "own")
    assert route.custom_fields == {"cf_a": 1, "cf_b": 2, "cf_c": 3}


def test_the_name_of_a_group_belongs_to_its_number() -> None:
    """A level that gives another group without a name does not inherit the old name."""
    assert load_routing(LEVELS).route("betsur", "retiros").group == ""
    assert load_routing(LEVELS).route("betsur", "otra cosa").group == "G1"


@pytest.mark.parametrize(
    "spelling", ["retiros", "RETIROS", " ré-ti_ros ", "cobros", "pagos", "Retiros\u200b", "\U0001d411etiros"]
)
def test_a_category_is_known_in_any_spelling(spelling: str) -> None:
    """Case, accents, separators and hidden characters do not count; this holds for the aliases of both levels."""
    assert load_routing(LEVELS).route("betsur", spelling).category == "retiros"


@pytest.mark.parametrize("category", ["", " ", "---", "💥", "retiro s de dinero", "\x00", "x" * 10_000])
def test_an_unknown_category_gets_the_route_of_its_bot(category: str) -> None:
    """It is never an error."""
    assert load_routing(LEVELS).route("betsur", category).category == ""


@given(st.text(), st.text())
def test_any_bot_and_category_have_a_route(bot: str, category: str) -> None:
    """The lookup cannot fail, and every route has a group and a priority."""
    route = SMALL_ROUTING.route(bot, category)
    assert (route.bot, route.group_id, route.priority) == ("betsur", 1, "low")


@given(st.text("abcñüÁé09", min_size=1, max_size=12), st.sampled_from([" ", "_", "-", " - "]))
def test_any_spelling_of_a_name_matches(name: str, between: str) -> None:
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
def test_signs_and_pictures_do_not_count(spelling: str) -> None:
    """Only letters and digits identify a category."""
    assert plain(spelling).removeprefix("1") == plain("juego responsable") == "juegoresponsable"
    assert plain("🛑 !") == ""


@pytest.mark.parametrize(
    ("name", "bot"),
    [("corp", "corp"), ("CORP", "corp"), ("", "betsur"), ("nadie", "betsur"), ("bet-sur", "betsur")],
)
def test_an_unknown_bot_gets_the_default_bot(name: str, bot: str) -> None:
    """Bots are compared like categories."""
    assert load_routing(ELSEWHERE).bot(name) == bot
    assert load_routing(ELSEWHERE).route(name, "").bot == bot


def test_a_bot_on_another_account_inherits_no_numbers() -> None:
    """Numbers, types and fields differ between accounts; priority, label and tags are inherited."""
    route = load_routing(ELSEWHERE).route("corp", "retiros")
    assert (route.account, route.group_id, route.group) == ("otra", 50, "")
    assert (route.type, route.source, route.custom_fields, route.product_id) == (None, DEFAULT_SOURCE, {}, None)
    assert (route.label, route.priority, route.tags) == ("Retiros", "medium", ("default", "shared"))


def test_a_bot_on_another_account_has_its_own_default_route() -> None:
    """It has its own group, and inherits the parts of the default that do not depend on the account."""
    route = load_routing(ELSEWHERE).route("corp", "nada")
    assert (route.group_id, route.priority, route.type) == (50, "low", None)


def test_the_accounts_are_listed() -> None:
    """The settings check their URLs."""
    routing = load_routing(ELSEWHERE)
    assert routing.accounts == {"otra": "https://otra.freshdesk.com"}
    assert load_routing(SMALL).accounts == {}


def test_each_route_is_listed_once() -> None:
    """Aliases do not repeat a route; the default route of each bot comes last."""
    routes = [(route.bot, route.category) for route in load_routing(ELSEWHERE).each()]
    assert routes == [("betsur", "retiros"), ("betsur", ""), ("corp", "retiros"), ("corp", "prensa"), ("corp", "")]


def test_a_bots_own_alias_takes_precedence() -> None:
    """It also takes a name from a shared category."""
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
def test_faults_that_no_schema_can_find_have_line_and_key(text: str, line: int, key: str, message: str) -> None:
    """References to missing names, duplicate names, invalid URLs."""
    found = faults(text)
    assert [(fault.line, fault.key) for fault in found] == [(line, key)]
    assert found[0].message.startswith(message)


def test_every_fault_of_a_file_is_reported_at_once() -> None:
    """From the top of the file down."""
    text = SMALL.replace('"low"', '"alta"').replace("group_id = 1", 'group_id = "1"') + "color = 1\n"
    assert [(fault.line, fault.key) for fault in faults(text)] == [
        (3, "default.group_id"),
        (4, "default.priority"),
        (7, "bots.betsur.color"),
    ]


@pytest.mark.parametrize("text", ["", "# nada todavía\n"])
def test_an_empty_file_has_one_fault_for_each_missing_part(text: str) -> None:
    """Each fault has the lines to begin with."""
    assert [str(fault) for fault in faults(text)] == [
        "falta «default»: agregá [default]",
        "falta «bots»: agregá [bots.betsur]",
        'falta «default_bot»: agregá default_bot = "betsur"',
    ]


def test_the_shipped_file_has_routes_for_a_betting_company() -> None:
    """Two bots, eight categories or more, each with a group, its name and a label."""
    routing = load_routing(SHIPPED)
    routes = list(routing.each())
    assert {route.bot for route in routes} == {"betsur", "institucional"}
    assert len({route.category for route in routes if route.bot == "betsur"} - {""}) >= 8
    assert all(route.group_id and route.group and route.priority in PRIORITIES for route in routes)
    assert all(route.label for route in routes if route.category)


@pytest.mark.parametrize("bot", ["betsur", "institucional", ""])
@pytest.mark.parametrize("category", ["juego_responsable", "autoexclusion", "ludopatía", "Quiero dejar de jugar"])
def test_responsible_gambling_is_always_urgent(bot: str, category: str) -> None:
    """A person may be in danger, whichever bot they talk to."""
    route = load_routing(SHIPPED).route(bot, category)
    assert (route.priority, route.group) == ("urgent", "Juego responsable")


def test_every_alias_of_the_shipped_file_leads_to_its_category() -> None:
    """No alias belongs to another category, in any bot."""
    table, routing = tomllib.loads(SHIPPED), load_routing(SHIPPED)
    for bot, own in table["bots"].items():
        for slug, category in [*table["categories"].items(), *own["categories"].items()]:
            for name in (slug, *category["aliases"]):
                assert routing.route(bot, name).category == slug


def test_the_shipped_file_has_a_fallback_requester() -> None:
    """Refused requests without an address need it to become a ticket."""
    assert load_routing(SHIPPED).fallback_requester == "pedidos-sin-correo@example.com"


def test_the_schema_is_where_the_code_expects_it() -> None:
    """The deployed package contains it."""
    assert SCHEMA_FILE.is_file()


def test_priorities_and_the_default_source_are_freshdesks_numbers() -> None:
    """https://developers.freshdesk.com/api/#ticket-properties: 1 is low and 4 urgent; 2 is the portal."""
    assert dict(PRIORITIES) == {"low": 1, "medium": 2, "high": 3, "urgent": 4}
    assert DEFAULT_SOURCE == 2
