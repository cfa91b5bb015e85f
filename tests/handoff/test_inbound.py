"""The JSON that Botpress sends, checked and turned into a handoff."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoff.identity import Identity, is_other_handoff, mailbox_of, person_of, persons_of
from handoff.inbound import (
    BODY_KEY_LIFETIME_S,
    KEPT_BYTES_MAX,
    KEY_LIFETIME_S,
    OTHER_FIELDS_SHOWN,
    OTHER_NAME_KEPT,
    OTHER_TEXT_KEPT,
    RAW_TEXT_KEPT,
    REST_NAME,
    Fault,
    Handoff,
    InvalidHandoff,
    is_reference,
    read_handoff,
    reference_of,
    salvage_text,
    schema,
)
from handoff.sanitize import plain_phone
from handoff.strict_json import BODY_MAX, MalformedJSON, parse_body
from tests.factories import EMAIL, KEY, NAME, PHONE, REASON, REFERENCE, SUMMARY, body, handoff, worst_body

CUT_AT = {name: rule["x-cut-at"] for name, rule in schema()["properties"].items() if "x-cut-at" in rule}
PARTS = {"attachments", "fields", "tags"}  # tests/handoff/test_parts.py
TEXT_FIELDS = schema()["properties"].keys() - PARTS
OPTIONAL = sorted(TEXT_FIELDS - {"user_email", "user_phone", "conversation_summary", "category"})
CARD = "4111 1111 1111 1111"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
BODIES = st.dictionaries(st.sampled_from(sorted(schema()["properties"])) | TEXTS, VALUES, max_size=20)


def faults(**overrides: Any) -> tuple[Fault, ...]:
    """Return the faults of `body(**overrides)`."""
    with pytest.raises(InvalidHandoff) as caught:
        read_handoff(body(**overrides))
    return caught.value.faults


def salvaged(**overrides: Any) -> Handoff:
    """Return what is kept of `body(**overrides)` when it is refused."""
    with pytest.raises(InvalidHandoff) as caught:
        read_handoff(body(**overrides))
    return caught.value.salvaged


def test_a_body_becomes_a_handoff() -> None:
    """Every field has the value from the body."""
    read = read_handoff(body(user_phone=PHONE, channel="webchat", language="es"))
    assert (read.user_email, read.user_phone, read.reason) == (EMAIL, PHONE, REASON)
    assert (read.conversation_summary, read.category, read.bot) == (SUMMARY, "retiros", "betsur")
    assert (read.channel, read.language, read.other) == ("webchat", "es", ())


def test_handoff_and_schema_have_the_same_fields() -> None:
    """Every field of the schema is a field of the handoff."""
    given_all = body(**dict.fromkeys(OPTIONAL, "algo"), user_phone=PHONE)
    read = read_handoff(given_all)
    assert {name: getattr(read, name) for name in given_all} == given_all


@pytest.mark.parametrize("name", OPTIONAL)
@pytest.mark.parametrize("nothing", [None, "", " \u200b", "undefined", "null", "None", "{{user.x}}", "[object Object]"])
def test_an_empty_optional_field_counts_as_absent(name: str, nothing: str | None) -> None:
    """null, "", invisible text and unfilled templates are the same as leaving the field out."""
    assert getattr(read_handoff(body(**{name: nothing})), name) == ""


@pytest.mark.parametrize("name", sorted(CUT_AT))
def test_long_text_is_cut_and_never_refused(name: str) -> None:
    """Each field keeps exactly its limit, with a mark for the rest; the transcript keeps its end."""
    limit = CUT_AT[name]
    assert len(getattr(read_handoff(body(**{name: "a" * limit})), name)) == limit
    cut = getattr(read_handoff(body(**{name: "a" * limit + "z"})), name)
    assert cut == ("[+1] …" + "a" * (limit - 1) + "z" if name == "conversation_transcript" else "a" * limit + "… [+1]")


def test_the_limits_are_those_of_the_contract() -> None:
    """Callers may rely on these numbers."""
    documented = {"conversation_summary": 8000, "category": 80, "user_name": 120, "reason": 2000, "channel": 64}
    documented |= {"conversation_transcript": 60_000, "conversation_id": 128, "message_id": 128, "user_id": 128}
    assert documented.items() <= CUT_AT.items()


@pytest.mark.parametrize("name", ["conversation_summary", "category"])
@pytest.mark.parametrize("nothing", [None, "", "\n\u200b\u202e"])
def test_a_required_field_must_be_visible(name: str, nothing: str | None) -> None:
    """Invisible text does not count."""
    assert faults(**{name: nothing}) == (Fault(name, "required"),)


@pytest.mark.parametrize("value", [5, True, [], {}, ["a"], 1.5])
@pytest.mark.parametrize("name", ["conversation_summary", "category", *OPTIONAL])
def test_a_field_of_another_type_is_named(name: str, value: Any) -> None:
    """Numbers, lists and objects are not accepted as text."""
    assert faults(**{name: value}) == (Fault(name, "type"),)


def test_every_fault_is_reported_at_once() -> None:
    """A caller can correct all of them together."""
    found = faults(user_email="ana@", category=None, conversation_summary=7, reason=[])
    assert set(found) == {
        Fault("user_email", "invalid"),
        Fault("category", "required"),
        Fault("conversation_summary", "type"),
        Fault("reason", "type"),
    }


@pytest.mark.parametrize("address", [5, "ana", "a@", "a@b", "x" * 300 + "@example.com", ["ana@example.com"]])
def test_an_invalid_address_has_one_fault(address: Any) -> None:
    """The field is named once, whichever rule it breaks, and not as missing."""
    assert faults(user_email=address) == (Fault("user_email", "invalid"),)


@pytest.mark.parametrize("phone", ["1234", "abc", "+54 9 11 x", "1" * 65, 5, "++54 11 5555", "12345\n67890", "(396- "])
def test_an_invalid_phone_has_one_fault(phone: Any) -> None:
    """A phone has five to 64 digits and the usual signs."""
    assert faults(user_email=None, user_phone=phone) == (Fault("user_phone", "invalid"),)


@given(st.from_regex(schema()["$defs"]["phone"]["pattern"]))
def test_any_phone_that_the_schema_accepts_is_accepted(phone: str) -> None:
    """Trimming must not make a valid phone invalid."""
    assert read_handoff(body(user_email=None, user_phone=phone)).user_phone == str(plain_phone(phone)).strip()


@pytest.mark.parametrize("phone", [PHONE, "(011) 4555-0000", "12345", "011.4555.0000/1"])
def test_a_phone_is_enough(phone: str) -> None:
    """Without an e-mail, a phone is an address."""
    assert read_handoff(body(user_email=None, user_phone=phone)).user_phone == phone


def test_without_any_address_the_email_is_missing() -> None:
    """The bot asks for an e-mail address, not for both."""
    assert faults(user_email=None) == (Fault("user_email", "required"),)


def test_too_many_fields_are_refused_as_a_whole() -> None:
    """A thousand fields are read; a body with more is refused, and kept as text."""
    more = {f"f{number}": 1 for number in range(992)}
    assert read_handoff(body(**more)).other[-1][1] == "[+892]"
    for one_more in (1, "", None):  # an empty field counts, too
        assert faults(**more, one_more=one_more) == (Fault("*", "too-many"),)


def test_unknown_fields_are_kept_as_text() -> None:
    """A string is unchanged, other values are shown as JSON, empty ones are left out."""
    read = read_handoff(body(vip=True, nivel={"a": [1, "ñ"]}, nota="hola", vacio="", nada=None, cero=0))
    assert read.other == (("vip", "true"), ("nivel", '{"a": [1, "ñ"]}'), ("nota", "hola"), ("cero", "0"))


def test_unknown_fields_have_limits() -> None:
    """A mark shows where long names, long texts and extra fields are cut."""
    read = read_handoff(body(**{"n" * 200: "v", "largo": "x" * (OTHER_TEXT_KEPT + 5), "tarde": "y", "\u200b": "z"}))
    names, values = zip(*read.other, strict=True)
    assert names[0] == "n" * OTHER_NAME_KEPT + f"… [+{200 - OTHER_NAME_KEPT}]"
    assert values[1].endswith("… [+6]")
    assert (values[2], names[3]) == ("… [+1]", "?")


def test_no_more_than_a_hundred_unknown_fields_are_shown() -> None:
    """Up to the hundredth; the others are counted."""
    many = {f"f{number}": "v" for number in range(OTHER_FIELDS_SHOWN + 1)}
    assert read_handoff(body(**many)).other[-1] == ("…", "[+1]")
    many.popitem()
    assert read_handoff(body(**many)).other[-1] == ("f99", "v")


@pytest.mark.parametrize("name", ["conversation_summary", "conversation_transcript", "reason", "user_name", "otro"])
def test_cards_are_masked_where_people_type(name: str) -> None:
    """Free text and unknown fields never contain a whole card number."""
    read = read_handoff(body(**{name: f"pagué con {CARD}"}))
    masked = dict(read.other).get(name) or getattr(read, name)
    assert masked == "pagué con **** **** **** 1111"


def test_cards_inside_unknown_objects_are_masked() -> None:
    """The JSON around a number makes no difference."""
    assert read_handoff(body(datos={"tarjeta": [CARD]})).other == (("datos", '{"tarjeta": ["**** **** **** 1111"]}'),)


@pytest.mark.parametrize("name", ["conversation_id", "message_id", "user_id", "bot_id", "user_phone"])
def test_ids_and_phones_are_not_masked(name: str) -> None:
    """One in ten long numbers has a valid check digit, and a masked id would find nothing."""
    assert getattr(read_handoff(body(**{name: "4111111111111111"})), name) == "4111111111111111"


def test_the_key_comes_from_the_header_first() -> None:
    """Quotes and blanks around the header's value do not count, and neither does the body."""
    first = read_handoff(body(), "abc")
    assert first.key == read_handoff(body(message_id="other", reason="x"), ' "abc" ').key
    assert first.key != read_handoff(body(), "abd").key
    assert first.lifetime_s == KEY_LIFETIME_S


