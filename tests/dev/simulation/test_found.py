"""What the proofs found, each as the shortest test that shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from urllib3.exceptions import NewConnectionError

from dev.local_freshdesk import LocalFreshdesk
from dev.simulation.endpoints import ROUTING
from dev.simulation.freshdesk_model import FreshdeskModel, Limits
from dev.simulation.memory_ledger import MemoryLedger
from dev.simulation.scheduler import Scheduler
from dev.simulation.stories import body_of
from dev.simulation.wrapped_ledger import WrappedLedger
from freshdesk_client import Answer, FreshdeskClient, OutcomeUnknown, Request, Requester
from handoff.deadline import SystemClock
from handoff.delivery import Delivery
from handoff.helpdesk import HelpDesk
from handoff.inbound import Handoff, read_handoff
from handoff.ledger import Claim, Entry, LedgerUnavailable, State
from handoff.recovery import LookByAddress, Recovery
from handoff.responses import Status
from handoff.routing import MAIN_ACCOUNT
from handoff.transitions import Policy
from handoff.transport import RequestsTransport
from handoff.writer import TicketWriter
from tests.closing import sqlite_ledger
from tests.ledger_factories import with_parts

UNLIMITED = Limits(total=10**6, create=10**6, lists=10**6)


class World:
    """A rule over a modelled Freshdesk on the virtual clock."""

    def __init__(self, **parts: Any) -> None:
        self.clock = Scheduler()
        self.freshdesk = FreshdeskModel(self.clock, UNLIMITED)
        self.fails: Callable[[Request], bool] = lambda _: False
        self.ledger = MemoryLedger()
        self.timeouts: list[float] = []
        freshdesk = HelpDesk("https://betsur.freshdesk.com", FreshdeskClient(self._send), self.clock)
        helpdesks = {MAIN_ACCOUNT: freshdesk}
        rule: dict[str, Any] = {"helpdesks": helpdesks, "ledger": self.ledger, "clock": self.clock, **parts}
        owners = map(str, range(1000))
        self.rule = Delivery(
            TicketWriter(routing=ROUTING, new_owner=owners.__next__, jitter=lambda: 0.0, policy=Policy(), **rule)
        )

    def _send(self, request: Request, timeout_s: float) -> Answer:
        self.clock.sleep(0.1)
        self.timeouts.append(timeout_s)
        if self.fails(request):
            raise OutcomeUnknown("reset")
        return self.freshdesk.answer(request)

    def do(self, call: Callable[[], Any], *, after: float = 0.0) -> Any:
        """Run call on the virtual clock, so many seconds later, and return what it gives."""
        given: list[Any] = []
        self.clock.start(lambda: given.append(call()), after=after)
        self.clock.run(self.clock.elapsed_s + after + 60.0)
        return given[0]

    def row(self, handoff: Handoff) -> Entry:
        """Return the handoff's row."""
        return self.ledger.find(handoff.reference, now=self.clock.now())[0]

    def advance(self, handoff: Handoff, *, after: float = 0.0) -> Entry | None:
        """Let the sweep take up the handoff's row."""
        recovery = Recovery(self.rule.writer)
        done = self.do(lambda: recovery.advance(self.row(handoff), LookByAddress(self.rule.writer)), after=after)
        return done if isinstance(done, Entry) else None


class Down(WrappedLedger):
    """A ledger that refuses connections, until it is mended; at most a given number of calls."""

    calls = 10**6

    def claim(self, entry: Entry, *, now: float, tickets_an_hour: int) -> Claim:
        """Refuse, as botocore does under a store that is not there."""
        if type(self).calls <= 0:
            return self.inner.claim(entry, now=now, tickets_an_hour=tickets_an_hour)
        type(self).calls -= 1
        try:
            raise NewConnectionError(  # noqa: TRY301 -- the chain is the point
                None,  # type: ignore[arg-type]  # only its type matters
                "connection refused",
            )
        except NewConnectionError as error:
            raise LedgerUnavailable("down") from error


class DownForGood(Down):
    """Refuses for ever."""


class DownForAWhile(Down):
    """Refuses as often as a claim is tried at first."""

    calls = 4


def test_a_ledger_that_refuses_connections_does_not_colour_a_lost_answer(tmp_path: Path) -> None:
    """A POST whose answer is lost while the ledger is unreachable is in doubt, and not sent a second time."""
    with LocalFreshdesk(api_key="key") as stand_in:
        world = World()
        clock = SystemClock()
        freshdesk = HelpDesk(stand_in.url, FreshdeskClient(RequestsTransport(stand_in.url, "key")), clock)
        ledger = DownForGood(sqlite_ledger(tmp_path / "handoffs.db"))
        stand_in.weather("answer-lost", times=1, only="create", seconds=0)
        outcome = with_parts(world.rule, helpdesks={MAIN_ACCOUNT: freshdesk}, ledger=ledger, clock=clock).deliver(
            read_handoff(body_of(1))
        )
        assert len(stand_in.tickets()) == 1
        assert outcome.ticket_id == stand_in.tickets()[0]["id"]


