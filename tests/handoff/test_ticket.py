"""(Handoff, route) → the fields of a Freshdesk ticket."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoff.inbound import Handoff, InvalidHandoff, read_handoff, schema
from handoff.routing import load_routing
from handoff.sanitize import clean, is_placeholder
from handoff.settings import DEFAULT_ROUTING
from handoff.ticket import (
    NEEDED,
    NO_NAME,
    NO_ROUTE_TAG,
    REFUSED_REMARK,
    TAG_MAX,
    droppable,
    subject,
    to_note,
    to_ticket,
    try_templates,
)
from tests.corpora import TEXTS, XSS, Page
from tests.factories import EMAIL, KEY, NAME, PHONE, REASON, REFERENCE, SUMMARY, body, handoff, route

ROUTES = list(load_routing(DEFAULT_ROUTING.read_text(encoding="utf-8")).each())
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
TEXT_FIELDS = (
    *("conversation_summary", "reason", "user_name", "channel", "language", "conversation_transcript"),
    *("conversation_id", "message_id", "user_id", "bot_id", "conversation_url", "category"),
)


@st.composite
def handoffs(draw: st.DrawFn) -> Handoff:
    """Draw any handoff that the function could hold, good or salvaged."""
    texts = {name: draw(WORDS | st.just("")) for name in schema()["properties"]}
    other = draw(st.dictionaries(WORDS, WORDS, max_size=3))
    try:
        return read_handoff({**texts, **other})
    except InvalidHandoff as error:
        return error.salvaged


@given(handoffs(), st.sampled_from(ROUTES), st.booleans())
def test_any_handoff_becomes_a_ticket(given_one: Handoff, given_route: Any, refused: bool) -> None:  # noqa: FBT001 -- drawn
    """Total: whatever the handoff holds, there is a ticket with a subject, a requester and a description."""
    fields = to_ticket(given_one, given_route, refused=refused, fallback_requester="casa@example.com")
    assert fields["subject"].endswith(f" [{given_one.reference}]")
    assert len(fields["subject"]) <= 255
    assert fields.get("email") or fields.get("phone")
    assert to_note(given_one, given_route, "por qué").startswith("<p><b>por qué</b></p>")


def test_a_ticket_has_the_routes_fields() -> None:
    """Open, group, priority by number, type, source, product and the rest, as the route says; no other."""
    numbers = {"group_id": 1, "product_id": 2, "responder_id": 3, "email_config_id": 4, "source": 9}
    fields = to_ticket(handoff(), route(**numbers, type="Incidente", priority="urgent", custom_fields={"cf_a": 1}))
    assert numbers.items() <= fields.items()
    assert (fields["status"], fields["priority"], fields["type"]) == (2, 4, "Incidente")
    assert fields["custom_fields"] == {"cf_a": 1}
    assert to_ticket(handoff(), route(group_id=None)).keys() == {
        *("email", "name", "subject", "description", "status", "priority", "source", "tags"),
    }


@pytest.mark.parametrize(("told", "number"), [("low", 1), ("medium", 2), ("high", 3), ("urgent", 4)])
def test_priorities_have_freshdesks_numbers(told: str, number: int) -> None:
    """https://developers.freshdesk.com/api/#ticket-priority."""
    assert to_ticket(handoff(), route(priority=told))["priority"] == number


def test_the_caller_chooses_no_field_of_the_ticket() -> None:
    """What a body calls group_id or cc_emails is shown, and never sent as such."""
    read = read_handoff(body(group_id=666, priority="urgent", responder_id=1, cc_emails=["x@example.com"], status=5))
    fields = to_ticket(read, route())
    assert (fields["group_id"], fields["priority"], fields["status"]) == (1070000000102, 3, 2)
    assert not {"cc_emails", "responder_id"} & fields.keys()
    assert "666" in fields["description"]


def test_the_requester_is_the_person() -> None:
    """Name, e-mail and telephone, where they were given."""
    fields = to_ticket(handoff(user_phone=PHONE), route())
    assert (fields["name"], fields["email"], fields["phone"]) == (NAME, EMAIL, PHONE)
    assert "name" not in to_ticket(handoff(user_name=""), route())


@pytest.mark.parametrize(("name", "told"), [(NAME, NAME), ("", NO_NAME)])
def test_a_telephone_alone_comes_with_a_name(name: str, told: str) -> None:
    """Freshdesk wants one where there is no e-mail."""
    fields = to_ticket(handoff(user_email="", user_phone=PHONE, user_name=name), route())
    assert (fields["name"], fields["phone"]) == (told, PHONE)
    assert "email" not in fields


def test_without_an_address_the_house_asks() -> None:
    """The fallback requester takes the place of a person without address, and of no other."""
    house = "casa@example.com"
    nobody = to_ticket(handoff(user_email=""), route(), fallback_requester=house)
    assert (nobody["email"], "name" in nobody) == (house, False)
    assert to_ticket(handoff(), route(), fallback_requester=house)["email"] == EMAIL
    phone_only = to_ticket(handoff(user_email="", user_phone=PHONE), route(), fallback_requester=house)
    assert "email" not in phone_only