def test_without_a_header_the_key_comes_from_the_message() -> None:
    """The same message of the same conversation is the same handoff, whatever its words."""
    first = read_handoff(body(), ' "" ')
    assert first.key == read_handoff(body(reason="otras palabras")).key
    assert first.key != read_handoff(body(message_id="msg_2")).key
    assert first.key != read_handoff(body(conversation_id="conv_2")).key
    assert first.lifetime_s == KEY_LIFETIME_S


@pytest.mark.parametrize("missing", ["conversation_id", "message_id"])
def test_without_ids_the_key_comes_from_the_body(missing: str) -> None:
    """The fields may be in any order, and the key is valid for a day."""
    given_now = body(**{missing: None})
    first = read_handoff(given_now)
    assert first.key == read_handoff(dict(reversed(given_now.items()))).key
    assert first.key != read_handoff({**given_now, "reason": "otras"}).key
    assert first.lifetime_s == BODY_KEY_LIFETIME_S


def test_two_ids_are_separated_in_the_key() -> None:
    """Where one id ends and the next begins is part of the key."""
    one = read_handoff(body(conversation_id="a", message_id="bc"))
    assert one.key != read_handoff(body(conversation_id="ab", message_id="c")).key


def test_the_key_is_made_of_the_whole_id() -> None:
    """The ticket shows a cut id, but two ids that differ after the cut are two handoffs."""
    long = "c" * 128
    assert read_handoff(body(conversation_id=long + "1")).key != read_handoff(body(conversation_id=long + "2")).key


