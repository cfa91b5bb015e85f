"""How a row begins, and its state after each attempt."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from handoff import transitions
from handoff.inbound import Handoff
from handoff.ledger import ROW_LIFETIME_S, Cause, Entry, State
from handoff.routing import Route
from handoff.transitions import BACKOFF_MAX_S, Created, InDoubt, Policy, Refused, Unavailable
from tests.factories import EMAIL, PHONE, handoff, route
from tests.ledger_factories import NOW, entry

POLICY = Policy()
LATER = NOW + 1000.0


def settled(row: Entry, attempt: Any, *, jitter: float = 0.0) -> Entry:
    """Settle a row some time after its claim."""
    return transitions.settled(row, attempt, now=LATER, jitter=jitter, policy=POLICY)


def claimed(**overrides: Any) -> Entry:
    """Return the row of a handoff at its claim."""
    return transitions.claimed(handoff(**overrides), route(), owner="one", now=NOW, policy=POLICY)


def test_a_claimed_row_has_everything_that_is_needed_later() -> None:
    """The sweep can finish the row of a dead caller: the handoff, its times, and its route."""
    made = handoff(language="es-AR", conversation_id="c")
    assert transitions.claimed(made, route(account="norte"), owner="one", now=NOW, policy=POLICY) == Entry(
        reference="BF-7K3QX2AB",
        entry=made.key,
        state=State.CREATING,
        owner="one",
        created_at=NOW,
        due_at=NOW + 60.0,
        give_up_at=NOW + 72 * 3600.0,
        expires_at=NOW + 30 * 86_400.0,
        lifetime_s=30 * 86_400.0,
        handoff=made.to_json(),
        fingerprint=made.fingerprint,
        person=made.person,
        identity=made.identity.to_text(),
        mailbox=made.mailbox,
        conversation=made.conversation,
        matter=made.matter,
        named=made.named,
        words=made.words,
        bot="betsur",
        category="retiros",
        account="norte",
        group="Retiros",
        priority="high",
        language="es",
    )


@pytest.mark.parametrize(
    ("named", "shown"),
    [({"group": "", "group_id": 7}, "7"), ({"group": "", "group_id": None}, ""), ({"group": "G"}, "G")],
)
def test_a_group_is_shown_by_name_or_number(named: dict[str, Any], shown: str) -> None:
    """The operator sees the name if the routing file has one."""
    assert transitions.claimed(handoff(), route(**named), owner="one", now=NOW, policy=POLICY).group == shown


def test_a_refused_row_waits_for_a_correction() -> None:
    """It is due after a quarter of an hour."""
    row = transitions.quarantined(claimed(), now=NOW, policy=POLICY)
    assert (row.state, row.refused, row.due_at, row.error) == (State.REJECTED, True, NOW + 900.0, "invalid-handoff")


def test_a_note_has_its_own_row() -> None:
    """It belongs to its handoff's account, and counts for no person and no conversation."""
    row = transitions.noted(claimed(), replace(claimed(), account="otra"))
    assert row.entry == f"{handoff().key}#{handoff().fingerprint}"
    assert (row.is_note, row.person, row.conversation, row.reference) == (True, "", "", handoff().reference)
    assert row.account == "otra"
    assert not claimed().is_note


def test_a_ticket_ends_the_wait_and_erases_the_data() -> None:
    """The personal data is removed, and the row lives as long as its key is valid."""
    row = settled(replace(claimed(), doubt_since=NOW, attempts=2, lifetime_s=50.0), Created(7))
    assert (row.state, row.ticket_id, row.error, row.attempts) == (State.CREATED, 7, "", 3)
    assert (row.handoff, row.due_at, row.doubt_since, row.expires_at) == ("", None, None, LATER + 50.0)
    assert row.version == claimed().version + 1
    assert not row.waiting
    assert claimed().waiting


def test_a_ticket_remembers_the_fields_it_lacks() -> None:
    """The fields that Freshdesk refused are named, in order."""
    row = settled(claimed(), Created(7, frozenset({"type", "group_id"}), 1))
    assert (row.dropped, row.rung, row.error) == (("group_id", "type"), 1, "without: group_id, type")


