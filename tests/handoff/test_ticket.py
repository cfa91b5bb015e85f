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
    UNKNOWN_BOT_TAG,
    Offer,
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
    """Draw any handoff that the function could hold, valid or refused."""
    texts = {name: draw(WORDS | st.just("")) for name in schema()["properties"]}
    other = draw(st.dictionaries(WORDS, WORDS, max_size=3))
    try:
        return read_handoff({**texts, **other})
    except InvalidHandoff as error:
        return error.salvaged


@given(handoffs(), st.sampled_from(ROUTES), st.booleans())
def test_any_handoff_becomes_a_ticket(given_one: Handoff, given_route: Any, refused: bool) -> None:  # noqa: FBT001 -- drawn
    """Whatever the handoff holds, the ticket has a subject, a requester and a description."""
    fields = to_ticket(given_one, given_route, refused=refused, fallback_requester="casa@example.com")
    assert fields["subject"].endswith(f" [{given_one.reference}]")
    assert len(fields["subject"]) <= 255
    assert fields.get("email") or fields.get("phone") or fields.get("unique_external_id")
    assert to_note(given_one, given_route, "por qué").startswith("<p><b>por qué</b></p>")


def test_a_ticket_has_the_fields_of_its_route() -> None:
    """Status open, group, priority as a number, type, source, product and custom fields, and no other field."""
    numbers = {"group_id": 1, "product_id": 2, "responder_id": 3, "email_config_id": 4, "source": 9}
    fields = to_ticket(handoff(), route(**numbers, type="Incidente", priority="urgent", custom_fields={"cf_a": 1}))
    assert numbers.items() <= fields.items()
    assert (fields["status"], fields["priority"], fields["type"]) == (2, 4, "Incidente")
    assert fields["custom_fields"] == {"cf_a": 1}
    assert to_ticket(handoff(), route(group_id=None)).keys() == {
        *("email", "name", "subject", "description", "status", "priority", "source", "tags"),
    }


@pytest.mark.parametrize(("priority", "number"), [("low", 1), ("medium", 2), ("high", 3), ("urgent", 4)])
def test_priorities_have_freshdesks_numbers(priority: str, number: int) -> None:
    """https://developers.freshdesk.com/api/#ticket-priority."""
    assert to_ticket(handoff(), route(priority=priority))["priority"] == number


def test_the_caller_cannot_set_ticket_fields() -> None:
    """A field of the body named group_id or cc_emails is shown, and never sent as such."""
    read = read_handoff(body(group_id=666, priority="urgent", responder_id=1, cc_emails=["x@example.com"], status=5))
    fields = to_ticket(read, route())
    assert (fields["group_id"], fields["priority"], fields["status"]) == (1070000000102, 3, 2)
    assert not {"cc_emails", "responder_id"} & fields.keys()
    assert "666" in fields["description"]


def test_the_requester_is_the_person() -> None:
    """With name, e-mail and phone, if given."""
    fields = to_ticket(handoff(user_phone=PHONE), route())
    assert (fields["name"], fields["email"], fields["phone"]) == (NAME, EMAIL, PHONE)
    assert "name" not in to_ticket(handoff(user_name=""), route())


@pytest.mark.parametrize(("name", "shown"), [(NAME, NAME), ("", NO_NAME)])
def test_a_phone_alone_is_sent_with_a_name(name: str, shown: str) -> None:
    """Freshdesk requires one if there is no e-mail."""
    fields = to_ticket(handoff(user_email="", user_phone=PHONE, user_name=name), route())
    assert (fields["name"], fields["phone"]) == (shown, PHONE)
    assert "email" not in fields


def test_without_an_address_the_fallback_requester_is_used() -> None:
    """Only for a person without an address."""
    house = "casa@example.com"
    nobody = to_ticket(handoff(user_email=""), route(), fallback_requester=house)
    assert (nobody["email"], "name" in nobody) == (house, False)
    assert to_ticket(handoff(), route(), fallback_requester=house)["email"] == EMAIL
    phone_only = to_ticket(handoff(user_email="", user_phone=PHONE), route(), fallback_requester=house)
    assert "email" not in phone_only