def test_a_reference_can_be_read_aloud() -> None:
    """`BF-` and eight characters without 0, 1, 8 and 9."""
    read = read_handoff(body())
    assert read.reference == reference_of(read.key) == f"BF-{read.key[:8]}"
    assert re.fullmatch("[A-Z2-7]{52}", read.key)
    assert handoff().reference == REFERENCE


@pytest.mark.parametrize(
    "text", ["", "BF-", "BF-7K3QX2A", "BF-7K3QX2ABC", "bf-7k3qx2ab", "BF-7K3QX2A1", f"{REFERENCE}\n"]
)
def test_other_texts_are_no_reference(text: str) -> None:
    """Only the exact form is one."""
    assert is_reference(REFERENCE)
    assert not is_reference(text)


def test_the_fingerprint_depends_on_the_words() -> None:
    """Ids and key do not count, everything else does."""
    one = handoff()
    assert (
        one.fingerprint
        == handoff(key="X" * 52, conversation_id="c", message_id="m", user_id="u", bot_id="b").fingerprint
    )
    assert one.fingerprint == handoff(lifetime_s=1.0).fingerprint
    assert one.fingerprint != handoff(reason="otra cosa").fingerprint
    assert one.fingerprint != handoff(other=(("a", "b"),)).fingerprint


def test_a_person_is_identified_by_their_address() -> None:
    """By e-mail in any case, else by phone, else not at all; the address cannot be read from the hash."""
    assert handoff().person == person_of(EMAIL.upper()) == handoff(user_phone=PHONE).person
    assert handoff(user_email="", user_phone=PHONE).person == person_of(PHONE) == person_of("(+54) 9-11.5555/7391")
    assert person_of("54911555573910") != person_of(PHONE) != person_of(EMAIL)
    assert person_of("nadie") != ""  # "" means everybody without an address
    assert handoff(user_email="").person == ""
    assert len(handoff().person) == 26


