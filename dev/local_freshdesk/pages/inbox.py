"""The agent's inbox, and the ticket."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Final

from flask import abort, redirect, render_template, request

from dev.local_freshdesk.listing import BOXES
from dev.local_freshdesk.wire import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask import Flask
    from flask.typing import ResponseReturnValue

    from dev.local_freshdesk.helpdesk import HelpDesk
    from dev.local_freshdesk.store import Row

_PER_PAGE: Final = 50
_SEARCHED: Final = (
    "(subject LIKE :text ESCAPE '\\' OR description_text LIKE :text ESCAPE '\\' OR tags LIKE :text ESCAPE '\\' "
    "OR id = :number OR requester_id IN (SELECT id FROM contacts "
    "WHERE name LIKE :text ESCAPE '\\' OR email LIKE :text ESCAPE '\\' OR phone LIKE :text ESCAPE '\\'))"
)


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
    def read(cls, query: Mapping[str, str]) -> Filter:
        """Return the filter in an address; values that make no sense count as empty."""
        box = query.get("box", "")
        return cls(
            box=box if box in BOXES else "",
            text=query.get("q", "").strip()[:200],
            group=_number(query.get("group", "")),
            status=_number(query.get("status", "")),
            priority=_number(query.get("priority", "")),
            bot=query.get("bot", "").strip()[:64],
        )

    @property
    def narrows(self) -> bool:
        """Return True if anything but the box is asked for."""
        return any((self.text, self.group, self.status, self.priority, self.bot))

    def clauses(self) -> tuple[str, dict[str, Any]]:
        """Return the filter in SQL, and its values."""
        numbers = {"group_id": self.group, "status": self.status, "priority": self.priority}
        values: dict[str, Any] = {name: value for name, value in numbers.items() if value is not None}
        parts = [BOXES[self.box], *(f"{name} = :{name}" for name in values)]
        if self.bot:
            parts.append("tags LIKE :bot ESCAPE '\\'")
            values["bot"] = f'%"bot:{_escaped(self.bot)}"%'
        if self.text:
            parts.append(_SEARCHED)
            values |= {"text": f"%{_escaped(self.text)}%", "number": _number(self.text.lstrip("#"))}
        return " AND ".join(parts), values


class Inbox:
    """`/` and `/inbox/tickets/<id>`."""

    def __init__(self, helpdesk: HelpDesk) -> None:
        self._helpdesk = helpdesk
        self._store = helpdesk.store

    def add_to(self, app: Flask) -> None:
        """Add the routes."""
        app.add_url_rule("/", "inbox", self.list_tickets)
        app.add_url_rule("/inbox/tickets/<int:ticket_id>", "ticket", self.show)
        # How the address of a ticket looks in Freshdesk's own pages.
        app.add_url_rule("/a/tickets/<int:ticket_id>", "agents_address", _to_ticket)
        app.add_url_rule("/inbox/tickets/<int:ticket_id>", "change", self.change, methods=["POST"])
        app.add_url_rule("/inbox/tickets/<int:ticket_id>/notes", "write", self.write, methods=["POST"])
        app.add_url_rule("/inbox/tickets/<int:ticket_id>/box", "move", self.move, methods=["POST"])

    def list_tickets(self) -> ResponseReturnValue:
        """Show the inbox, newest first."""
        wanted = Filter.read(request.args)
        page = max(_number(request.args.get("page", "")) or 1, 1)
        where, values = wanted.clauses()
        offset = (page - 1) * _PER_PAGE
        found = self._store.select("tickets", where, values, order="id DESC", limit=_PER_PAGE, offset=offset)
        total = self._store.count("tickets", where, values)
        tagged = self._store.select("tickets", "tags LIKE '%\"bot:%'", order="id DESC", limit=500)
        return render_template(
            "inbox.html",
            here="inbox",
            filter=wanted,
            tickets=found,
            people={row["requester_id"]: self._store.one("contacts", row["requester_id"]) for row in found},
            counts={box: self._store.count("tickets", clause) for box, clause in BOXES.items()},
            total=total,
            page=page,
            pages=max(-(-total // _PER_PAGE), 1),
            bots=sorted({tag[4:] for row in tagged for tag in row["tags"] if tag.startswith("bot:")}),
        )

    def show(self, ticket_id: int) -> ResponseReturnValue:
        """Show one ticket with its conversation."""
        return self._page(self._ticket(ticket_id))

    def change(self, ticket_id: int) -> ResponseReturnValue:
        """Change status, priority, group or agent, from the form."""
        row = self._ticket(ticket_id)
        names = ("status", "priority", "group_id", "responder_id")
        fields = {name: _number(request.form[name]) for name in names if name in request.form}
        try:
            self._helpdesk.change_ticket(ticket_id, fields)
        except RefusedError:
            return self._page(row, "Ese cambio no es posible: el valor no existe en la cuenta."), 400
        return _to_ticket(ticket_id, "#propiedades")

    def write(self, ticket_id: int) -> ResponseReturnValue:
        """Add a private note or a reply to the requester, from the form's plain text."""
        row = self._ticket(ticket_id)
        text = request.form.get("body", "").strip()
        if not text:
            return self._page(row, "Escribí algo antes de guardar."), 400
        body = escape(text).replace("\r\n", "<br>").replace("\n", "<br>")
        kind = "reply" if request.form.get("kind") == "reply" else "note"
        self._helpdesk.add_note(ticket_id, {"body": body}, kind)
        return _to_ticket(ticket_id, "#conversacion")

    def move(self, ticket_id: int) -> ResponseReturnValue:
        """Move a ticket into the spam box, the bin, or back."""
        self._ticket(ticket_id)
        self._helpdesk.move(ticket_id, request.form.get("box", ""))
        return _to_ticket(ticket_id)

    def _ticket(self, ticket_id: int) -> Row:
        row = self._store.one("tickets", ticket_id) if ticket_id < 2**62 else None
        return row or abort(404)

    def _page(self, row: Row, problem: str | None = None) -> str:
        entries = self._helpdesk.conversations(row["id"])
        return render_template(
            "ticket.html",
            here="inbox",
            ticket=row,
            person=self._store.one("contacts", row["requester_id"]) or {},
            conversation=[(entry, self._helpdesk.attachments_of(entry["id"])) for entry in entries],
            agents=self._helpdesk.account.agents,
            problem=problem,
        )


def _to_ticket(ticket_id: int, anchor: str = "") -> ResponseReturnValue:
    return redirect(f"/inbox/tickets/{ticket_id}{anchor}", 303)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None  # noqa: PLR2004 - 64 bits


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
