"""Was the promise kept? Counts tickets per story, and holds every answer against what is there."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from dev.simulation.endpoints import ROUTING
from dev.simulation.stories import every_word, number_in, numbers_in

if TYPE_CHECKING:
    from dev.simulation.desk_model import Ticket
    from dev.simulation.history import History

DEADLINE_S: Final = 12.0
_TOLD_OF_A_TICKET: Final = frozenset({200, 201})
_PROMISED: Final = frozenset({200, 201, 202, 400, 422})  # each of them says: we have it


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer of the function, and how long it took."""

    story: int
    status: int
    body: dict[str, Any]
    took_s: float

    @property
    def ticket_id(self) -> int | None:
        """The ticket it told of."""
        found = self.body.get("ticket_id")
        return found if isinstance(found, int) else None


@dataclass(slots=True)
class Verdict:
    """What came of a history. `broken` names the stories to look into, with what is wrong.

    `joined` counts the stories past the hourly bound of the fallback requester: they are notes in its open ticket.
    """

    handoffs: int
    tickets: int
    joined: int = 0
    lost: int = 0
    extra: int = 0
    false: int = 0
    late: int = 0
    words_lost: int = 0
    kills: int = 0
    slowest_s: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    broken: dict[int, str] = field(default_factory=dict)
    digest: int = 0

    @property
    def kept(self) -> bool:
        """Tell whether the promise was kept, to the letter."""
        return not (self.lost or self.extra or self.false or self.late or self.words_lost)


def judge(history: History) -> Verdict:
    """Return the verdict on a history that has ended."""
    tickets: dict[int, list[int]] = defaultdict(list)
    for ticket in history.account.tickets:
        tickets[_owner(ticket.subject)].append(ticket.ticket_id)
    joined = _joined(history.account.tickets)
    verdict = Verdict(len(history.stories), len(history.account.tickets), kills=history.kills, digest=history.digest())
    for story in history.stories:
        made = tickets[story.number] = tickets[story.number] or joined[story.number]
        verdict.joined += made is joined[story.number] and bool(made)
        verdict.lost += not made
        verdict.extra += max(len(made) - 1, 0)
        if len(made) != 1:
            verdict.broken[story.number] = f"{story.kind}: tickets {made or 'none'}"
    _hold_answers(history, verdict, tickets)
    _look_for_words(history, verdict, tickets)
    return verdict


def _owner(subject: str) -> int:
    number = number_in(subject)
    return -1 if number is None else number


def _joined(tickets: list[Ticket]) -> dict[int, list[int]]:
    """Return the tickets of the fallback requester in which other stories are told as notes."""
    joined: dict[int, list[int]] = defaultdict(list)
    for ticket in tickets:
        if ticket.fields.get("email") == ROUTING.fallback_requester:
            for number in numbers_in(ticket.notes) - {_owner(ticket.subject)}:
                joined[number].append(ticket.ticket_id)
    return joined


def _hold_answers(history: History, verdict: Verdict, tickets: dict[int, list[int]]) -> None:
    told: dict[int, set[int]] = defaultdict(set)
    for answer in history.answers:
        verdict.statuses[answer.status] += 1
        verdict.slowest_s = max(verdict.slowest_s, answer.took_s)
        verdict.late += answer.took_s > DEADLINE_S + 1e-6
        if answer.took_s > DEADLINE_S + 1e-6:
            verdict.broken.setdefault(answer.story, f"answered after {answer.took_s:.3f} s")
        if answer.ticket_id is not None:
            told[answer.story].add(answer.ticket_id)
        if _is_false(answer, tickets[answer.story], told[answer.story]):
            verdict.false += 1
            verdict.broken.setdefault(answer.story, f"told {answer.status} {answer.body.get('ticket_id', '')}")


def _is_false(answer: Answered, own: list[int], told: set[int]) -> bool:
    """Tell whether the answer named another's ticket, a second one, none where it should, or promised what is not."""
    if answer.ticket_id is None:
        return answer.status in _TOLD_OF_A_TICKET or (answer.status in _PROMISED and not own)
    return answer.ticket_id not in own or len(told) > 1


def _look_for_words(history: History, verdict: Verdict, tickets: dict[int, list[int]]) -> None:
    answered = {answer.story for answer in history.answers if answer.status in _PROMISED}
    for number, words in every_word(history.stories):
        found = [history.account.tickets[ticket_id - 1] for ticket_id in tickets[number]]
        texts = [str(ticket.fields["description"]) + "".join(ticket.notes) for ticket in found]
        if number in answered and found and not any(words in text for text in texts):
            verdict.words_lost += 1
            verdict.broken.setdefault(number, f"words lost: {words}")