def test_a_conversation_is_identified_by_its_id_or_the_user() -> None:
    """Without either there is none."""
    assert handoff(conversation_id="c", user_id="u").conversation == handoff(conversation_id="c").conversation
    assert handoff(user_id="c").conversation == handoff(conversation_id="c").conversation
    assert handoff().conversation == ""


@pytest.mark.parametrize("which", ["email", "phone"])
def test_a_refused_address_moves_to_the_other_data(which: str) -> None:
    """The agent can still read it, but it identifies nobody any more."""
    moved = handoff(user_phone=PHONE).without_address(which)
    assert getattr(moved, f"user_{which}") == ""
    assert moved.other == ((f"user_{which} (?)", EMAIL if which == "email" else PHONE),)


@given(BODIES)
def test_any_handoff_survives_the_ledger(given_body: dict[str, Any]) -> None:
    """A handoff is read from the ledger as it was written, whether valid or refused."""
    try:
        read = read_handoff(given_body)
    except InvalidHandoff as error:
        read = error.salvaged
    assert Handoff.from_json(read.to_json()) == read


@given(BODIES, TEXTS)
def test_any_object_is_a_handoff_or_has_faults(given_body: dict[str, Any], key: str) -> None:
    """Only `InvalidHandoff` is raised; its faults name fields of the schema, and its text contains no value."""
    try:
        read = read_handoff(given_body, key)
        assert read.conversation_summary
        assert read.user_email or read.user_phone
    except InvalidHandoff as error:
        assert error.faults  # noqa: PT017 -- both results are valid
        assert {fault.field for fault in error.faults} <= {*schema()["properties"], "*"}  # noqa: PT017
        assert error.salvaged.key  # noqa: PT017


@given(st.binary(max_size=300))
def test_any_bytes_can_be_kept(raw: bytes) -> None:
    """A body that is no JSON becomes a handoff that an agent can read."""
    kept = salvage_text(raw)
    assert len(kept.key) == 52
    assert kept == salvage_text(raw)


def test_an_unreadable_body_is_kept_as_text() -> None:
    """The raw text is the summary: masked, cut, and decoded from Windows-1252 if needed."""
    kept = salvage_text(b"No puedo entrar. Pagu\xe9 con 4111111111111111")
    assert kept.conversation_summary == "No puedo entrar. Pagué con ************1111"
    assert salvage_text(b"a" * (RAW_TEXT_KEPT + 1)).conversation_summary.endswith("a… [+1]")


def test_an_unreadable_body_has_a_key() -> None:
    """From the header if there is one, else the hash of its bytes."""
    assert salvage_text(b"{", "abc").key == read_handoff(body(), "abc").key
    assert salvage_text(b"{").key != salvage_text(b"{{").key


def test_an_invalid_value_moves_to_the_other_data() -> None:
    """A refused handoff loses nothing: the agent sees each value with the name of its field."""
    kept = salvaged(user_email="ana@", user_phone="x", category=[1], reason=5, vip=True)
    assert (kept.user_email, kept.user_phone, kept.category, kept.reason) == ("", "", "", "")
    assert kept.conversation_summary == SUMMARY
    assert dict(kept.other) == {
        "user_email (?)": "ana@",
        "user_phone (?)": "x",
        "category (?)": "[1]",
        "reason (?)": "5",
        "vip": "true",
    }


def test_a_refused_handoff_keeps_a_valid_address() -> None:
    """The ticket can still have the person as requester."""
    kept = salvaged(conversation_summary=None, user_phone=PHONE)
    assert (kept.user_email, kept.user_phone) == (EMAIL, PHONE)


def test_a_refused_handoff_has_the_key_of_its_correction() -> None:
    """Corrected under the same ids it is the same handoff, and its row lives as long as any."""
    assert salvaged(user_email="ana@").key == read_handoff(body()).key
    assert salvaged(user_email="ana@", message_id=None).lifetime_s == KEY_LIFETIME_S


def test_the_error_contains_no_value() -> None:
    """Its text may be logged: it names fields and faults only."""
    with pytest.raises(InvalidHandoff, match=r"\Auser_email: invalid\Z"):
        read_handoff(body(user_email="zoraida canario"))


