"""The agent's inbox and the ticket."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Final

from flask import abort, redirect, render_template, request

from dev.local_freshdesk import shapes, tickets
from dev.local_freshdesk.wire import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask import Flask
    from flask.typing import ResponseReturnValue

    from dev.local_freshdesk.desk import HelpDesk
    from dev.local_freshdesk.store import Row

PER_PAGE: Final = 50
_MAX_ID: Final = 2**62
_SEARCHED: Final = (
    "(subject LIKE :text ESCAPE '\\' OR description_text LIKE :text ESCAPE '\\' OR tags LIKE :text ESCAPE '\\' "
    "OR id = :number OR requester_id IN (SELECT id FROM contacts "
    "WHERE name LIKE :text ESCAPE '\\' OR email LIKE :text ESCAPE '\\' OR phone LIKE :text ESCAPE '\\'))"
)
_BOXES: Final = {"": "spam = 0 AND deleted = 0", "spam": "spam = 1 AND deleted = 0", "deleted": "deleted = 1"}


@dataclass(frozen=True, slots=True)
class Filter:
    """What the agent wants to see; every part may be empty."""

    box: str = ""
    text: str = ""
    group: int | None = None
    status: int | None = None
    priority: int | None = None
    bot: str = ""

    @classmethod
    def of(cls, said: Mapping[str, str]) -> Filter:
        """From the address's query; what makes no sense counts as empty."""
        box = said.get("box", "")
        return cls(
            box=box if box in _BOXES else "",
            text=said.get("q", "").strip()[:200],
            group=_number(said.get("group", "")),
            status=_number(said.get("status", "")),
            priority=_number(said.get("priority", "")),
            bot=said.get("bot", "").strip()[:64],
        )

    @property
    def narrows(self) -> bool:
        """Whether anything but the box is asked for."""
        return any((self.text, self.group, self.status, self.priority, self.bot))

    def clauses(self) -> tuple[str, dict[str, Any]]:
        """The filter in SQL."""
        parts = [_BOXES[self.box]]
        values: dict[str, Any] = {}
        for name, value in (("group_id", self.group), ("status", self.status), ("priority", self.priority)):
            if value is not None:
                parts.append(f"{name} = :{name}")
                values[name] = value
        if self.bot:
            parts.append("tags LIKE :bot ESCAPE '\\'")
            values["bot"] = f'%"bot:{_liked(self.bot)}"%'
        if self.text:
            parts.append(_SEARCHED)
            values |= {"text": f"%{_liked(self.text)}%", "number": _number(self.text.lstrip("#"))}
        return " AND ".join(parts), values


class Inbox:
    """`/` and `/inbox/tickets/<id>`."""

    def __init__(self, desk: HelpDesk) -> None:
        self._desk = desk

    def add_to(self, app: Flask) -> None:
        """Add the routes."""
        app.add_url_rule("/", "inbox", self.list_tickets)
        app.add_url_rule("/inbox/tickets/<int:ticket_id>", "ticket", self.show)
        # How the address of a ticket looks in Freshdesk's own pages.
        app.add_url_rule("/a/tickets/<int:ticket_id>", "agents_address", _to_ticket)
        app.add_url_rule("/inbox/tickets/<int:ticket_id>", "change", self.change, methods=["POST"])
        app.add_url_rule("/inbox/tickets/<int:ticket_id>/notes", "converse", self.converse, methods=["POST"])
        app.add_url_rule("/inbox/tickets/<int:ticket_id>/box", "move", self.move, methods=["POST"])

    def list_tickets(self) -> ResponseReturnValue:
        """The inbox, newest first."""
        wanted = Filter.of(request.args)
        page = max(_number(request.args.get("page", "")) or 1, 1)
        where, values = wanted.clauses()
        store = self._desk.store
        found = store.select("tickets", where, values, order="id DESC", limit=PER_PAGE, offset=(page - 1) * PER_PAGE)
        total = store.count("tickets", where, values)
        people = {row["requester_id"]: store.one("contacts", row["requester_id"]) for row in found}
        counts = {box: store.count("tickets", clause) for box, clause in _BOXES.items()}
        return render_template(
            "inbox.html",
            here="inbox",
            filter=wanted,
            tickets=found,
            people=people,
            counts=counts,
            total=total,
            page=page,
            pages=max(-(-total // PER_PAGE), 1),
            bots=self._bot_slugs(),
        )

    def _bot_slugs(self) -> list[str]:
        rows = self._desk.store.select("tickets", "tags LIKE '%\"bot:%'", order="id DESC", limit=500)
        return sorted({tag[4:] for row in rows for tag in row["tags"] if tag.startswith("bot:")})

    def show(self, ticket_id: int) -> ResponseReturnValue:
        """One ticket."""
        return self._page(ticket_id)

    def _page(self, ticket_id: int, fault: str | None = None) -> str:
        row = self._the(ticket_id)
        full = shapes.ticket(row, self._desk.clock(), self._desk.attachments_of(ticket_id))
        return render_template(
            "ticket.html",
            here="inbox",
            ticket=row,
            full=full,
            person=self._desk.store.one("contacts", row["requester_id"]),
            talk=self._desk.conversations(ticket_id),
            agents=self._desk.account.agents,
            fault=fault,
        )

    def change(self, ticket_id: int) -> ResponseReturnValue:
        """Status, priority, group and agent, from the form."""
        row = self._the(ticket_id)
        names = ("status", "priority", "group_id", "responder_id")
        said = {name: _number(request.form[name]) for name in names if name in request.form}
        try:
            tickets.change(self._desk, row, said)
        except RefusedError:
            return self._page(ticket_id, "Ese cambio no es posible: el valor no existe en la cuenta."), 400
        return _to_ticket(ticket_id, "#propiedades")

    def converse(self, ticket_id: int) -> ResponseReturnValue:
        """A private note or a reply to the requester, from the form's plain text."""
        row = self._the(ticket_id)
        text = request.form.get("body", "").strip()
        if not text:
            return self._page(ticket_id, "Escribí algo antes de guardar."), 400
        body = escape(text).replace("\r\n", "<br>").replace("\n", "<br>")
        if request.form.get("kind") == "reply":
            tickets.add_reply(self._desk, row, {"body": body})
        else:
            tickets.add_note(self._desk, row, {"body": body})
        return _to_ticket(ticket_id, "#conversacion")

    def move(self, ticket_id: int) -> ResponseReturnValue:
        """Into the spam box, the bin, or back."""
        self._the(ticket_id)
        box = request.form.get("box", "")
        tickets.flag(self._desk, ticket_id, spam=box == "spam", deleted=box == "deleted")
        return _to_ticket(ticket_id)

    def _the(self, ticket_id: int) -> Row:
        row = self._desk.store.one("tickets", ticket_id) if ticket_id < _MAX_ID else None
        return row or abort(404)


def _to_ticket(ticket_id: int, anchor: str = "") -> ResponseReturnValue:
    return redirect(f"/inbox/tickets/{ticket_id}{anchor}", 303)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None  # noqa: PLR2004 - 64 bits


def _liked(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
