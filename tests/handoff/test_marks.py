"""The two places of the reference in a ticket: which changes they survive, and which text is not mistaken for them."""

from __future__ import annotations

import pytest

from freshdesk_client import Answer, Listed, decipher_list
from handoff.helpdesk import CLOCK_SKEW_S, is_ticket_of
from handoff.marks import mark, reference_of, with_mark, without_marks
from handoff.ticket import SUBJECT_MAX, subject, to_ticket
from tests.factories import handoff, route
from tests.ledger_factories import NOW, answer

OURS = "BF-7K3QX2AB"
OTHER = "BF-AAAAAAAA"
CUT = "Retiros: no llegó el dine"


def row(text: str, *, last_line: str = "", created_at: float = NOW) -> Listed:
    """Return a row of a list."""
    return Listed(1, text, created_at, 2, last_line)


def listed(subject: str, description: str) -> Listed:
    """Return a ticket from a list with descriptions."""
    given: Answer = answer(200, [{"id": 1, "subject": subject, "description": description}])
    return decipher_list(given).rows[0]


@pytest.mark.parametrize(
    "text",
    [
        f"Retiros: x [{OURS}]",
        f"Retiros: x [{OURS}]  ",
        f"[{OURS}]",
        f"retiros: x [{OURS.lower()}]",
        f"RETIROS: X [{OURS}]",
        f"Retiros: x &#91;{OURS}&#93;",
        f"Retiros: x &#x5B;{OURS}&#x5D;",
        f"Retiros: x &lsqb;{OURS}&rsqb;",
        f"Retiros &amp;amp; x &amp;#91;{OURS}&amp;#93;",
        f"Retiros: x \\[{OURS}\\]",
        f"Retiros: x [{OURS[:6]}\n {OURS[6:]}]",
        f"Retiros: x [ {OURS} ]",
        f"Retiros: x [BF\u2011{OURS[3:]}]",
        f"Retiros: x [BF\u2013{OURS[3:]}]",
        f"Retiros: x \uff3b{OURS}\uff3d",
        f"Retiros: x [{OURS}\u200b]",
        f"Retiros: x [{OURS}].",
        f"Retiros: x [{OURS}]…",
        f'"Retiros: x [{OURS}]"',
        f"Retiros: x [{OURS}] (VIP)",
        f"Retiros: x [{OURS}] [Ticket #4711]",
        f"Retiros: x [{OURS}] #4711 (reabierto)",
        f"Re: Retiros: x [{OURS}]",
        f"por [{OTHER}] y otra vez [{OURS}]",
    ],
)
def test_a_subject_that_was_changed_on_its_way_is_recognised(text: str) -> None:
    """Case, escapes, spaces, folds, dashes, and text in brackets that rules append."""
    assert reference_of(row(text)) == OURS
    assert is_ticket_of(row(text), OURS, NOW)
    assert not is_ticket_of(row(text), OTHER, NOW)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Retiros: x",
        f"Mi caso [{OURS}] sigue igual",
        f"[{OURS}]: ¿qué pasó?",
        f"[{OURS}] x",
        f"{OURS}",
        f"x {OURS}",
        f"x ({OURS})",
        f"x [{OURS}",
        f"x [{OURS[:-1]}",
        f"x [{OURS}2]",
        f"x [{OURS}] ({'a' * 41})",
        f"x [{OURS}] (a) (b) (c) (d)",
        f"por [{OURS}] y otra vez [{OTHER}]",
        f"por [{OURS}] [{OTHER}]",
        f"por [{OURS}] ([{OTHER}])",
    ],
)
def test_a_reference_in_a_persons_text_is_not_the_mark(text: str) -> None:
    """Plain words or another mark after it mean that a person typed it."""
    assert reference_of(row(text)) != OURS
    assert not is_ticket_of(row(text), OURS, NOW)


@pytest.mark.parametrize(
    "description",
    [
        with_mark("<p>no llegó</p>", OURS),
        f"<div>{with_mark('<p>x</p>', OURS)}</div>",
        f"<div>x<br>&#91;{OURS.lower()}&#93;<br></div>",
        f"<p>x</p><p><b>Referencia:</b> [{OURS}]</p>",
        f"<p>por</p><p>[{OTHER}]</p><p>[{OURS}]</p>",
    ],
)
@pytest.mark.parametrize("subject", [CUT, "", f"{CUT} [{OURS} - urgente", f"x [{OURS}] fue reabierto por una regla"])
def test_a_description_identifies_a_ticket_whose_subject_was_cut(subject: str, description: str) -> None:
    """Also one with words appended to its subject."""
    assert reference_of(listed(subject, description)) == OURS


@pytest.mark.parametrize(
    "description",
    [
        f"<p>x</p><p>[{OURS}]</p><p>Enviado desde mi teléfono</p>",
        f"<p>por [{OURS}]</p>",
        f"<p>[{OURS}] no funciona</p>",
        f"<p>{OURS}</p>",
        f"<p>[{OURS}]</p><p>[{OTHER}]</p>",
        f"<p>x</p><p>[{OURS}][{OTHER}]</p>",
    ],
)
def test_a_reference_in_the_text_of_a_description_is_not_the_mark(description: str) -> None:
    """Only a last line of its own is the mark."""
    assert reference_of(listed("Retiros", description)) != OURS


def test_if_the_description_was_cut_the_subject_decides() -> None:
    """Even if the rest of it ends with a line that a person typed."""
    assert reference_of(listed(f"x [{OURS}]", f"<p>[{OTHER}]</p>")) == OURS
    assert reference_of(listed(f"x [{OURS}]", "<p>no llegó el din")) == OURS


def test_a_ticket_has_both_marks() -> None:
    """At the end of the subject, and in a line that no template can leave out."""
    given = handoff(reason="x" * 400, conversation_transcript=f"por\n[{OTHER}]")
    ticket = to_ticket(given, route())
    assert ticket["subject"].endswith(mark(given.reference))
    for kept in (ticket["subject"], ticket["subject"][:100]):
        assert reference_of(listed(kept, ticket["description"])) == given.reference


@pytest.mark.parametrize("typed", [f"[{OTHER}]", f"[ {OTHER.lower()} ]", f"[{OTHER}] [{OTHER}]"])
def test_no_cut_turns_a_persons_text_into_a_mark(typed: str) -> None:
    """Wherever the subject is cut, a reference that a person typed is in round brackets."""
    given = handoff(reason=f"{typed} no funciona")
    whole = subject(given, route())
    assert len(whole) <= SUBJECT_MAX
    assert {reference_of(row(whole[:length])) for length in range(len(whole) + 1)} == {"", given.reference}
    assert without_marks(typed).lower().count(f"({OTHER.lower()})") == typed.lower().count(OTHER.lower())


@pytest.mark.parametrize(
    ("created_at", "counts"),
    [(NOW, True), (0.0, True), (NOW - CLOCK_SKEW_S, True), (NOW - CLOCK_SKEW_S - 0.01, False)],
)
def test_an_older_ticket_belongs_to_an_older_handoff(created_at: float, counts: bool) -> None:  # noqa: FBT001 -- a column of the table
    """As far as two clocks agree; a ticket whose date cannot be read counts."""
    assert is_ticket_of(row(f"x [{OURS}]", created_at=created_at), OURS, NOW) is counts