def test_the_deepest_allowed_body_becomes_a_handoff() -> None:
    """Every later step has enough stack for it."""
    for levels in range(80, 1_000, 7):
        raw = json.dumps(body(message_id=None)).encode()[:-1] + b', "o":' + b"[" * levels + b"]" * levels + b"}"
        try:
            given_deep = parse_body(raw)
        except MalformedJSON:
            continue
        assert read_handoff(given_deep).other[0][1].startswith("[[[")


def test_the_key_of_the_factories_is_valid() -> None:
    """The handoff of the tests looks like a real one."""
    assert re.fullmatch("[A-Z2-7]{52}", KEY)


def test_lifetimes_and_limits_have_their_numbers() -> None:
    """A key of ids is valid for thirty days, one of a body's hash for one day; other data has limits."""
    assert (KEY_LIFETIME_S, BODY_KEY_LIFETIME_S) == (2_592_000.0, 86_400.0)
    assert (OTHER_TEXT_KEPT, OTHER_NAME_KEPT, RAW_TEXT_KEPT) == (20_000, 80, 60_000)


def test_hashes_keep_their_length_and_texts_their_letters() -> None:
    """Old rows must still be found, and escaped accents would exceed DynamoDB's limit."""
    read = handoff(conversation_id="c", conversation_summary="ñandú")
    assert (len(read.fingerprint), len(read.person), len(read.conversation)) == (16, 26, 26)
    assert "ñandú" in read.to_json()


def test_a_placeholder_is_no_address_and_no_other_data() -> None:
    """The bot asks for the missing address, not for a correction."""
    assert faults(user_email="undefined") == (Fault("user_email", "required"),)
    assert read_handoff(body(user_email="{{user.email}}", user_phone=PHONE)).user_email == ""
    assert read_handoff(body(user_phone="null", extra="undefined")).other == ()


def test_a_placeholder_in_a_required_field_is_accepted() -> None:
    """The request is not refused for it; a category gets the default route."""
    read = read_handoff(body(conversation_summary="undefined", category="null"))
    assert (read.conversation_summary, read.category) == ("undefined", "null")


@pytest.mark.parametrize("nothing", ["undefined", '"null"', "{{event.messageId}}", "undefined:undefined", " "])
def test_a_placeholder_is_no_key(nothing: str) -> None:
    """Neither in the header nor as an id: the next rule gives the key."""
    assert read_handoff(body(), nothing).key == read_handoff(body()).key
    without = read_handoff(body(message_id=nothing))
    assert without.lifetime_s == BODY_KEY_LIFETIME_S
    assert without.key != read_handoff(body(message_id=nothing, user_email="otra@example.com")).key


LEAST = {"user_email": "ana@example.com", "conversation_summary": "No llegó el retiro.", "category": "retiros"}
IDS = {"conversation_id": "c", "message_id": "m"}
KEYS_OF_1_0_0: list[tuple[dict[str, Any], str, str]] = [
    ({}, "", "SU3WNNTGVG2FICCD73AEWJZN4LFSKB3AQ7RIFJXWPNBA7SWZ7KKA"),
    (IDS, "", "GE2GMFOTNZU6QIBHGHNEHBRBYV66UVWN4CU2H44LHZ2ZNPP7SA7A"),
    (IDS, '"clave-1"', "QY3QDN6C2WIEFEYYSGHP33GLDYDENJ5XZLGIHQES5HYPTUVALM7A"),
    (
        {"user_phone": "+54 9 11 5555-0000", "reason": "undefined", "vip": True, "n": 1.5},
        "",
        "P3QZZQFZBSIS7IPLHEPLSZAMXRUJXKU5ULL65HTM42XXAQHP7UMA",
    ),
    (
        {"reason": "pagué con 4111 1111 1111 1111", "user_name": None, "channel": ""},
        "",
        "LB4TCWHNPXOX2OLBR23BCGZ3I4J7H7UHASATH6EANQSPUFJM67SA",
    ),
]


@pytest.mark.parametrize(("more", "header", "key"), KEYS_OF_1_0_0)
def test_keys_are_the_same_as_in_1_0_0(more: dict[str, Any], header: str, key: str) -> None:
    """A handoff that is repeated after an update is still the same one."""
    assert read_handoff({**LEAST, **more}, header).key == key


