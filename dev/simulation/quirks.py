"""How one Freshdesk account differs from the manual: its clock, its lists, its rules, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from html import escape
from random import Random
from typing import Any, Final, Literal, NamedTuple

from dev.simulation.endpoints import ROUTING

Stamps = Literal["UTC", "offset", "no zone"]
Order = Literal["newest", "oldest", "updated"]

REFUSED_DOMAIN: Final = "@refused.example"
UNKNOWN_GROUP: Final = 1070000000112  # as if somebody had deleted the group that routing.toml names
_ARGENTINA: Final = timezone(timedelta(hours=-3))
_CUT_AT: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """One account. The last three are shares (0-1) of its tickets."""

    ahead_s: float = 0.0  # its clock, of ours; negative: behind
    stamps: Stamps = "UTC"  # how `created_at` is written
    order: Order = "newest"  # of lists, whatever was asked for
    link: bool = True  # whether a list says that there is a next page
    lag_s: float = 0.0  # a ticket shows in lists up to so many seconds later
    reworded: float = 0.0  # a rule changes the subject, or appends to the description
    moved: float = 0.0  # an agent merges or changes the requester's address, within a minute
    touched: float = 0.0  # somebody updates it, an hour later at most


PLAIN: Final = Quirks()


def draw_quirks(random: Random) -> Quirks:
    """Return an account with every quirk at once."""
    return Quirks(
        ahead_s=random.choice((random.uniform(-2400.0, -60.0), random.uniform(60.0, 600.0))),
        stamps=random.choice(("UTC", "offset", "no zone")),
        order=random.choice(("newest", "oldest", "updated")),
        link=random.random() < 0.5,
        lag_s=random.uniform(1.0, 20.0),
        reworded=0.1,
        moved=0.05,
        touched=0.05,
    )


def stamp(moment: float, stamps: Stamps) -> str:
    """Return a moment as the account writes it."""
    if stamps == "UTC":
        return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    local = datetime.fromtimestamp(moment, _ARGENTINA).replace(microsecond=0)
    return local.isoformat() if stamps == "offset" else local.replace(tzinfo=None).isoformat()


def reword(random: Random, subject: str, description: str) -> tuple[str, str]:
    """Return subject and description as a rule leaves them; one of the two still ends in the reference."""
    subjects = (
        subject[:_CUT_AT],
        subject.lower(),
        escape(subject),
        escape(escape(subject)).replace("[", "&#91;").replace("]", "&#93;"),
        f"{subject} (VIP)",
        f"Re: {subject} [Ticket #{random.randrange(10**6)}]",
        "Pedido del bot",
    )
    if random.random() < 0.2:
        return subject, f"{description}<p>Enviado por el bot.</p>"
    return random.choice(subjects), f'<div class="body">{description}</div>'


class Content(NamedTuple):
    """What the account does to a ticket with this word in it, until the ticket is plain enough."""

    word: str
    status: int
    field: str
    is_plain: Callable[[Mapping[str, Any]], bool]


def _is_short(fields: Mapping[str, Any]) -> bool:
    return "<table" not in str(fields["description"])


CONTENTS: Final = (
    Content("con-etiquetas", 422, "", lambda fields: "tags" not in fields),
    Content("con-telefono", 409, "", lambda fields: "phone" not in fields),
    Content("con-tabla", 400, "description", _is_short),
    Content("con-persona", 400, "requester_id", lambda fields: fields.get("email") == ROUTING.fallback_requester),
    Content("con-error", 500, "", _is_short),
)


def refusal_of(fields: Mapping[str, Any]) -> tuple[int, str] | None:
    """Return the status, and the field that is named, with which the account refuses a ticket; None if it does not."""
    if str(fields.get("email") or "").endswith(REFUSED_DOMAIN):
        return 400, "email"
    if fields.get("group_id") == UNKNOWN_GROUP:
        return 400, "group_id"
    subject = str(fields["subject"])
    refused = (one for one in CONTENTS if one.word in subject and not one.is_plain(fields))
    return next(((one.status, one.field) for one in refused), None)