def test_what_was_posted_without_the_ledger_is_kept_once_it_is_back() -> None:
    """The next copy hears of the same ticket, and is not a second one."""
    world = World()
    rule = with_parts(world.rule, ledger=DownForAWhile(world.ledger))
    handoff = read_handoff(body_of(1))
    first = world.do(lambda: rule.deliver(handoff))
    again = world.do(lambda: rule.deliver(handoff))
    assert (first.status, again.status) == (Status.CREATED, Status.DUPLICATE)
    assert len(world.freshdesk.tickets) == 1


def test_a_look_without_an_address_reads_to_the_end() -> None:
    """However many tickets followed: 6,000 later ones do not hide it."""
    world = World()
    handoff = read_handoff(body_of(1, user_email=None, user_phone="+54 9 11 5555-0000"))
    world.fails = lambda request: request.method == "GET"
    world.do(lambda: world.rule.writer.create_ticket(_claimed(world, handoff), handoff, world.rule.writer.deadline()))
    world.fails = lambda request: request.method == "POST"
    fields = {"subject": "another", "email": "a@example.com", "status": 2}
    world.clock.run(world.clock.elapsed_s + 1200)
    for _ in range(6000):
        world.freshdesk.create(fields)  # by hand, without their requests
    world.timeouts.clear()
    freshdesk = world.rule.writer.helpdesks[MAIN_ACCOUNT]
    since = world.row(handoff).look_from
    found = world.do(
        lambda: freshdesk.look(
            handoff.reference, world.rule.writer.deadline(), requester=Requester(), since=since, everywhere=True
        )
    )
    assert found == 1
    assert len(world.timeouts) < 75


def _claimed(world: World, handoff: Handoff) -> Entry:
    entry = world.rule._new_row(handoff)  # noqa: SLF001 -- the row as deliver makes it
    return world.ledger.claim(entry, now=world.clock.now(), tickets_an_hour=5).entry


def test_a_look_leaves_the_ledger_its_time() -> None:
    """No call to Freshdesk may take what the last write of the ledger needs within the deadline."""
    world = World()
    world.fails = lambda _: True
    world.do(lambda: world.rule.deliver(read_handoff(body_of(1))))
    assert world.timeouts[0] <= 9.5
    assert max(world.timeouts[1:]) <= 12.0 - 0.1 - 0.5 - 0.1


def test_a_doubt_is_looked_into_at_the_moment_it_ends() -> None:
    """A look that failed before does not sleep through that moment."""
    world = World()
    handoff = read_handoff(body_of(1))
    world.fails = lambda _: True
    world.do(lambda: world.rule.deliver(handoff))
    since = world.row(handoff).doubt_since
    assert since is not None
    for _ in range(8):
        world.advance(handoff, after=30.0)
    assert world.row(handoff).due_at == pytest.approx(since + 600.0)


def test_after_an_empty_look_only_what_came_later_is_in_question() -> None:
    """The second doubt of a row begins where the first was settled, so that its look stays short."""
    world = World()
    handoff = read_handoff(body_of(1))
    world.fails = lambda request: request.method == "POST"
    world.do(lambda: world.rule.deliver(handoff))
    after = world.advance(handoff, after=700.0)
    assert after is not None
    assert after.state is State.IN_DOUBT
    assert after.look_from >= after.created_at + 700.0


def test_one_flake_of_the_ledger_does_not_end_a_pass() -> None:
    """A row is written again where the answer to its write was lost."""
    world = World()

    class Flaky(WrappedLedger):
        left = 1

        def replace(self, old: Entry, new: Entry) -> bool:
            """Lose the first answer."""
            done = self.inner.replace(old, new)
            Flaky.left -= 1
            if Flaky.left == 0:
                raise LedgerUnavailable("after")
            return done

    handoff = read_handoff(body_of(1))
    _claimed(world, handoff)
    world.rule = with_parts(world.rule, ledger=Flaky(world.ledger))
    after = world.advance(handoff, after=700.0)
    assert after is not None
    assert after.state is State.CREATED


def test_a_correction_that_meets_the_sweep_is_not_forgotten() -> None:
    """Its words join the ticket as a note."""
    world = World()

    class Meets(WrappedLedger):
        def replace(self, old: Entry, new: Entry) -> bool:
            """Let the sweep be quicker."""
            return False if old.state is State.REJECTED else self.inner.replace(old, new)

    world.rule = with_parts(world.rule, ledger=Meets(world.ledger))
    good = read_handoff(body_of(1))
    world.do(lambda: world.rule.keep_refused(replace(good, user_email="", conversation_summary="sin correo")))
    outcome = world.do(lambda: world.rule.deliver(good))
    assert outcome.status is Status.QUEUED
    assert [row.is_note for row in world.ledger.find(good.reference, now=world.clock.now())] == [False, True]