@pytest.mark.parametrize(
    ("changes", "template", "told"),
    [
        ({}, None, f"Retiros: {REASON}"),
        ({"reason": ""}, None, "Retiros: Canario del resumen: el retiro no llegó."),
        ({"reason": "", "conversation_summary": "una\ndos"}, None, "Retiros: una"),
        ({"reason": "", "conversation_summary": ""}, None, "Retiros"),
        ({"reason": "a\n b"}, None, "Retiros: a b"),
        ({}, "{bot} · {name} · {category} · {reason}", f"Betsur · {NAME} · Retiros · {REASON}"),
        ({"reason": "{name} {reference}"}, "{reason}", "{name} {reference}"),
        ({}, "Retiro", "Retiro"),
    ],
)
def test_the_subject_tells_what_it_is_about(changes: dict[str, str], template: str | None, told: str) -> None:
    """The route's own subject or category and reason, else the summary's first line; then the reference."""
    assert subject(handoff(**changes), route(subject=template)) == f"{told} [{REFERENCE}]"


def test_an_unknown_category_names_itself_in_the_subject() -> None:
    """Where the route has no label, the bot's word stands; without one, what it is."""
    assert subject(handoff(category="cosa rara"), route(category="", label="")).startswith("cosa rara: ")
    assert subject(handoff(category=""), route(category="", label="")).startswith("Pedido de ayuda: ")


@pytest.mark.parametrize("length", [240, 241, 242, 2000])  # 14 of the 255 are for the reference
def test_a_long_subject_is_cut_before_the_reference(length: int) -> None:
    """255 characters at most, all of them used, and the reference whole."""
    told = subject(handoff(reason="x" * length), route(subject="{reason}"))
    assert len(told) == min(length + 14, 255)
    assert told.endswith(f" [{REFERENCE}]")
    assert ("…" in told) is (length > 241)


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_no_field_that_is_exported_starts_a_formula(start: str) -> None:
    """Subject and name get an apostrophe; spreadsheets then show them instead of running them."""
    fields = to_ticket(handoff(reason=f"{start}1", user_name=f" {start}1"), route(subject="{reason}"))
    assert fields["subject"].startswith(f"'{start}1")
    assert fields["name"] == f"'{start}1"


def test_the_tags_tell_bot_and_route() -> None:
    """`botpress`, the bot, the route's own; each once and at most 32 characters."""
    fields = to_ticket(handoff(), route(bot="b" * 60, tags=("sensible", "botpress", "t" * 32)))
    assert fields["tags"] == ["botpress", "bot:" + "b" * 28, "sensible", "t" * 32]
    assert max(map(len, fields["tags"])) == TAG_MAX


def test_an_unknown_category_has_a_tag() -> None:
    """So that a support lead finds what the routing does not know."""
    assert NO_ROUTE_TAG in to_ticket(handoff(), route(category=""))["tags"]
    assert NO_ROUTE_TAG not in to_ticket(handoff(), route())["tags"]


def test_the_description_tells_everything() -> None:
    """Every field a handoff can have is there for the agent to read."""
    texts = {name: f"dato de {name}" for name in schema()["properties"]}
    page = Page(to_ticket(handoff(**texts, other=(("clave", "valor"),)), route(label=""))["description"])
    shown = texts.keys() - {"bot"}  # the bot's name is the route's
    assert [name for name in shown if texts[name] not in page.text] == []
    assert all(told in page.text for told in ("Betsur", "clave", "valor", REFERENCE))


def test_the_description_leaves_out_what_was_not_given() -> None:
    """No empty rows, no headings without anything under them."""
    told = to_ticket(Handoff(key=KEY, conversation_summary=SUMMARY), route())["description"]
    assert not [word for word in ("Motivo", "Nombre", "Correo", "Teléfono", "Otros datos", "Id.") if word in told]
    assert "sin ruta propia" not in told
    assert "sin ruta propia" in to_ticket(handoff(), route(category=""))["description"]


def test_what_freshdesk_refused_is_left_out_and_named() -> None:
    """In the agent's words, beside the way to mend it."""
    dropped = frozenset({"group_id", "custom_fields.cf_a"})
    fields = to_ticket(handoff(), route(custom_fields={"cf_a": 1, "cf_b": 2}), dropped=dropped)
    assert fields["custom_fields"] == {"cf_b": 2}
    assert "group_id" not in fields
    assert "salió sin: custom_fields.cf_a, grupo. Hay que corregir" in fields["description"]
    everything = to_ticket(handoff(), route(custom_fields={"cf_a": 1}), dropped=frozenset({"custom_fields.cf_a"}))
    assert "custom_fields" not in everything


