"""What the card makes of a conversation: transcript, files and summary, with Botpress' client on, off and ailing."""

from __future__ import annotations

import json
import random
import re
from typing import Any, Final

import pytest

from tests.botpress.cards import (
    CARDS,
    QUICK,
    Card,
    MessagesApi,
    Run,
    ScriptedFunction,
    conversation,
    created,
    message,
    reply,
    v12_conversation,
    well_ended,
)

pytestmark = pytest.mark.node

HOST: Final = "https://files.bpcontent.cloud/2026/11/25"
NO_SUMMARY: Final = "La persona pidió contacto. El bot no pudo armar un resumen."
LINE: Final = re.compile(r"(\[\d{4}-\d\d-\d\d \d\d:\d\d\] )?(Persona|Bot): .+|… .*|\[…\]")


def scene(text: str = "", payload: dict[str, Any] | None = None, **event: Any) -> dict[str, Any]:
    """Return a conversation without agents' summary, at a turn with this text or payload."""
    made = conversation(reason="", user_email="ana@example.com")
    made["conversation"] = {}
    made["event"] |= {"preview": text, "createdOn": "2026-11-25T18:00:00.000Z", **event}
    if payload is not None:
        made["event"]["payload"] = payload
    return made


def hand_over(card: Card, there: dict[str, Any], client: dict[str, Any] | None = None) -> tuple[dict[str, Any], Run]:
    """Run the card, and return the handoff that it sent and the run."""
    with ScriptedFunction(reply(201, created())) as endpoint:
        run = card.run(endpoint.url, there, client=client)
        assert well_ended(run), run
        return endpoint.handoffs[0], run


def minutes(count: int, **parts: Any) -> list[dict[str, Any]]:
    """Return so many messages, newest first, one a minute: the person's and the bot's in turn."""
    return [
        message(f"frase {n}", id=f"m{n}", direction="outgoing" if n % 2 else "incoming", createdAt=at(n), **parts)
        for n in reversed(range(count))
    ]


def at(minute: int) -> str:
    """Return the time of a minute of that day."""
    return f"2026-11-25T{12 + minute // 60:02}:{minute % 60:02}:30.000Z"


def picture(name: str = "comprobante.jpg") -> dict[str, Any]:
    """Return the payload of a picture."""
    return {"imageUrl": f"{HOST}/{name}"}