@pytest.mark.parametrize(
    ("changes", "template", "start"),
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
def test_the_subject_names_the_matter(changes: dict[str, str], template: str | None, start: str) -> None:
    """The route's own subject, or category and reason, or the summary's first line; then the reference."""
    assert subject(handoff(**changes), route(subject=template)) == f"{start} [{REFERENCE}]"


def test_a_bot_that_nobody_configured_is_named() -> None:
    """The operator finds it by its tag, and the agent knows why the ticket is here."""
    fields = to_ticket(handoff(bot="otro"), route(unknown_bot="otro"))
    assert "El bot «otro» no está en routing.toml" in fields["description"]
    assert UNKNOWN_BOT_TAG in fields["tags"]


def test_the_subject_has_the_unknown_category() -> None:
    """If the route has no label, the bot's word is used; without a category, a general phrase."""
    assert subject(handoff(category="cosa rara"), route(category="", label="")).startswith("cosa rara: ")
    assert subject(handoff(category=""), route(category="", label="")).startswith("Pedido de ayuda: ")


@pytest.mark.parametrize("length", [240, 241, 242, 2000])  # 14 of the 255 are for the reference
def test_a_long_subject_is_cut_before_the_reference(length: int) -> None:
    """All 255 characters are used, and the reference is complete."""
    shown = subject(handoff(reason="x" * length), route(subject="{reason}"))
    assert len(shown) == min(length + 14, 255)
    assert shown.endswith(f" [{REFERENCE}]")
    assert ("…" in shown) is (length > 241)


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_no_exported_field_starts_a_formula(start: str) -> None:
    """Subject and name get an apostrophe, so that spreadsheets show them instead of running them."""
    fields = to_ticket(handoff(reason=f"{start}1", user_name=f" {start}1"), route(subject="{reason}"))
    assert fields["subject"].startswith(f"'{start}1")
    assert fields["name"] == f"'{start}1"


def test_the_tags_name_bot_and_route() -> None:
    """`botpress`, the bot and those of the route, each once and at most 32 characters."""
    fields = to_ticket(handoff(), route(bot="b" * 60, tags=("sensible", "botpress", "t" * 32)))
    assert fields["tags"] == ["botpress", "bot:" + "b" * 28, "sensible", "t" * 32]
    assert max(map(len, fields["tags"])) == TAG_MAX


def test_an_unknown_category_has_a_tag() -> None:
    """A support lead can find the categories that the routing lacks."""
    assert NO_ROUTE_TAG in to_ticket(handoff(), route(category=""))["tags"]
    assert NO_ROUTE_TAG not in to_ticket(handoff(), route())["tags"]


def test_the_description_has_every_field() -> None:
    """The agent can read every field of a handoff."""
    texts = {name: f"dato de {name}" for name in schema()["properties"].keys() - {"attachments", "fields", "tags"}}
    page = Page(to_ticket(handoff(**texts, other=(("clave", "valor"),)), route(label=""))["description"])
    shown = texts.keys() - {"bot"}  # the bot's name is that of the route
    assert [name for name in shown if texts[name] not in page.text] == []
    assert all(text in page.text for text in ("Betsur", "clave", "valor", REFERENCE))


def test_the_description_leaves_out_absent_fields() -> None:
    """It has no empty rows, and no headings without content."""
    html = to_ticket(Handoff(key=KEY, conversation_summary=SUMMARY), route())["description"]
    assert not [word for word in ("Motivo", "Nombre", "Correo", "Teléfono", "Otros datos", "Id.") if word in html]
    assert "sin ruta propia" not in html
    assert "sin ruta propia" in to_ticket(handoff(), route(category=""))["description"]


def test_fields_that_freshdesk_refused_are_left_out_and_named() -> None:
    """In the agent's words, with how to correct it."""
    dropped = frozenset({"group_id", "custom_fields.cf_a"})
    fields = to_ticket(handoff(), route(custom_fields={"cf_a": 1, "cf_b": 2}), Offer(dropped=frozenset(dropped)))
    assert fields["custom_fields"] == {"cf_b": 2}
    assert "group_id" not in fields
    assert "salió sin: custom_fields.cf_a, grupo. Hay que corregir" in fields["description"]
    everything = to_ticket(
        handoff(), route(custom_fields={"cf_a": 1}), Offer(dropped=frozenset({"custom_fields.cf_a"}))
    )
    assert "custom_fields" not in everything


def test_a_refused_handoff_is_marked() -> None:
    """The agent sees that the data had faults."""
    assert REFUSED_REMARK in to_ticket(handoff(), route(), refused=True)["description"]
    assert REFUSED_REMARK not in to_ticket(handoff(), route())["description"]


def test_a_note_has_its_reason_and_all_data() -> None:
    """The reason comes first, as text."""
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
def test_some_fields_of_a_ticket_are_optional(fields: dict[str, Any], refused: set[str], may_go: set[str]) -> None:
    """Fields that it has and does not need; its only address is required."""
    assert droppable(fields, refused) == may_go


@pytest.mark.parametrize("url", ["https://app.example.com/c/1?x=ñ#y", "http://example.com", "https://example.com/a@b"])
def test_a_valid_url_becomes_a_link(url: str) -> None:
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
def test_any_other_url_stays_text(url: str) -> None:
    """No script, no other scheme, nothing that could leave the attribute or hide the host."""
    page = Page(to_ticket(handoff(conversation_url=url), route())["description"])
    assert "a" not in {tag for tag, _ in page.tags}
    assert url in page.text


def page_with(text: str) -> Page:
    """Return ticket and note with text in every field and as the name of an unknown field."""
    sent = body(**dict.fromkeys(TEXT_FIELDS, text), **{text: text}, otro=text)
    read = read_handoff(sent)
    own = route(category="", label="")
    return Page(f"{to_ticket(read, own)['description']}{to_note(read, own, text)}")


def test_the_corpora_are_large_enough() -> None:
    """Two hundred ways to run a script, a hundred hostile texts."""
    assert len(set(XSS)) >= 200
    assert len(TEXTS) >= 100


def test_no_markup_of_a_person_reaches_the_agent() -> None:
    """With each vector in every field, the tags are those of a harmless text, and the vector is there as text."""
    innocent = page_with("x").tags
    for vector in (f"x {one}" if is_placeholder(one) else one for one in XSS):  # a placeholder alone counts as absent
        page = page_with(vector)
        assert [tag for tag in page.tags if tag[0] != "a"] == innocent
        assert {attributes for tag, attributes in page.tags if tag == "a"} <= {(("href", vector),)}
        assert page.text.count(clean(vector)[:64]) >= 2 * (len(TEXT_FIELDS) - 1)  # one-line fields fold a tab


def test_control_without_escaping_there_is_markup() -> None:
    """The same description without escaping has tags that are not from the template."""
    raw = Page(to_ticket(handoff(reason="{}"), route())["description"].replace("{}", XSS[0]))
    assert raw.tags != Page(to_ticket(handoff(reason="x"), route())["description"]).tags


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_hostile_text_is_readable_as_written(name: str) -> None:
    """The agent sees the text without its control and override characters, and with complete emoji families."""
    shown = clean(TEXTS[name])
    page = Page(to_ticket(handoff(conversation_summary=shown, conversation_transcript=shown), route())["description"])
    assert page.text.count(shown) >= 2 if shown else page.text
    assert not set(page.text) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def test_the_templates_are_valid() -> None:
    """They can be filled in with every field; a broken one stops the function before any handoff."""
    try_templates()
