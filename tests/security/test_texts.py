"""S7, S10: hostile texts in every field pass through the endpoint, and the agent can read them as text."""

from __future__ import annotations

from typing import Any

from dev.local_freshdesk import LocalFreshdesk
from handoff.inbound import schema
from handoff.sanitize import clean, mask_cards, one_line
from tests.corpora import TEXTS, XSS, Page
from tests.endpoints import Endpoint
from tests.factories import request

FREE = ("conversation_summary", "reason", "conversation_transcript")
BIDI = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
EVERY_FIELD = sorted(schema()["properties"].keys() - {"user_email", "user_phone"})
SHOWN = 60  # the shortest field keeps this much


def test_every_text_reaches_the_agent(endpoint: Endpoint, freshdesk: LocalFreshdesk) -> None:
    """With each text in every field and as an unknown one there is a ticket, and the unescaped text is complete."""
    for number, text in enumerate(TEXTS.values()):
        fields: dict[str, Any] = dict.fromkeys((*EVERY_FIELD, "otro"), f"x{text}")
        fields |= {"conversation_id": f"c{number}", "message_id": f"m{number}", "user_email": f"p{number}@example.com"}
        assert endpoint(request(**fields)).status == 201
        kept = mask_cards(clean(f"x{text}"))
        page = Page(freshdesk.tickets()[-1]["description"])
        assert page.text.count(kept[:2000]) >= len(FREE)
        assert page.text.count(kept[:SHOWN]) >= len(EVERY_FIELD) - 4  # except for the ids, the bot and folded lines
        assert not BIDI & set(page.text + freshdesk.tickets()[-1]["subject"])


def test_every_script_reaches_the_agent_as_text(endpoint: Endpoint, freshdesk: LocalFreshdesk) -> None:
    """The ticket and its subject have no tag except those of the template."""
    seen = set()
    for number, vector in enumerate(XSS[::5]):
        fields: dict[str, Any] = dict.fromkeys((*FREE, "user_name"), f"x{vector}")
        fields |= {"message_id": f"m{number}", "user_email": f"p{number}@example.com"}
        assert endpoint(request(**fields)).status == 201
        ticket = freshdesk.tickets()[-1]
        seen.add(tuple(Page(ticket["description"]).tags))
        assert one_line(clean(f"x{vector}"))[:SHOWN] in ticket["subject"]
    assert len(seen) == 1


def test_an_emoji_family_stays_together(endpoint: Endpoint, freshdesk: LocalFreshdesk) -> None:
    """Zero-width joiners are not removed as control characters."""
    assert endpoint(request(reason=TEXTS["family emoji"])).status == 201
    assert TEXTS["family emoji"] in freshdesk.tickets()[0]["subject"]
    assert TEXTS["family emoji"] in freshdesk.tickets()[0]["description"]