KINDS: Final[dict[str, tuple[str, dict[str, Any], str]]] = {
    "text": ("text", {"text": "hola"}, "hola"),
    "markdown": ("markdown", {"markdown": "**hola**"}, "**hola**"),
    "option chosen": ("text", {"text": "Retiros", "value": "retiros"}, "[opción elegida: Retiros]"),
    "option without a label": ("text", {"value": "retiros"}, "[opción elegida: retiros]"),
    "picture": ("image", picture(), "[imagen: comprobante.jpg]"),
    "picture without a name": ("image", {"imageUrl": f"{HOST}/abc"}, "[imagen]"),
    "picture with a caption": ("image", {**picture(), "caption": "mirá"}, "[imagen: comprobante.jpg] mirá"),
    "picture with an encoded name": ("image", picture("mi%20comprobante.png?x=1"), "[imagen: mi comprobante.png]"),
    "sound": ("audio", {"audioUrl": f"{HOST}/abc"}, "[audio]"),
    "film": ("video", {"videoUrl": f"{HOST}/abc"}, "[video]"),
    "file": ("file", {"fileUrl": f"{HOST}/abc", "title": "DNI frente"}, "[archivo: DNI frente]"),
    "WhatsApp's file": ("file", {"fileUrl": f"{HOST}/abc", "filename": "dni.pdf"}, "[archivo: dni.pdf]"),
    "place": ("location", {"latitude": -34.6, "longitude": -58.4}, "[ubicación: -34.6 -58.4]"),
    "named place": (
        "location",
        {"latitude": -34.6, "longitude": -58.4, "title": "Casa", "address": "Mitre 1"},
        "[ubicación: Casa, Mitre 1, -34.6 -58.4]",
    ),
    "bloc": (
        "bloc",
        {"items": [{"type": "image", "payload": picture()}, {"type": "text", "payload": {"text": "acá está"}}]},
        "[imagen: comprobante.jpg] acá está",
    ),
    "choice": (
        "choice",
        {"text": "¿Qué?", "options": [{"label": "Retiros", "value": "r"}, {"value": "otros"}]},
        "¿Qué? [opciones: Retiros, otros]",
    ),
    "dropdown": ("dropdown", {"options": [{"label": "Sí", "value": "s"}]}, "[opciones: Sí]"),
    "card": (
        "card",
        {"title": "Bono", "subtitle": "100 %", "imageUrl": "https://x.example/a.png"},
        "[tarjeta: Bono, 100 %]",
    ),
    "carousel": ("carousel", {"items": [{"title": "A", "actions": []}, {"title": "B"}]}, "[tarjeta: A] [tarjeta: B]"),
    "unknown": ("reaction", {"emoji": "👍"}, "[reaction]"),
    "nothing": ("", {}, "[mensaje]"),
    "two lines": (
        "text",
        {"text": "hola\r\n\n[2026-11-25 14:00] Bot: te lo pagamos"},
        "hola\n… [2026-11-25 14:00] Bot: te lo pagamos",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_message_has_a_line(kind: str, plain: Card) -> None:
    """Text is shown as it is, anything else as what it was; a line that the person forges does not look like one."""
    of_type, payload, shown = KINDS[kind]
    told = [message(id="m1", type=of_type, payload=payload)]
    handoff, _ = hand_over(plain, scene(messageId="m1"), {"messages": told})
    assert handoff["conversation_transcript"] == f"[2026-11-25 14:03] Persona: {shown}"


def test_both_sides_are_told_oldest_first(cloud: Card) -> None:
    """Pages come newest first; the transcript has who, when in Argentina, and what, with the turn's own message."""
    handoff, run = hand_over(cloud, scene("y ahora?"), {"messages": minutes(5), "page_size": 2})
    assert handoff["conversation_transcript"].splitlines() == [
        "[2026-11-25 09:00] Persona: frase 0",
        "[2026-11-25 09:01] Bot: frase 1",
        "[2026-11-25 09:02] Persona: frase 2",
        "[2026-11-25 09:03] Bot: frase 3",
        "[2026-11-25 09:04] Persona: frase 4",
        "[2026-11-25 15:00] Persona: y ahora?",
    ]
    assert run.asked == [
        {"conversationId": "conv_1"},
        {"conversationId": "conv_1", "nextToken": "2"},
        {"conversationId": "conv_1", "nextToken": "4"},
    ]
    assert run.logs == ["log: contacto: kept  BF-7K3QX2AB"]


def test_the_real_client_of_botpress_is_asked(plain: Card, node_packages: Any) -> None:
    """Botpress' own library gives the card the same, page by page, over HTTP."""
    assert (node_packages / "node_modules" / "@botpress" / "client").exists()
    with MessagesApi([message(type="image", payload=picture(), createdAt=at(9)), *minutes(4)]) as api:
        handoff, run = hand_over(plain, scene("y ahora?"), {"api_url": api.url})
    assert [line.split("] ")[1] for line in handoff["conversation_transcript"].splitlines()] == [
        *("Persona: frase 0", "Bot: frase 1", "Persona: frase 2", "Bot: frase 3"),
        *("Persona: [imagen: comprobante.jpg]", "Persona: y ahora?"),
    ]
    assert handoff["attachments"] == [{"url": f"{HOST}/comprobante.jpg", "name": "comprobante.jpg"}]
    assert [path.split("?")[0] for path in api.paths] == ["/v1/chat/messages"] * 3
    assert run.logs == ["log: contacto: kept  BF-7K3QX2AB"]


@pytest.mark.parametrize("listed", [1, 0])
def test_the_message_of_the_turn_is_told_once(listed: int, plain: Card) -> None:
    """Botpress may not list it yet; whether it does or not, it is there once, and before what the bot said since."""
    newer = message("Un momento…", direction="outgoing", createdAt="2026-11-25T18:00:01.000Z")
    own = message("quiero una persona", id="msg_1", createdAt="2026-11-25T18:00:00.000Z")
    told = [newer, *([own] * listed), *minutes(2)]
    handoff, _ = hand_over(plain, scene("quiero una persona"), {"messages": told})
    assert [line.split("] ")[1] for line in handoff["conversation_transcript"].splitlines()] == [
        *("Persona: frase 0", "Bot: frase 1", "Persona: quiero una persona", "Bot: Un momento…"),
    ]


def test_a_turn_without_a_message_id_repeats_nothing(plain: Card) -> None:
    """After a time-out Botpress gives no message id; the event's text is then that of the newest message."""
    handoff, _ = hand_over(plain, scene("frase 2", messageId=None), {"messages": minutes(3)})
    assert handoff["conversation_transcript"].count("frase 2") == 1


def test_gaps_and_doubles_are_put_in_order(plain: Card) -> None:
    """A message that comes on two pages is told once; one without a time stays beside its neighbour."""
    told = minutes(9)
    told[3]["createdAt"] = None
    mixed = [*told[:5], told[4], told[1], *told[5:]]
    handoff, _ = hand_over(plain, scene("frase 8", messageId="m8"), {"messages": mixed, "page_size": 2})
    assert re.findall(r"frase (\d)", handoff["conversation_transcript"]) == [str(n) for n in range(9)]


@pytest.mark.parametrize("seed", range(4))
def test_any_order_of_messages_becomes_the_order_of_their_times(seed: int, plain: Card) -> None:
    """The card does not rely on the order in which Botpress lists them."""
    told = minutes(30)
    random.Random(seed).shuffle(told)
    handoff, _ = hand_over(plain, scene("frase 28", messageId="m28"), {"messages": told, "page_size": 7})
    assert re.findall(r"frase (\d+)", handoff["conversation_transcript"]) == [str(n) for n in range(30)]


def test_messages_of_other_conversations_are_left_out(plain: Card) -> None:
    """If the filter were ignored, nobody's words would end in another person's ticket."""
    told = [message("ajeno", conversationId="conv_2", type="image", payload=picture()), *minutes(2)]
    handoff, _ = hand_over(plain, scene("frase 0", messageId="m0"), {"messages": told})
    assert "ajeno" not in json.dumps(handoff)
    assert "attachments" not in handoff


@pytest.mark.parametrize("conversation_id", [None, "", 7, {}])
def test_without_a_conversation_nothing_is_read(conversation_id: Any, plain: Card) -> None:
    """A list without its filter would be everybody's messages."""
    _, run = hand_over(plain, scene("hola", conversationId=conversation_id), {"messages": minutes(2)})
    assert run.asked == []


@pytest.mark.parametrize(
    ("client", "lines", "warnings"),
    [
        ({"throws_at": 1}, 0, 1),
        ({"throws_at": 2}, 3, 1),
        ({"hangs_at": 1}, 0, 1),
        ({"hangs_at": 2}, 3, 1),
        ({"ms": 150}, 9, 1),
        ({"ms": 5}, 41, 0),
    ],
)
def test_a_client_that_fails_or_is_slow_holds_up_nothing(
    client: dict[str, Any], lines: int, warnings: int, plain: Card
) -> None:
    """What was read counts; else the agent's transcript; the log has the cause without the person's data."""
    there = scene("y ahora?")
    there["conversation"] = {"SummaryAgent": {"transcript": "User: hola"}}
    hasty = plain.edited({"HISTORY_MS = 5000": "HISTORY_MS = 600"})
    handoff, run = hand_over(hasty, there, {"messages": minutes(40), "page_size": 2, **client})
    told = handoff["conversation_transcript"].splitlines()
    if lines == 0:
        assert told == ["User: hola"]
    else:
        assert abs(len(told) - lines) <= (2 if "ms" in client else 0)
        assert told[-2:] == ["[2026-11-25 09:39] Bot: frase 39", "[2026-11-25 15:00] Persona: y ahora?"]
    assert sum("whole" in line for line in run.logs) == warnings
    assert "ana@example.com" not in "".join(run.logs)
    assert run.ms < 2_500


def test_a_list_without_an_end_ends(plain: Card) -> None:
    """A token that comes again, and a conversation of years, are no endless loop."""
    looping = "const client = { listMessages: async () => ({ messages: [], meta: { nextToken: 'a' } }) }\n"
    handoff, run = hand_over(
        Card(mode="cloud", text=looping + plain.text, folder=plain.folder, axios="built-in"), scene("hola")
    )
    assert handoff["conversation_transcript"] == "[2026-11-25 15:00] Persona: hola"
    assert (run.ms < 1_000, run.logs) == (True, ["log: contacto: kept  BF-7K3QX2AB"])
    _, long = hand_over(plain, scene("hola"), {"messages": minutes(400), "page_size": 2})
    assert (len(long.asked), any("too long" in line for line in long.logs)) == (100, True)


ODD_CLIENTS: Final = [
    "null",
    "{}",
    "{ listMessages: 7 }",
    "{ listMessages: () => null }",
    "{ listMessages: () => ({}) }",
    "{ listMessages: () => ({ messages: 'x' }) }",
    "{ listMessages: () => ({ messages: [null, 7, 'x', {}] }) }",
    "{ listMessages: () => { throw new Error('no') } }",
    "{ listMessages: async () => { throw null } }",
    "{ listMessages: async () => ({ get messages () { throw new Error('no') } }) }",
    "{ listMessages: async () => ({ messages: [new Proxy({}, { get () { throw new Error('no') } })] }) }",
]


@pytest.mark.parametrize("client", ODD_CLIENTS)
def test_no_client_stops_the_card(client: str, plain: Card) -> None:
    """Whatever `client` is or gives, the request is sent."""
    odd = Card(mode="cloud", text=f"const client = {client}\n{plain.text}", folder=plain.folder, axios="built-in")
    handoff, _ = hand_over(odd, scene("hola"))
    assert handoff["conversation_summary"] == "hola"


def test_without_timers_the_conversation_is_not_read(plain: Card) -> None:
    """Nothing could stop a client that never answers, so the request goes without it."""
    bare = Card(mode="cloud", text=f"const _ = undefined\n{plain.text}", folder=plain.folder, axios="built-in")
    _, run = hand_over(bare, scene("hola"), {"messages": [], "hangs_at": 1})
    assert (run.asked, run.ms < 1_000) == ([], True)


def test_a_fault_in_the_conversation_does_not_stop_the_request(plain: Card) -> None:
    """If the card cannot make sense of what was read, the request goes as with the client switched off."""
    faulty = plain.edited({"const all = inOrder(": "if (history) throw new Error('no')\n  const all = inOrder("})
    handoff, _ = hand_over(faulty, scene("hola"), {"messages": minutes(2)})
    assert handoff["conversation_summary"] == "hola"


def test_what_the_bot_shows_is_told_as_it_is(plain: Card) -> None:
    """A value in the bot's own message is no option that somebody chose; of a long list thirty options are told."""
    options = [{"label": f"opción {n}"} for n in range(40)]
    told = [
        message(direction="outgoing", type="dropdown", payload={"options": options}),
        message(direction="outgoing", payload={"text": "Retiros", "value": "retiros"}),
    ]
    handoff, _ = hand_over(plain, scene(), {"messages": told})
    first, second = handoff["conversation_transcript"].splitlines()
    assert first.endswith("Bot: Retiros")
    assert second.endswith("opción 29]")


def test_switched_off_the_card_works_as_before(cloud: Card) -> None:
    """Without `client` the transcript is the Summary Agent's, and nothing is logged."""
    there = scene("hola")
    there["conversation"] = {"SummaryAgent": {"transcript": "User: hola\nBot: ¿qué pasó?"}}
    handoff, run = hand_over(cloud, there)
    assert handoff["conversation_transcript"] == "User: hola\nBot: ¿qué pasó?"
    assert run.logs == ["log: contacto: kept  BF-7K3QX2AB"]
    bare, _ = hand_over(cloud, scene("hola"))
    assert "conversation_transcript" not in bare


def test_a_long_conversation_keeps_its_end(plain: Card) -> None:
    """60,000 characters, whole lines, the newest; older pages are not even asked for."""
    told = [message("x" * 900, id=f"m{n}") for n in range(400)]
    handoff, run = hand_over(plain, scene("fin"), {"messages": told})
    lines = handoff["conversation_transcript"].splitlines()
    assert (lines[0], lines[-1]) == ("[…]", "[2026-11-25 15:00] Persona: fin")
    assert all(LINE.fullmatch(line) for line in lines)
    assert 59_000 < len(handoff["conversation_transcript"]) <= 60_010
    assert len(run.asked) == 4


# ── files ──


def test_the_files_the_person_sent_are_attached(plain: Card) -> None:
    """Of every kind and out of blocs, newest first; the bot's own pictures are not."""
    bloc = {
        "items": [
            {"type": "image", "payload": picture("a.jpg")},
            {"type": "video", "payload": {"videoUrl": f"{HOST}/b"}},
        ]
    }
    told = [
        message(type="bloc", payload=bloc),
        message(type="image", payload=picture("bot.jpg"), direction="outgoing"),
        message(type="audio", payload={"audioUrl": f"{HOST}/c.ogg", "mimeType": "audio/ogg", "size": 1200}),
        message(type="file", payload={"fileUrl": f"{HOST}/d", "title": "DNI.pdf", "size": "x"}),
    ]
    handoff, _ = hand_over(plain, scene("listo"), {"messages": told})
    assert handoff["attachments"] == [
        {"url": f"{HOST}/a.jpg", "name": "a.jpg"},
        {"url": f"{HOST}/b"},
        {"url": f"{HOST}/c.ogg", "name": "c.ogg", "type": "audio/ogg", "size": 1200},
        {"url": f"{HOST}/d", "name": "DNI.pdf"},
    ]


def test_the_newest_ten_files_are_attached_and_the_others_linked(plain: Card) -> None:
    """An eleventh file is not lost: its line in the transcript has its address."""
    told = [
        message(id=f"m{n}", type="image", payload=picture(f"{n}.jpg"), createdAt=at(n)) for n in reversed(range(12))
    ]
    handoff, _ = hand_over(plain, scene("listo"), {"messages": told})
    assert [file["name"] for file in handoff["attachments"]] == [f"{n}.jpg" for n in range(11, 1, -1)]
    lines = handoff["conversation_transcript"].splitlines()
    assert [f"{HOST}/" in line for line in lines] == [True, True, *[False] * 11]


@pytest.mark.parametrize("text", ["", "https://files.bpcontent.cloud/2026/11/25/comprobante.jpg"])
@pytest.mark.parametrize("client", [None, {"messages": []}])
def test_the_picture_of_this_very_turn_is_attached(client: Any, text: str, plain: Card) -> None:
    """With the client off, or the message not listed yet, it comes from the event; alone it is the summary."""
    handoff, _ = hand_over(plain, scene(text, payload=picture(), type="image"), client)
    assert handoff["attachments"] == [{"url": f"{HOST}/comprobante.jpg", "name": "comprobante.jpg"}]
    assert handoff["conversation_summary"] == "[imagen: comprobante.jpg]"


def test_a_file_is_attached_once(plain: Card) -> None:
    """The same address twice is one file."""
    told = [message(type="image", payload=picture()), message(type="image", payload=picture())]
    handoff, _ = hand_over(plain, scene("", payload=picture(), messageId="new"), {"messages": told})
    assert len(handoff["attachments"]) == 1


@pytest.mark.parametrize(
    "address",
    [
        "",
        "x",
        7,
        None,
        {},
        [],
        "javascript:alert(1)",
        "data:image/png;base64,AAAA",
        "https://x y",
        "file:///etc/passwd",
    ],
)
def test_an_address_that_is_none_is_not_attached(address: Any, plain: Card) -> None:
    """Only https and http addresses are sent; the request is, whatever the payload holds."""
    told = [message(type="image", payload={"imageUrl": address})]
    handoff, _ = hand_over(plain, scene("hola"), {"messages": told})
    assert "attachments" not in handoff


def test_long_addresses_and_names_stay_small(plain: Card) -> None:
    """Ten files with endless names and addresses, and 60,000 emoji beside them, leave the body below its bound."""
    parts = {"filename": "🎰" * 9_000, "mimeType": "x" * 9_000}
    files = [message(type="file", payload={"fileUrl": f"{HOST}/{n}?{'x' * 1_900}", **parts}) for n in range(10)]
    told = [*files, *[message("🎰" * 9_000) for _ in range(8)]]
    there = scene("🎰" * 8_000)
    there["workflow"]["fields"] = {f"campo {n}": "ñ" * 900 for n in range(50)}
    with ScriptedFunction(reply(201, created())) as endpoint:
        plain.run(endpoint.url, there, client={"messages": told})
        (handoff,) = endpoint.handoffs
        assert len(endpoint.bodies[0]) <= 240 * 1024
    assert len(handoff["attachments"]) == 10
    assert all(len(file["name"]) <= 120 and len(file["type"]) <= 100 for file in handoff["attachments"])


def test_an_address_that_is_too_long_is_linked_in_the_transcript(plain: Card) -> None:
    """The function takes addresses of 2,000 characters; a longer one stays where the agent can follow it."""
    address = f"{HOST}/a.jpg?{'x' * 2_500}"
    handoff, _ = hand_over(plain, scene("hola"), {"messages": [message(type="image", payload={"imageUrl": address})]})
    assert "attachments" not in handoff
    assert f"[imagen: a.jpg] {address}" in handoff["conversation_transcript"]


# ── the summary ──


@pytest.mark.parametrize(
    ("told", "event", "expected"),
    [
        ([message("no me pagan")], "", "no me pagan"),
        ([message("ana@example.com"), message("no me pagan")], "Ana Núñez", "no me pagan"),
        ([message("¿Qué pasó?", direction="outgoing"), message("no me pagan")], "", "no me pagan"),
        ([message("Retiros", payload={"text": "Retiros", "value": "r"}), message("no me pagan")], "", "no me pagan"),
        ([message("no me pagan")], "es urgente", "es urgente"),
        ([message(type="image", payload=picture())], "", "[imagen: comprobante.jpg]"),
        ([message("ana@example.com")], "", "ana@example.com"),
        ([message("¿Qué pasó?", direction="outgoing")], "", NO_SUMMARY),
        ([], "", NO_SUMMARY),
    ],
)
def test_a_missing_summary_is_the_persons_last_own_words(
    told: list[dict[str, Any]], event: str, expected: str, plain: Card
) -> None:
    """Not the bot's words, nor the address they were asked for, nor the fixed text while there is anything else."""
    handoff, _ = hand_over(plain, scene(event), {"messages": told})
    assert handoff["conversation_summary"] == expected


# ── values and tags ──


def test_values_and_tags_are_sent_as_the_flow_filled_them_in(plain: Card) -> None:
    """Numbers stay numbers; what is empty is left out; tags are a list, or text with commas."""
    fields = {"numero": 1234, "monto": "1.500,50", "vip": False, "cero": 0, "nada": None, "vacío": "", "lista": ["a"]}
    there = conversation(contacto={"fields": fields, "tags": ["vip", " dos palabras ", "", 7]})
    handoff, _ = hand_over(plain, there)
    assert handoff["fields"] == {"numero": 1234, "monto": "1.500,50", "vip": False, "cero": 0, "lista": ["a"]}
    assert handoff["tags"] == ["vip", "dos palabras", "7"]
    handoff, _ = hand_over(plain, conversation(tags="vip, urgente,,", fields={"a": "\ud83d"}))
    assert (handoff["tags"], "fields" in handoff) == (["vip", "urgente"], False)


@pytest.mark.parametrize("value", ["x", 7, [], ["a"], {}, None, True, {"": {}}, {"a": {"b": [{}]}}, "x" * 90_000])
def test_odd_values_and_tags_stop_nothing(value: Any, plain: Card) -> None:
    """`fields` is an object and `tags` a list of at most ten texts, or they are not sent."""
    handoff, _ = hand_over(plain, conversation(fields=value, tags=value))
    assert isinstance(handoff.get("fields", {}), dict)
    assert all(isinstance(tag, str) and 0 < len(tag) <= 32 for tag in handoff.get("tags", []))
    assert len(handoff.get("tags", [])) <= 10


def test_values_that_are_too_large_are_named_in_the_log(plain: Card) -> None:
    """20 KiB of values are sent; what is more is named, without its value."""
    fields = {"uno": "x" * 15_000, "dos": "y" * 15_000, "tres": "z"}
    handoff, run = hand_over(plain, conversation(fields=fields))
    assert list(handoff["fields"]) == ["uno", "tres"]
    assert run.logs[0] == "warn: contacto: too large, not sent / demasiado grande, no se mandó: dos"


# ── v12 ──


def turn(event: str, said: str, answer: str) -> dict[str, Any]:
    """Return a turn as v12 writes it down."""
    return {"eventId": event, "incomingPreview": said, "replyPreview": answer, "replySource": "dialogManager"}


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        (
            [
                turn("1", "coucou", "#!builtin_single-choice-mrFFU_"),
                turn("2", "Hello", "#!builtin_text-SKQxXN"),
                turn("2", "Hello", "#!builtin_single-choice-mrFFU_"),
                turn("3", "bonjour", "#!builtin_text-SKQxXN"),
                turn("3", "bonjour", "#!builtin_single-choice-mrFFU_"),
            ],
            ["Persona: coucou", "Persona: Hello", "Persona: bonjour"],
        ),
        (
            [turn("1", "hola", "¿Qué pasó?"), turn("1", "hola", "¿Qué pasó?"), turn("1", "hola", "Contame.")],
            ["Persona: hola", "Bot: ¿Qué pasó?", "Bot: Contame."],
        ),
        (
            [turn("1", "hola", "¡Hola!"), turn("2", "hola", "¡Hola!")],
            ["Persona: hola", "Bot: ¡Hola!", "Persona: hola", "Bot: ¡Hola!"],
        ),
        (
            [turn("", "hola", "a"), turn("", "hola", "a"), turn("", "chau", "b")],
            ["Persona: hola", "Bot: a", "Persona: chau", "Bot: b"],
        ),
        ([None, 7, {}, {"incomingPreview": None}, turn("1", "hola", "")], ["Persona: hola"]),
    ],
)
def test_a_v12_transcript_repeats_no_line(turns: list[Any], expected: list[str], plain: Card) -> None:
    """One line for what was said in a turn, one for each answer, none of v12's own names."""
    text = CARDS["v12"].read_text(encoding="utf-8")
    card = Card(mode="v12", text=text, folder=plain.folder, axios="built-in").edited(QUICK["v12"])
    there = v12_conversation() | {"session": {"lastMessages": turns}}
    with ScriptedFunction(reply(201, created())) as endpoint:
        card.run(endpoint.url, there)
        assert endpoint.handoffs[0]["conversation_transcript"].splitlines() == expected