PERSONS_OF_1_0_0 = [
    ("Ana@Example.com", "6WWHGLCGRPZS4NL2J3USA2EL6Z"),
    ("+54 9 11 5555-0000", "O4QWK3GLRUIVJW2Z2ZZK36AIF3"),
    ("ñandú@example.com", "HM2WQSLOUNV3YLJWT7NI5OF2CC"),
    ("n\u0303andu\u0301@example.com", "ZRGFF44QKLSSUKKZOVXZ7NBTNH"),
    ("ana@españa.com", "PROIBHNNMXTLSHTJ7XN74JG6SN"),
    ("ana@xn--espaa-rta.com", "WS55PYRWVDIICBB2RJR2MSBNZH"),
]


@pytest.mark.parametrize(("address", "old"), PERSONS_OF_1_0_0)
def test_rows_of_1_0_0_are_found_by_person(address: str, old: str) -> None:
    """In each spelling that the address may have had."""
    assert old in persons_of(address)
    assert persons_of(address)[0] == person_of(address)
    others = [one for one, _ in PERSONS_OF_1_0_0 if person_of(one) == person_of(address)]
    assert all(old in persons_of(other) for other in others)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ñandú@example.com", "n\u0303ANDU\u0301@Example.com"),
        ("ana@españa.com", "ana@xn--espaa-rta.com"),
        ("ana@españa.com", "ANA@ESPAN\u0303A.COM"),
        ("ana@example.com", "ana\u200b@example.com"),
        ("+54 9 11 5555-0000", "+54\u00a09 11 5555\u20110000"),
    ],
)
def test_two_spellings_of_an_address_are_one_person(one: str, other: str) -> None:
    """Case, Unicode composition, the domain's alphabet and invisible characters do not count."""
    assert person_of(one) == person_of(other)
    assert set(persons_of(one)) & set(persons_of(other))


@pytest.mark.parametrize("address", ["ana@a..b", "ana@-xn--.com", "ana@xn--zzzz-.com", "@", "a@", "ana@\u200d.com", ""])
def test_any_address_has_a_hash(address: str) -> None:
    """`forget` gets whatever an operator types."""
    assert persons_of(address)[:1] == ((person_of(address),) if address else ())


def test_addresses_with_different_tags_are_one_mailbox() -> None:
    """Only for the hourly limit: they are different persons."""
    assert (
        mailbox_of("victima+1@Example.com") == mailbox_of("VICTIMA+2@example.com") == mailbox_of("victima@example.com")
    )
    assert person_of("victima+1@example.com") != person_of("victima@example.com")
    assert len({mailbox_of(one) for one in ("a@b.co", "a@c.co", "+a@b.co", "+b@b.co", PHONE, "")}) == 6
    assert (mailbox_of(""), handoff().mailbox) == ("", mailbox_of(EMAIL))
    assert handoff(user_email="", user_phone=PHONE).mailbox == mailbox_of("+54 9 11 55557391")
    assert mailbox_of(EMAIL) != person_of(EMAIL)


A = {"bot": "betsur", "conversation_id": "c", "user_id": "u", "user_email": EMAIL, "user_phone": PHONE}
NOBODY = {"bot": "betsur", "conversation_id": "", "user_id": "", "user_phone": ""}
SAMENESS: list[tuple[dict[str, str], dict[str, str], bool]] = [
    (A, A, False),
    (A, {**A, "bot": "institucional"}, True),
    (A, {**A, "bot": " BETSUR"}, False),
    (A, {**A, "conversation_id": "d"}, True),
    (A, {**A, "user_id": "v"}, True),
    (A, {**A, "user_email": "otra@example.com", "user_phone": ""}, False),
    (A, {**A, "bot": "", "conversation_id": "", "user_id": "", "user_email": "otra@example.com"}, False),
    ({**A, "user_id": ""}, {**A, "conversation_id": ""}, False),
    (NOBODY, {**NOBODY, "user_email": "otra@example.com"}, True),
    (NOBODY, {**NOBODY, "user_email": EMAIL.upper()}, False),
    (NOBODY, {**NOBODY, "user_email": ""}, False),
    (NOBODY, {**NOBODY, "user_email": "", "user_phone": PHONE}, False),
    ({**NOBODY, "user_email": "", "user_phone": PHONE}, {**NOBODY, "user_email": "", "user_phone": "5551234"}, True),
    ({**NOBODY, "user_phone": PHONE}, {**NOBODY, "user_phone": "5551234"}, False),
    ({**NOBODY, "user_phone": PHONE}, {**NOBODY, "user_phone": PHONE, "user_email": "otra@example.com"}, False),
]


