"""The chat: a person and a bot, up to the Contacto node and after it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from flask import abort, jsonify, redirect, render_template, request

from dev.local_freshdesk.bot import Bots, Message, Reply, load_bots

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask import Flask
    from flask.typing import ResponseReturnValue

_TYPED: Final = ("category", "user_email", "user_name", "reason", "conversation_summary")


@dataclass(slots=True)
class Exchange:
    """One handoff: what was sent, what came back, and what became of it later."""

    message: Message
    reply: Reply
    repeated: bool = False
    outcome: dict[str, Any] = field(default_factory=dict)

    @property
    def waits(self) -> bool:
        """Return True if there is a reference and no ticket yet."""
        queued = self.reply.status == 202 and bool(self.reply.reference)  # noqa: PLR2004 - kept, the ticket follows
        return queued and not self.outcome.get("ticket_id")


@dataclass(slots=True)
class Chat:
    """One conversation with a bot."""

    chat_id: str
    bot: str
    exchanges: list[Exchange] = field(default_factory=list)


class Chats:
    """`/chat` and the conversations under it, which live as long as the process."""

    def __init__(self, bots: Bots | None) -> None:
        self._bots = bots
        self._offered = load_bots()
        self._chats: dict[str, Chat] = {}

    def add_to(self, app: Flask) -> None:
        """Add the routes."""
        app.add_url_rule("/chat", "chat", self.begin)
        app.add_url_rule("/chat", "hand_over", self.hand_over, methods=["POST"])
        app.add_url_rule("/chat/<chat_id>", "conversation", self.show)
        app.add_url_rule("/chat/<chat_id>", "say_more", self.hand_over, methods=["POST"])
        app.add_url_rule("/chat/<chat_id>/again", "again", self.again, methods=["POST"])
        app.add_url_rule("/chat/<chat_id>/outcome", "outcome", self.outcome)

    def begin(self) -> ResponseReturnValue:
        """Show a new conversation: empty, or filled with a sample."""
        bot = self._bot(request.args)
        samples = self._offered[bot]["samples"]
        chosen = request.args.get("example", "")
        typed = samples[int(chosen) % len(samples)] if chosen.isascii() and chosen.isdigit() else {}
        return self._page(Chat("", bot), typed)

    def show(self, chat_id: str) -> ResponseReturnValue:
        """Show a conversation so far."""
        chat = self._followed(chat_id)
        return self._page(chat, {name: getattr(chat.exchanges[-1].message, name) for name in _TYPED})

    def hand_over(self, chat_id: str = "") -> ResponseReturnValue:
        """Send what was typed, as a new conversation or as a further message of one."""
        chat = self._known(chat_id) if chat_id else Chat(secrets.token_urlsafe(9), self._bot(request.form))
        last = chat.exchanges[-1] if chat.exchanges else None
        message = Message(
            bot=chat.bot,
            conversation_id=f"conv_{chat.chat_id}",
            # A correction keeps its message: it is the same request until it is kept.
            message_id=last.message.message_id if last and last.reply.asks_for else f"msg_{secrets.token_urlsafe(9)}",
            **{name: request.form.get(name, "")[:20_000] for name in _TYPED},
        )
        return self._send(chat, message)

    def again(self, chat_id: str) -> ResponseReturnValue:
        """Send the last handoff once more, as Botpress does when it replays a message."""
        chat = self._known(chat_id)
        return self._send(chat, chat.exchanges[-1].message, repeated=True)

    def outcome(self, chat_id: str) -> ResponseReturnValue:
        """Return how many handoffs still wait for a ticket: for the page's script."""
        return jsonify({"waiting": sum(exchange.waits for exchange in self._followed(chat_id).exchanges)})

    def _send(self, chat: Chat, message: Message, *, repeated: bool = False) -> ResponseReturnValue:
        bots = self._bots or abort(503)
        chat.exchanges.append(Exchange(message, bots.hand_over(message), repeated))
        self._chats[chat.chat_id] = chat
        return redirect(f"/chat/{chat.chat_id}#ultimo", 303)

    def _followed(self, chat_id: str) -> Chat:
        """Return a conversation, the function asked again about what waits."""
        chat = self._known(chat_id)
        for exchange in chat.exchanges:
            if self._bots and exchange.waits:
                exchange.outcome = self._bots.became_of(exchange.reply.reference)
        return chat

    def _page(self, chat: Chat, typed: dict[str, Any]) -> ResponseReturnValue:
        return render_template(
            "chat.html",
            here="chat",
            chat=chat,
            bot=self._offered[chat.bot],
            offered=self._offered,
            typed=typed,
            asks_for=chat.exchanges[-1].reply.asks_for if chat.exchanges else "",
            waits=any(exchange.waits for exchange in chat.exchanges),
            ran_in=self._bots.ran_in if self._bots else None,
        )

    def _bot(self, given: Mapping[str, str]) -> str:
        slug = given.get("bot", "")
        return slug if slug in self._offered else next(iter(self._offered))

    def _known(self, chat_id: str) -> Chat:
        return self._chats.get(chat_id) or abort(404)