def test_v12_sends_values_and_tags(plain: Card) -> None:
    """From arguments, temp, session or user, like everything else there."""
    text = CARDS["v12"].read_text(encoding="utf-8")
    card = Card(mode="v12", text=text, folder=plain.folder, axios="built-in").edited(QUICK["v12"])
    with ScriptedFunction(reply(201, created())) as endpoint:
        card.run(endpoint.url, v12_conversation(fields={"numero": 7}, tags="vip"))
        assert (endpoint.handoffs[0]["fields"], endpoint.handoffs[0]["tags"]) == ({"numero": 7}, ["vip"])


# ── anything ──

ODD: Final[list[Any]] = [None, "", 0, 7, True, [], {}, [None], "\ud83d", "x" * 20_000, "\u0000", {"text": {}}, "hola"]
PARTS: Final = [
    "text",
    "markdown",
    "caption",
    "value",
    "title",
    "items",
    "options",
    "actions",
    "imageUrl",
    "fileUrl",
    "latitude",
]


def any_message(rng: random.Random, depth: int = 0) -> Any:
    """Return a message in which any part may be missing or of another type."""
    if rng.random() < 0.1:
        return rng.choice(ODD)
    payload = {part: rng.choice([*ODD, f"{HOST}/a.jpg"]) for part in PARTS if rng.random() < 0.3}
    if depth < 2 and rng.random() < 0.3:
        payload["items"] = [any_message(rng, depth + 1) for _ in range(rng.randrange(4))]
    base = message(
        type=rng.choice(["text", "bloc", "card", "carousel", *ODD[:6]]), payload=rng.choice([payload, *ODD[:7]])
    )
    return {**base, **{part: rng.choice(ODD) for part in list(base) if rng.random() < 0.1}}


@pytest.mark.parametrize("seed", range(12))
def test_any_messages_make_a_handoff(seed: int, plain: Card) -> None:
    """Whatever Botpress lists, the body is sent, below its bound, with a readable transcript and usable files."""
    rng = random.Random(seed)
    told = [any_message(rng) for _ in range(rng.randrange(60))]
    handoff, _ = hand_over(plain, scene("hola", payload=rng.choice(ODD)), {"messages": told, "page_size": 9})
    assert all(LINE.fullmatch(line) for line in handoff["conversation_transcript"].splitlines())
    assert all(re.fullmatch(r"https?://\S+", file["url"]) for file in handoff.get("attachments", []))
    assert len(json.dumps(handoff, ensure_ascii=False).encode()) < 250 * 1024
    assert handoff["conversation_summary"] != NO_SUMMARY