@pytest.mark.parametrize(("one", "other", "differs"), SAMENESS)
def test_what_makes_another_handoff_under_one_key(one: dict[str, str], other: dict[str, str], differs: bool) -> None:  # noqa: FBT001 -- a table's column
    """Another bot, conversation or user does; another address only if there is no conversation and no user."""
    first, second = handoff(**one).identity, handoff(**other).identity
    assert is_other_handoff(first, second) is is_other_handoff(second, first) is differs
    assert not is_other_handoff(first, Identity())


def test_an_identity_survives_the_ledger() -> None:
    """Also the identity in a row of an earlier version, and one without addresses."""
    whole = handoff(**A).identity
    assert Identity.from_text(whole.to_text()) == whole
    assert Identity.from_text("") == Identity.from_text(Identity().to_text()) == Identity()
    assert whole.without_addresses() == handoff(**{**A, "user_email": "", "user_phone": ""}).identity
    assert {len(part) for part in whole} == {26}


def test_the_key_of_the_other_handoff_is_stable() -> None:
    """A corrected address does not change it, unless the address is the only difference."""
    other = handoff(**{**A, "conversation_id": "d"})
    assert (
        other.key_for_other() == handoff(**{**A, "conversation_id": "d", "user_email": "x@example.com"}).key_for_other()
    )
    keys = [
        handoff(**{**A, **change}).key_for_other()
        for change in (
            {},
            {"conversation_id": "d"},
            {"user_id": "v"},
            {"bot": "x"},
            NOBODY,
            {**NOBODY, "user_email": "x@y.co"},
        )
    ]
    assert len({*keys, KEY, handoff(**A, key="B" * 52).key_for_other()}) == 8
    assert all(re.fullmatch("[A-Z2-7]{52}", key) for key in keys)


def test_the_same_words_have_the_same_hash_in_any_message() -> None:
    """It covers summary, reason, category, bot, person and conversation, and nothing else."""
    one = handoff(conversation_id="c")
    assert one.words == handoff(conversation_id="c", message_id="m", conversation_transcript="t", key="B" * 52).words
    for change in ({"reason": "x"}, {"category": "x"}, {"conversation_summary": "x"}, {"bot": "x"}):
        assert handoff(**{"conversation_id": "c", **change}).words != one.words
    assert handoff(conversation_id="c", user_email="x@example.com").words != one.words
    assert handoff(conversation_id="d").words != one.words
    assert handoff(user_email="").words == handoff(conversation_summary="").words == ""
    assert len(one.words) == 26


def test_the_matter_is_identified_without_the_address() -> None:
    """By its words, or by conversation and name; "" never matches anything."""
    one = handoff(conversation_id="c")
    assert one.matter == handoff(user_email="", user_name="", bot="x").matter != handoff(reason="x").matter
    assert one.named == handoff(conversation_id="c", reason="x", user_name=f" {NAME.upper()}").named
    assert one.named != handoff(conversation_id="d").named
    assert (handoff(conversation_summary="").matter, handoff().named) == ("", "")
    assert handoff(conversation_id="c", user_name="").named == ""


BROKEN = json.dumps(body(reason="Débito", message_id=None), ensure_ascii=False)


@pytest.mark.parametrize(
    ("broken", "same_key"),
    [
        (BROKEN.replace("}", ",}"), True),
        (BROKEN.replace(", ", " "), True),
        (BROKEN[:-1], True),
        (BROKEN.replace("}", ', "x": NaN}'), False),
        (BROKEN.replace("}", ', "category": "retiros"}'), True),
        (BROKEN.replace("{", '{"category": "x", '), False),
        (BROKEN.replace("}", ', "conversation_transcript": "hola'), False),
    ],
)
def test_a_broken_body_without_ids_is_identified_by_its_words(broken: str, same_key: bool) -> None:  # noqa: FBT001 -- a table's column
    """If all of it can be read, it has the key of the corrected body, else the same matter and name."""
    good, kept = read_handoff(json.loads(BROKEN)), salvage_text(broken.encode())
    assert (kept.matter, kept.named, kept.words) == (good.matter, good.named, good.words)
    assert (kept.user_email, kept.bot, kept.category) == (EMAIL, "betsur", "retiros")
    assert (kept.key == good.key) is same_key


def test_a_broken_body_has_its_key_from_the_header_or_the_ids() -> None:
    """In this order, as in a valid one."""
    broken = json.dumps(body()).encode()[:-5]
    assert salvage_text(json.dumps(body()).encode() + b" y m\xe1s").key == read_handoff(body()).key
    assert salvage_text(broken, "abc").key == read_handoff(body(), "abc").key