def test_a_refused_handoff_says_so() -> None:
    """The agent knows that the data came with faults."""
    assert REFUSED_REMARK in to_ticket(handoff(), route(), refused=True)["description"]
    assert REFUSED_REMARK not in to_ticket(handoff(), route())["description"]


def test_a_note_says_why_and_everything_else() -> None:
    """The sentence stands first, as text."""
    page = Page(to_note(handoff(), route(), "con <otras> palabras:"))
    assert page.text.startswith("con <otras> palabras:")
    assert SUMMARY in page.text


@pytest.mark.parametrize(
    ("fields", "refused", "may_go"),
    [
        ({"email": "a@example.com", "phone": "1", "name": "x"}, {"email", "phone", "name"}, {"phone", "name"}),
        ({"phone": "1", "name": "x", "group_id": 7}, {"phone", "name", "group_id"}, {"group_id"}),
        ({"email": "a@example.com", "custom_fields": {"cf_a": 1}}, {"custom_fields.cf_a"}, {"custom_fields.cf_a"}),
        ({"email": "a@example.com", "custom_fields": {"cf_a": 1}}, {"custom_fields.cf_b"}, set()),
        ({"email": "a@example.com", "custom_fields": {"cf_a": 1}}, {"custom_fields"}, {"custom_fields"}),
        ({"email": "a@example.com"}, {"group_id", *NEEDED}, set()),
    ],
)
def test_a_ticket_can_do_without_some_fields(fields: dict[str, Any], refused: set[str], may_go: set[str]) -> None:
    """What it has and does not need; the one address it has stays."""
    assert droppable(fields, refused) == may_go


@pytest.mark.parametrize("url", ["https://app.example.com/c/1?x=ñ#y", "http://example.com", "https://example.com/a@b"])
def test_a_plain_address_becomes_a_link(url: str) -> None:
    """The agent can follow it to the conversation."""
    assert ("a", (("href", url),)) in Page(to_ticket(handoff(conversation_url=url), route())["description"]).tags


NO_LINKS = (
    *(
        "javascript:alert(1)",
        "JAVASCRIPT:alert(1)",
        "data:text/html,x",
        "ftp://example.com",
        "//example.com",
        "https:x",
    ),
    *("https://", "https://a b", 'https://a"b', "https://a'b", "https://a<b", "https://a>b", "https://a\\b"),
    *("https://freshdesk.com@example.com/", "http://[::1", "http://[x]/", "https://exa\tmple.com", "hola"),
)


@pytest.mark.parametrize("url", NO_LINKS)
def test_any_other_address_stays_text(url: str) -> None:
    """No script, no other scheme, nothing that would break out of the attribute or hide the host."""
    page = Page(to_ticket(handoff(conversation_url=url), route())["description"])
    assert "a" not in {tag for tag, _ in page.tags}
    assert url in page.text


def page_with(text: str) -> Page:
    """Return what an agent gets, ticket and note, when text came in every field and as an unknown field's name."""
    sent = body(**dict.fromkeys(TEXT_FIELDS, text), **{text: text}, otro=text)
    read = read_handoff(sent)
    own = route(category="", label="")
    return Page(f"{to_ticket(read, own)['description']}{to_note(read, own, text)}")


def test_the_corpora_are_large_enough_to_mean_something() -> None:
    """Two hundred ways to run a script, a hundred hostile texts."""
    assert len(set(XSS)) >= 200
    assert len(TEXTS) >= 100


def test_no_markup_of_a_person_is_markup_for_the_agent() -> None:
    """Every vector, in every field at once: the same tags as with an innocent text, and the vector there to read."""
    innocent = page_with("x").tags
    for vector in (f"x {one}" if is_placeholder(one) else one for one in XSS):  # alone, a template's text is absent
        page = page_with(vector)
        assert [tag for tag in page.tags if tag[0] != "a"] == innocent
        assert {attributes for tag, attributes in page.tags if tag == "a"} <= {(("href", vector),)}
        assert page.text.count(clean(vector)[:64]) >= 2 * (len(TEXT_FIELDS) - 1)  # one-line fields fold a tab


def test_the_check_for_markup_bites() -> None:
    """The control: the same description without escaping has tags that are not the template's."""
    raw = Page(to_ticket(handoff(reason="{}"), route())["description"].replace("{}", XSS[0]))
    assert raw.tags != Page(to_ticket(handoff(reason="x"), route())["description"]).tags


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_hostile_text_can_be_read_as_it_was_written(name: str) -> None:
    """After un-escaping, the agent sees the text less its control and override characters, emoji families whole."""
    told = clean(TEXTS[name])
    page = Page(to_ticket(handoff(conversation_summary=told, conversation_transcript=told), route())["description"])
    assert page.text.count(told) >= 2 if told else page.text
    assert not set(page.text) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def test_the_templates_are_sound() -> None:
    """They can be filled in with everything at once; a broken one stops the function before any handoff."""
    try_templates()
