"""The agent's inbox, and the ticket."""

from __future__ import annotations

from html import escape
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from flask import abort, redirect, render_template, request, send_file

from dev.local_freshdesk.listing import BOXES
from dev.local_freshdesk.wire import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask import Flask
    from flask.typing import ResponseReturnValue

    from dev.local_freshdesk.helpdesk import HelpDesk
    from dev.local_freshdesk.store import Row

_PER_PAGE: Final = 50
PICTURES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})  # no SVG: it may have scripts
_SEARCHED: Final = (
    "(subject LIKE :text ESCAPE '\\' OR description_text LIKE :text ESCAPE '\\' OR tags LIKE :text ESCAPE '\\' "
    "OR id = :number OR requester_id IN (SELECT id FROM contacts "
    "WHERE name LIKE :text ESCAPE '\\' OR email LIKE :text ESCAPE '\\' OR phone LIKE :text ESCAPE '\\'))"
)


def read_filter(query: Mapping[str, str]) -> dict[str, Any]:
    """Return what an inbox's address asks to see; values that make no sense count as empty."""
    numbers = {name: _number(query.get(name, "")) for name in ("group_id", "status", "priority")}
    texts = {name: query.get(name, "").strip()[:200] for name in ("box", "q", "bot")}
    return {**numbers, **texts, "box": texts["box"] if texts["box"] in BOXES else ""}


def clauses_of(wanted: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return a filter in SQL, and its values."""
    values = {name: wanted[name] for name in ("group_id", "status", "priority") if wanted[name] is not None}
    parts = [BOXES[wanted["box"]], *(f"{name} = :{name}" for name in values)]
    if wanted["bot"]:
        parts.append("tags LIKE :bot ESCAPE '\\'")
        values["bot"] = f'%"bot:{_escaped(wanted["bot"])}"%'
    if wanted["q"]:
        parts.append(_SEARCHED)
        values |= {"text": f"%{_escaped(wanted['q'])}%", "number": _number(wanted["q"].lstrip("#"))}
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
        app.add_url_rule("/attachments/<int:file_id>", "attachment", self.download)
        app.add_url_rule("/inbox/tickets/<int:ticket_id>/box", "move", self.move, methods=["POST"])

    def list_tickets(self) -> ResponseReturnValue:
        """Show the inbox, newest first."""
        wanted = read_filter(request.args)
        page = max(_number(request.args.get("page", "")) or 1, 1)
        where, values = clauses_of(wanted)
        offset = (page - 1) * _PER_PAGE
        found = self._store.select("tickets", where, values, order="id DESC", limit=_PER_PAGE, offset=offset)
        total = self._store.count("tickets", where, values)
        tagged = self._store.select("tickets", "tags LIKE '%\"bot:%'", order="id DESC", limit=500)
        return render_template(
            "inbox.html",
            here="inbox",
            filter=wanted,
            narrows=any(value for name, value in wanted.items() if name != "box"),
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

    def download(self, file_id: int) -> ResponseReturnValue:
        """Return a file: a picture to be looked at, anything else to be saved, because a page of it would be ours."""
        row = self._store.one("attachments", file_id) if file_id < 2**62 else None
        if row is None:
            abort(404)
        is_picture = row["content_type"] in PICTURES
        return send_file(
            BytesIO(self._helpdesk.content_of(file_id)["content"]),
            mimetype=row["content_type"] if is_picture else "application/octet-stream",
            as_attachment=not is_picture,
            download_name=row["name"] or "archivo",
        )

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
            pictures=PICTURES,
            problem=problem,
        )


def _to_ticket(ticket_id: int, anchor: str = "") -> ResponseReturnValue:
    return redirect(f"/inbox/tickets/{ticket_id}{anchor}", 303)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None  # noqa: PLR2004 - 64 bits


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