@pytest.mark.parametrize(
    ("result", "cause", "wait_s"),
    [
        (Refused("409"), Cause.REFUSED, 15.0),
        (Refused("409", rung=3), Cause.REFUSED, 15.0),
        (Refused("409", rung=4), Cause.REFUSED, 3600.0),
        (Refused("401", of_content=False), Cause.ACCOUNT, 15.0),
    ],
)
def test_a_refusal_is_tried_again(result: Refused, cause: Cause, wait_s: float) -> None:
    """The account may be corrected, or Freshdesk may change; the simplest form is tried every hour."""
    row = settled(claimed(), result)
    assert (row.state, row.cause, row.due_at) == (State.NOT_CREATED, cause, LATER + wait_s)
    assert (row.rung, row.error) == (result.rung, f"refused: {result.detail}")


def test_a_ticket_that_was_not_made_is_tried_again() -> None:
    """There is certainly no ticket: the row is due after the back-off, and not in doubt."""
    row = settled(entry(doubt_since=NOW, attempts=3), Unavailable(Cause.UNAVAILABLE, "unreachable"))
    assert (row.state, row.due_at, row.doubt_since) == (State.NOT_CREATED, LATER + 120.0, None)
    assert (row.error, row.attempts) == ("unreachable", 4)


@pytest.mark.parametrize(("wait", "due"), [(34.0, 34.0), (0.0, 0.0), (3600.0, 3600.0)])
def test_retry_after_is_respected(wait: float, due: float) -> None:
    """`Retry-After` replaces the back-off, with a little jitter."""
    assert settled(entry(attempts=9), Unavailable(Cause.RATE_LIMIT, "busy", wait)).due_at == LATER + due
    assert (
        settled(entry(attempts=9), Unavailable(Cause.RATE_LIMIT, "busy", wait), jitter=0.5).due_at == LATER + due + 2.5
    )


def test_a_doubt_has_a_time() -> None:
    """There may be a ticket: the doubt begins at the end of the call that may have written it."""
    row = settled(entry(), InDoubt("status 500"))
    assert (row.state, row.doubt_since, row.due_at) == (State.IN_DOUBT, LATER, LATER + 15.0)
    assert (row.error, row.attempts) == ("status 500", 1)


def test_a_refused_address_moves_to_the_other_data() -> None:
    """The person may correct it; if not, the ticket is made without it, and the agent still sees it."""
    row = settled(replace(claimed(user_phone=PHONE), doubt_since=NOW), Refused("400 email", address="email"))
    kept = Handoff.from_json(row.handoff)
    assert (row.state, row.refused, row.due_at, row.doubt_since) == (State.REJECTED, True, LATER + 900.0, None)
    assert (row.error, row.attempts) == ("refused: email", 1)
    assert (kept.user_email, kept.user_phone, kept.other) == ("", PHONE, (("user_email (?)", EMAIL),))


def test_a_search_without_result_keeps_the_time_of_the_doubt() -> None:
    """If each search restarted the wait, the doubt would never end."""
    row = transitions.postponed(
        entry(doubt_since=NOW, state=State.CREATING), until=LATER, cause=Cause.WAITING, error="waiting"
    )
    assert (row.state, row.doubt_since, row.due_at, row.error) == (State.IN_DOUBT, NOW, LATER, "waiting")
    assert (row.attempts, row.version) == (1, 2)


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"state": State.REJECTED}, True),
        ({"state": State.FAILED, "refused": True}, True),
        ({"state": State.FAILED, "refused": True, "doubt_since": NOW}, False),
        ({"state": State.FAILED}, False),
        ({"state": State.NOT_CREATED, "refused": True}, False),
    ],
)
def test_a_refused_row_certainly_has_no_ticket(changes: dict[str, Any], *, refused: bool) -> None:
    """A row given up in doubt may have a ticket; one given up without doubt has none."""
    assert transitions.is_refused(entry(**changes)) is refused