def test_text_outside_of_all_fields_is_kept() -> None:
    """The agent finds it among the other data."""
    kept = salvage_text(b'{"category": "retiros", "category": "bonos", "vip": 1} y adem\xe1s 4111111111111111')
    assert dict(kept.other) == {"vip": "1", REST_NAME: "category: retiros … y además ************1111"}
    assert kept.language == salvage_text(b'{"language": "en", "category').language.replace("en", "")


@pytest.mark.parametrize("raw", [bytes(range(256)) * 9, b"PK\x03\x04xxxx", b"\x00" * 50])
def test_bytes_that_are_no_text_are_counted(raw: bytes) -> None:
    """Nobody can read them."""
    assert salvage_text(raw).conversation_summary == f"[{len(raw)} bytes que no son texto]"
    assert salvage_text("Hola, ñandú".encode("utf-16-le")).conversation_summary == "Hola, ñandú"
    assert salvage_text("😀 ñ\n\t".encode() * 9).conversation_summary.startswith("😀 ñ\n")


def test_invisible_characters_are_removed_from_an_address() -> None:
    """From e-mail and phone; the phone may be a number."""
    read = read_handoff(body(user_email="zoraida\u200b.canario@exam\u00adple.com\u00a0", user_phone=5491155557391))
    assert (read.user_email, read.user_phone) == (EMAIL, "5491155557391")
    assert read_handoff(body(user_email=None, user_phone="+54\u00a09 11 5555\u20117391")).user_phone == PHONE


@pytest.mark.parametrize("phone", ["no tengo", "1", 5, 1.5, [PHONE], {"n": 1}, True, "x" * 300])
def test_an_invalid_phone_does_not_refuse_a_valid_email(phone: Any) -> None:
    """The agent sees it as written; without a valid e-mail it is a fault."""
    read = read_handoff(body(user_phone=phone))
    assert (read.user_email, read.user_phone, read.other[0][0]) == (EMAIL, "", "user_phone (?)")
    assert faults(user_email="ana@", user_phone=phone)[-1] == Fault("user_phone", "invalid")


def test_fields_of_a_newer_version_are_ignored() -> None:
    """A row written before a downgrade can still be read."""
    newer = {**json.loads(handoff().to_json()), "mood": [{"url": "x"}], "urgent": True}
    assert Handoff.from_json(json.dumps(newer)) == handoff()


@pytest.mark.parametrize(("character", "bytes_each"), [("😀", 4), ("ñ", 2), ("€", 1), ('a"', 3), ("a\n", 3), ("a", 1)])
def test_the_largest_valid_body_fits_into_a_row(character: str, bytes_each: int) -> None:
    """Only the transcript is cut: at most 200 kB of JSON, whatever was sent. A "€" is one byte in Windows-1252."""
    worst = worst_body(character, bytes_each)
    kept = read_handoff(worst)
    assert len(kept.to_json().encode()) <= KEPT_BYTES_MAX
    assert kept.conversation_summary[:8000] == worst["conversation_summary"][:8000]
    assert len(kept.other) == OTHER_FIELDS_SHOWN
    assert len(kept.conversation_transcript) > 5_000


@pytest.mark.parametrize("raw", ["😀".encode() * 65_000, b'"a' * 130_000, "ñ".encode("latin-1") * 262_144])
def test_the_largest_unreadable_body_fits_into_a_row(raw: bytes) -> None:
    """Its text is the summary, cut with a mark that counts the missing characters."""
    kept = salvage_text(raw)
    assert len(kept.to_json().encode()) <= KEPT_BYTES_MAX
    text, missing = re.fullmatch(r"(.*)… \[\+(\d+)\]", kept.conversation_summary, re.DOTALL).groups()  # type: ignore[union-attr]  # the assertion is the match
    assert len(text) + int(missing) == len(raw.decode("cp1252" if raw[0] == 0xF1 else "utf-8"))


def test_the_largest_body_is_accepted() -> None:
    """It is not longer than a body may be."""
    assert BODY_MAX - 20_000 < len(json.dumps(worst_body(), ensure_ascii=False).encode()) <= BODY_MAX
    assert len(json.dumps(worst_body("€", 1), ensure_ascii=False).encode("cp1252")) <= BODY_MAX


def test_faults_are_at_most_as_many_as_fields() -> None:
    """This limits what is kept of a refusal."""
    wrong: dict[str, Any] = {name: [] for name in TEXT_FIELDS}
    assert len(faults(**wrong, **{f"f{number}": 1 for number in range(1000)})) == len(wrong) + 1
