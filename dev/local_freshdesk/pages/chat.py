"""The chat: a person and a bot, up to and past the Contacto node."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from flask import abort, jsonify, redirect, render_template, request

from dev.local_freshdesk.bot import Bots, Reply, Said, load_bots

if TYPE_CHECKING:
    from flask import Flask
    from flask.typing import ResponseReturnValue

    from dev.local_freshdesk.desk import HelpDesk

_REMEMBERED: Final = 200
_LONGEST: Final = 20_000
_TYPED: Final = ("category", "user_email", "user_name", "reason", "conversation_summary")


@dataclass(slots=True)
class Deadline:
    """One handing over: what was said, what came back, and what became of it later."""

    said: Said
    reply: Reply
    repeated: bool = False
    outcome: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Chat:
    """One conversation with a bot."""

    chat_id: str
    bot: str
    turns: list[Deadline] = field(default_factory=list)


class Chats:
    """`/chat` and the conversations under it; the last 200 are remembered."""

    def __init__(self, desk: HelpDesk, bots: Bots | None) -> None:
        self._desk = desk
        self._bots = bots
        self._offered = load_bots()
        self._lock = threading.Lock()
        self._chats: OrderedDict[str, Chat] = OrderedDict()

    def add_to(self, app: Flask) -> None:
        """Add the routes."""
        app.add_url_rule("/chat", "chat", self.begin)
        app.add_url_rule("/chat", "hand_over", self.hand_over, methods=["POST"])
        app.add_url_rule("/chat/<chat_id>", "conversation", self.show)
        app.add_url_rule("/chat/<chat_id>", "say_more", self.hand_over, methods=["POST"])
        app.add_url_rule("/chat/<chat_id>/again", "again", self.again, methods=["POST"])
        app.add_url_rule("/chat/<chat_id>/outcome", "outcome", self.outcome)

    def begin(self) -> ResponseReturnValue:
        """A new conversation: empty, or filled with a sample."""
        bot = self._bot(request.args.get("bot", ""))
        samples = self._offered[bot]["samples"]
        chosen = request.args.get("example", "")
        typed = samples[int(chosen) % len(samples)] if chosen.isascii() and chosen.isdigit() else {}
        return self._page(Chat("", bot), typed)

    def show(self, chat_id: str) -> ResponseReturnValue:
        """A conversation so far."""
        chat = self._known(chat_id)
        for turn in chat.turns:
            self._follow(turn)
        said = chat.turns[-1].said
        return self._page(chat, {name: getattr(said, name) for name in _TYPED})

    def hand_over(self, chat_id: str = "") -> ResponseReturnValue:
        """Send what was typed, as a new conversation or as a further message of one."""
        bots = self._bots or abort(503)
        chat = (
            self._known(chat_id) if chat_id else Chat(secrets.token_urlsafe(9), self._bot(request.form.get("bot", "")))
        )
        typed = {name: request.form.get(name, "")[:_LONGEST] for name in _TYPED}
        said = Said(
            bot=chat.bot,
            conversation_id=f"conv_{chat.chat_id}",
            message_id=_message_id(chat),
            **typed,
        )
        self._remember(chat, Deadline(said, bots.hand_over(said)))
        return redirect(f"/chat/{chat.chat_id}#ultimo", 303)

    def again(self, chat_id: str) -> ResponseReturnValue:
        """Send the last handoff once more, as Botpress does when it replays a message."""
        bots = self._bots or abort(503)
        chat = self._known(chat_id)
        said = chat.turns[-1].said
        self._remember(chat, Deadline(said, bots.hand_over(said), repeated=True))
        return redirect(f"/chat/{chat.chat_id}#ultimo", 303)

    def outcome(self, chat_id: str) -> ResponseReturnValue:
        """What became of the turns that got a reference only: for the page's script."""
        chat = self._known(chat_id)
        for turn in chat.turns:
            self._follow(turn)
        waiting = [turn for turn in chat.turns if _waits(turn)]
        return jsonify({"waiting": len(waiting)})

    def _follow(self, turn: Deadline) -> None:
        if self._bots and _waits(turn):
            turn.outcome = self._bots.became_of(turn.reply.reference)

    def _page(self, chat: Chat, typed: dict[str, Any]) -> ResponseReturnValue:
        last = chat.turns[-1] if chat.turns else None
        return render_template(
            "chat.html",
            here="chat",
            chat=chat,
            bot=self._offered[chat.bot],
            offered=self._offered,
            typed=typed,
            asks_for=last.reply.asks_for if last else "",
            waits=any(_waits(turn) for turn in chat.turns),
            ran_in=self._bots.ran_in if self._bots else None,
            function_url=self._bots.function_url if self._bots else None,
        )

    def _bot(self, slug: str) -> str:
        return slug if slug in self._offered else next(iter(self._offered))

    def _known(self, chat_id: str) -> Chat:
        with self._lock:
            return self._chats.get(chat_id) or abort(404)

    def _remember(self, chat: Chat, turn: Deadline) -> None:
        with self._lock:
            chat.turns.append(turn)
            self._chats[chat.chat_id] = chat
            self._chats.move_to_end(chat.chat_id)
            while len(self._chats) > _REMEMBERED:
                self._chats.popitem(last=False)


def _waits(turn: Deadline) -> bool:
    """Whether this turn has a reference and no ticket yet."""
    queued = turn.reply.status == 202 and bool(turn.reply.reference)  # noqa: PLR2004 - kept, the ticket will follow
    return queued and not turn.outcome.get("ticket_id")


def _message_id(chat: Chat) -> str:
    """A correction keeps its message: the request is the same until it is kept; after that it is a new one."""
    if chat.turns and chat.turns[-1].reply.asks_for:
        return chat.turns[-1].said.message_id
    return f"msg_{secrets.token_urlsafe(9)}"