def test_a_row_has_the_route_of_its_ticket() -> None:
    """Bot, category, account, group (by number if it has no name) and priority."""
    way = Route(bot="b", bot_name="B", account="otra", category="c", label="C", priority="low", group_id=7)
    expected = {"bot": "b", "category": "c", "account": "otra", "group": "7", "priority": "low"}
    assert transitions.routed_to(way) == expected
    assert transitions.routed_to(replace(way, group="Pagos"))["group"] == "Pagos"
    assert transitions.routed_to(replace(way, group_id=None))["group"] == ""


def test_a_correction_replaces_the_refused_request() -> None:
    """The row has the new handoff, and its version is one higher."""
    new = claimed(reason="corrected")
    assert transitions.corrected(entry(version=4, refused=True), new) == replace(new, version=5)


@pytest.mark.parametrize(
    ("before", "state", "doubt"),
    [
        ({"state": State.FAILED}, State.NOT_CREATED, None),
        ({"state": State.FAILED, "doubt_since": NOW}, State.IN_DOUBT, NOW),
        ({"state": State.NOT_CREATED}, State.NOT_CREATED, None),
        ({"state": State.IN_DOUBT, "doubt_since": NOW}, State.IN_DOUBT, NOW),
        ({"state": State.CREATING, "due_at": NOW + 60}, State.IN_DOUBT, NOW + 60),
        ({"state": State.REJECTED, "refused": True}, State.REJECTED, None),
        ({"state": State.FAILED, "refused": True}, State.REJECTED, None),
        ({"state": State.FAILED, "refused": True, "doubt_since": NOW}, State.IN_DOUBT, NOW),
    ],
)
def test_a_reopened_row_is_due_at_once(before: dict[str, Any], state: State, doubt: float | None) -> None:
    """A row in doubt stays in doubt: its ticket is searched for first."""
    row = transitions.reopened(entry(**before), now=LATER, policy=POLICY)
    assert (row.state, row.doubt_since, row.due_at) == (state, doubt, LATER)
    assert row.give_up_at == LATER + 72 * 3600.0


@pytest.mark.parametrize(
    ("before", "doubt"),
    [
        ({"state": State.NOT_CREATED}, None),
        ({"state": State.IN_DOUBT, "doubt_since": NOW}, NOW),
        ({"state": State.CREATING, "due_at": NOW + 60}, NOW + 60),
    ],
)
def test_a_row_that_is_given_up_stays_in_doubt(before: dict[str, Any], doubt: float | None) -> None:
    """A dead caller may have made its ticket, so that a reopened row must be searched for first."""
    row = transitions.given_up(entry(handoff="kept", **before), owner="two", due_at=LATER)
    assert (row.state, row.due_at, row.doubt_since, row.handoff) == (State.FAILED, LATER, doubt, "kept")
    reopened = transitions.reopened(row, now=LATER, policy=POLICY)
    assert reopened.state == (State.NOT_CREATED if doubt is None else State.IN_DOUBT)


def test_the_back_off_doubles_up_to_its_maximum() -> None:
    """From 15 s to 15 minutes; jitter takes up to half, and the number of attempts has no limit."""
    assert [transitions.backoff_s(n, 0.0) for n in range(8)] == [15, 30, 60, 120, 240, 480, 900, 900]
    assert transitions.backoff_s(10_000, 0.0) == BACKOFF_MAX_S
    assert transitions.backoff_s(1, 0.5) == 22.5
    assert transitions.backoff_s(1, 1.0) == 15.0


def test_a_row_lives_for_thirty_days() -> None:
    """The privacy notice says so."""
    assert ROW_LIFETIME_S == 30 * 24 * 3600


@pytest.mark.parametrize(
    ("state", "after"),
    [
        (State.CREATING, State.NOT_CREATED),
        (State.NOT_CREATED, State.NOT_CREATED),
        (State.REJECTED, State.REJECTED),
    ],
)
def test_a_note_that_could_not_be_added_is_tried_again(state: State, after: State) -> None:
    """The row stays a note with one more attempt, and is never posted as a ticket by mistake."""
    row = transitions.unmade(
        entry(state=state, attempts=3), until=LATER, cause=Cause.UNAVAILABLE, error="note: time-out"
    )
    assert (row.state, row.attempts, row.due_at, row.error) == (after, 4, LATER, "note: time-out")
