"""`preview`: the ticket a handoff would become, without sending it."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from handoff.inbound import read_handoff
from tests.factories import EMAIL, REASON, SUMMARY, body
from tests.operate.operating import Ran, Station

SETTINGS = ("FRESHDESK_URL", "FRESHDESK_API_KEY", "LEDGER_URL")


def previewed(station: Station, *options: str, **fields: Any) -> Ran:
    """Preview a body given on standard input, without any setting."""
    return station.run("preview", "-", *options, stdin=json.dumps(body(**fields)), without=SETTINGS)


def test_it_shows_the_ticket(station: Station) -> None:
    """Subject, requester, group by its name, priority, tags, and the description as text."""
    ran = previewed(station)
    assert ran.status == 0
    shown = (f"Retiros: {REASON} [BF-", EMAIL, "Retiros (1070000000102)", "high", "botpress, bot:betsur", SUMMARY)
    for text in (*shown, "conversation_id and message_id (holds 30 days)", "Categoría: Retiros"):
        assert text in ran.out
    assert "<" not in ran.out


def test_preview_sends_nothing(station: Station) -> None:
    """There is no call to Freshdesk, and no row in the ledger."""
    assert station.run("preview", "-", stdin=json.dumps(body())).status == 0
    assert station.freshdesk.calls == []
    assert station.rows() == []


def test_preview_shows_exactly_the_ticket_that_would_be_sent(station: Station) -> None:
    """Delivered afterwards, the handoff has the same reference, subject and description."""
    shown = previewed(station, "--json").json
    outcome = station.delivery().deliver(read_handoff(body()))
    [ticket] = station.freshdesk.tickets()
    assert (shown["reference"], shown["group"]) == (outcome.reference, outcome.group)
    assert shown["ticket"]["subject"] == ticket["subject"]
    assert f"<div>{shown['ticket']['description']}</div>" == ticket["description"]  # Freshdesk adds the div


@pytest.mark.parametrize(
    ("fields", "options", "shown"),
    [
        ({}, ("--idempotency-key", "k"), "the header Idempotency-Key"),
        ({"message_id": None}, (), "a hash of the body (holds 24 h)"),
        ({}, (), "conversation_id and message_id"),
    ],
)
def test_preview_shows_the_origin_of_the_key(
    station: Station, fields: dict[str, Any], options: tuple[str, ...], shown: str
) -> None:
    """It decides what counts as the same handoff."""
    assert shown in previewed(station, "--json", *options, **fields).json["key"]


@pytest.mark.parametrize(
    ("fields", "warning"),
    [
        (
            {"conversation_summary": "a" * 8001},
            "conversation_summary: 8,001 characters; only the beginning is kept, 8,000",
        ),
        ({"conversation_transcript": "a" * 60_001}, "conversation_transcript: 60,001 characters; only the end is kept"),
        ({"reason": "pagué con 4111 1111 1111 1111"}, "reason: holds a payment card number"),
        ({"category": "no existe"}, "category: not in routing.toml; it takes the bot's default route"),
        ({"bot": ""}, "bot: not given; betsur is supposed"),
        ({"bot": "nadie"}, "bot: not in routing.toml; betsur is supposed"),
        ({"plan": "oro"}, "plan: not a field of the schema"),
        ({"reason": "largo " * 60}, "subject: cut to 255 characters"),
    ],
)
def test_preview_warns_of_cut_masked_or_unknown_fields(station: Station, fields: dict[str, Any], warning: str) -> None:
    """One warning each, in the table's words and in JSON."""
    [found] = previewed(station, "--json", **fields).json["warnings"]
    assert found.startswith(warning)
    assert f"- {warning}" in previewed(station, **fields).out


def test_a_valid_handoff_has_no_warnings(station: Station) -> None:
    """The list of warnings is empty."""
    assert previewed(station, "--json").json["warnings"] == []


def test_words_that_look_like_markup_are_shown_as_they_are(station: Station) -> None:
    """Neither HTML nor the table's own markup is read in what a person wrote."""
    ran = previewed(station, reason="[bold]hola[/bold] <b>chau</b> [nada]")
    words = "[bold]hola[/bold] <b>chau</b> [nada]"
    assert f"Retiros: {words} [BF-" in ran.out  # the table
    assert f"Motivo: {words}\n" in ran.out  # the text


def test_a_refused_handoff_shows_the_answer_to_the_bot(station: Station) -> None:
    """Every fault with its correction, the sentence for the person, and what happens to it; status 1."""
    ran = previewed(station, user_email="ana@", category="")
    assert ran.status == 1
    assert "Refused with 422 invalid-handoff" in ran.out
    assert "- category: must be given, and not empty" in ran.out
    assert "- user_email: must be an e-mail address such as ana@example.com" in ran.out
    assert "It is kept all the same" in ran.out
    shown = previewed(station, "--json", user_email="ana@").json
    assert [error["field"] for error in shown["errors"]] == ["user_email"]
    assert shown["reference"].startswith("BF-")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{", "400 malformed-json"),
        ('{"a": 1, "a": 2}', "duplicate name"),
        ("[]", "not an object"),
        (json.dumps({"conversation_summary": "a" * 262_144}), "413 payload-too-large"),
    ],
)
def test_an_invalid_body_is_refused(station: Station, text: str, shown: str) -> None:
    """Not JSON, not an object, too large: as the function would answer."""
    ran = station.run("preview", "-", stdin=text)
    assert ran.status == 1
    assert shown in ran.out


def test_a_private_page_is_written_and_opened(station: Station, tmp_path: Path) -> None:
    """The description is rendered, the words stay text, and the page may neither run code nor load anything."""
    file = tmp_path / "handoff.json"
    file.write_text(json.dumps(body(reason="<script>alert(1)</script>")))
    ran = station.run("preview", str(file), "--html")
    [address] = station.pages
    page = Path(urlsplit(address).path)
    try:
        assert f"Page: {page}" in ran.out
        assert stat.S_IMODE(page.stat().st_mode) == 0o600
        html = page.read_text(encoding="utf-8")
        assert "<script>" not in html
        assert "default-src 'none'" in html
        assert f"<p>{SUMMARY}</p>" in html
        assert station.run("preview", str(file), "--html", "--json").json["page"] == urlsplit(station.pages[1]).path
    finally:
        for opened in station.pages:
            Path(urlsplit(opened).path).unlink()


def test_a_file_that_is_not_there_is_one_line(station: Station, tmp_path: Path) -> None:
    """The argument is named."""
    ran = station.run("preview", str(tmp_path / "no.json"))
    assert ran.status == 2
    assert ran.err.startswith("FILE.json: ")
    assert "cannot be read (FileNotFoundError)" in ran.err


def test_a_broken_routing_file_is_named(station: Station, tmp_path: Path) -> None:
    """Without routes there is no ticket to show."""
    broken = tmp_path / "routing.toml"
    broken.write_text("= 1\n")
    ran = station.run("preview", "-", stdin="{}", ROUTING_FILE=str(broken))
    assert ran.status == 2
    assert "routing.toml: línea 1: falta el nombre a la izquierda del =" in ran.err
