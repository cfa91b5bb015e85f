"""Was the promise kept? Counts tickets per story, and holds every answer against what is there."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from dev.simulation.endpoints import ROUTING
from dev.simulation.freshdesk_model import Ticket
from dev.simulation.stories import Story, every_word, number_in, numbers_in

DEADLINE_S: Final = 12.0
_OF_A_TICKET: Final = frozenset({200, 201})
_PROMISED: Final = frozenset({200, 201, 202, 400, 422})  # each of them says: we have it

Owned = Mapping[int, list[int]]  # a story's number → its tickets'


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer of the function, and how long it took."""

    story: int
    status: int
    body: dict[str, Any]
    took_s: float

    @property
    def ticket_id(self) -> int | None:
        """The ticket it names."""
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
    suspensions: int = 0
    slowest_s: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    broken: dict[int, str] = field(default_factory=dict)
    digest: int = 0

    @property
    def kept(self) -> bool:
        """Return True if the promise was kept, to the letter."""
        return not (self.lost or self.extra or self.false or self.late or self.words_lost)


def judge(stories: Sequence[Story], tickets: Sequence[Ticket], answers: Sequence[Answered]) -> Verdict:
    """Return the verdict on a history that has ended."""
    owned: dict[int, list[int]] = defaultdict(list)
    for ticket in tickets:
        owned[_owner(ticket)].append(ticket.ticket_id)
    joined = _joined(tickets)
    verdict = Verdict(len(stories), len(tickets))
    for story in stories:
        made = owned[story.number]
        verdict.extra += max(len(made) - 1, 0)
        if not made and joined[story.number]:  # as a note it may stand there twice
            owned[story.number] = joined[story.number]
            verdict.joined += 1
            continue
        verdict.lost += not made
        if len(made) != 1:
            verdict.broken[story.number] = f"{story.kind}: tickets {made or 'none'}"
    _hold_answers(verdict, answers, owned)
    answered = {answer.story for answer in answers if answer.status in _PROMISED}
    _look_for_words(verdict, [story for story in stories if story.number in answered], tickets, owned)
    return verdict


def _owner(ticket: Ticket) -> int:
    number = number_in(ticket.subject)
    return -1 if number is None else number


def _joined(tickets: Sequence[Ticket]) -> Owned:
    """Return the tickets of the fallback requester that have other stories as notes."""
    joined: dict[int, list[int]] = defaultdict(list)
    for ticket in tickets:
        if ticket.fields.get("email") == ROUTING.fallback_requester:
            for number in numbers_in(ticket.notes) - {_owner(ticket)}:
                joined[number].append(ticket.ticket_id)
    return joined


def _hold_answers(verdict: Verdict, answers: Sequence[Answered], owned: Owned) -> None:
    named: dict[int, set[int]] = defaultdict(set)
    for answer in answers:
        verdict.statuses[answer.status] += 1
        verdict.slowest_s = max(verdict.slowest_s, answer.took_s)
        if answer.took_s > DEADLINE_S + 1e-6:
            verdict.late += 1
            verdict.broken.setdefault(answer.story, f"answered after {answer.took_s:.3f} s")
        if answer.ticket_id is not None:
            named[answer.story].add(answer.ticket_id)
        if _is_false(answer, owned[answer.story], named[answer.story]):
            verdict.false += 1
            verdict.broken.setdefault(answer.story, f"answered {answer.status} {answer.body.get('ticket_id', '')}")


def _is_false(answer: Answered, own: list[int], named: set[int]) -> bool:
    """Return True if the answer names another's ticket, a second one, none where it should, or promises what is not."""
    if answer.ticket_id is None:
        return answer.status in _OF_A_TICKET or (answer.status in _PROMISED and not own)
    return answer.ticket_id not in own or len(named) > 1


def _look_for_words(verdict: Verdict, stories: Sequence[Story], tickets: Sequence[Ticket], owned: Owned) -> None:
    for number, words in every_word(stories):
        found = [tickets[ticket_id - 1] for ticket_id in owned[number]]
        texts = [str(ticket.fields["description"]) + "".join(ticket.notes) for ticket in found]
        if found and not any(words in text for text in texts):
            verdict.words_lost += 1
            verdict.broken.setdefault(number, f"words lost: {words}")
