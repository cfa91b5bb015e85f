"""The commands and their options, with their help."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Final

from handoff.ledger import State
from handoff.sweep import BUDGET_S
from handoff.version import VERSION, commit
from operate.auditing import audit
from operate.checking import check
from operate.discarding import discard
from operate.forgetting import forget
from operate.listing import list_rows, show_row
from operate.operator import Operator
from operate.previewing import preview
from operate.retrying import STATES, retry_rows
from operate.routes import show_routes
from operate.spans import read_span
from operate.sweeping import sweep_rows

Run = Callable[[argparse.Namespace, Operator], int]

SETTINGS: Final = """\
settings (environment; the same as the function's, but WEBHOOK_SECRET is never needed):
  LEDGER_URL         where the handoffs are: sqlite:///path/to/file.db or dynamodb://table?region=sa-east-1
  FRESHDESK_URL      https://<your account>.freshdesk.com
  FRESHDESK_API_KEY  the key of an agent who sees every ticket
  ROUTING_FILE       routing.toml, if it is not the one beside ops.py
"""
STATUSES: Final = """\
exit status:
  0    all is well
  1    there is something to fix; it was printed
  2    a wrong option, a wrong file or a wrong setting
  3    the ledger or Freshdesk did not answer
  130  interrupted with Ctrl-C
"""
_FIRST: Final = """\
a day with it:
  python ops.py routes          after a change in routing.toml: is it right?
  python ops.py check           does Freshdesk know every group, type and field in it?
  python ops.py list --state failed --state rejected
  python ops.py audit           has every handoff exactly one ticket?
"""
_SHORT: Final = {
    "check": "compare routing.toml and the settings with Freshdesk",
    "routes": "show where each category goes; find faults in routing.toml",
    "preview": "show the ticket a handoff would become, without sending it",
    "list": "list handoffs by state and age",
    "show": "show all that is known of one handoff",
    "retry": "make handoffs due at once that wait or were given up",
    "sweep": "process what is due, once or again and again",
    "audit": "compare the ledger with Freshdesk: one ticket each?",
    "discard": "remove a handoff without a ticket, as a person decided",
    "forget": "erase a person from the ledger",
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    top = argparse.ArgumentParser(
        prog="python ops.py",
        description="The operator's commands of the Botpress → Freshdesk handoff.",
        epilog=f"{_FIRST}\n{SETTINGS}\n{STATUSES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action=_Version, nargs=0, help="show the version and its commit, and exit")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for add in (_check, _routes, _preview, _list, _show, _retry, _sweep, _audit, _discard, _forget):
        add(commands)
    return top


class _Version(argparse.Action):
    """Asks git only if the version is requested, unlike argparse's own action."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print the version and end the process."""
        sys.stdout.write(f"{VERSION} ({commit()})\n")
        parser.exit()


_Commands = argparse._SubParsersAction  # noqa: SLF001 -- argparse has no public name for the type


def _command(
    commands: _Commands[argparse.ArgumentParser],
    name: str,
    run: Run,
    about: str,
    needs: str,
    examples: Sequence[str],
) -> argparse.ArgumentParser:
    shown = "\n".join(f"  python ops.py {name}{' ' if example else ''}{example}" for example in examples)
    command = commands.add_parser(
        name,
        help=_SHORT[name],
        description=about,
        epilog=f"needs: {needs}\n\nexamples:\n{shown}\n\n{STATUSES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--json", action="store_true", help="print JSON for a program instead of a table")
    command.set_defaults(run=run)
    return command


def _check(commands: _Commands[argparse.ArgumentParser]) -> None:
    about = """\
Compare routing.toml with Freshdesk: the key and what it may see, every group, type, product, source, agent and
custom field of every route, the fields the account requires, the fallback requester; and whether the ledger
answers. Any agent's key will do; nothing is written. Each fault names the line of routing.toml to correct."""
    needs = "FRESHDESK_URL, FRESHDESK_API_KEY (and FRESHDESK_API_KEY_<NAME> of each [desks.NAME]), LEDGER_URL"
    _command(commands, "check", check, about, needs, ("", "--json"))


def _routes(commands: _Commands[argparse.ArgumentParser]) -> None:
    about = """\
Show where each category of each bot goes, and what an unknown one gets. Of a broken file, show every fault with
its line. It needs no key and no network."""
    command = _command(commands, "routes", show_routes, about, "nothing (ROUTING_FILE)", ("", "new-routing.toml"))
    command.add_argument("file", nargs="?", metavar="FILE", help="a routing file; default ROUTING_FILE or routing.toml")


def _preview(commands: _Commands[argparse.ArgumentParser]) -> None:
    about = """\
Show the ticket that a handoff would become: subject, requester, group, priority, tags, description; its reference
and key; what would be cut, masked or put under "Otros datos". Sends nothing. Of a handoff that would be refused,
show every fault. It prints what the file holds, the person's data included."""
    examples = ("handoff.json", "handoff.json --html", "- < handoff.json")
    command = _command(commands, "preview", preview, about, "nothing (ROUTING_FILE)", examples)
    command.add_argument("file", metavar="FILE.json", help="the body as the bot sends it; - reads standard input")
    command.add_argument("--html", action="store_true", help="write it as a page to a temporary file, and open that")
    command.add_argument("--idempotency-key", default="", metavar="KEY", help="the header's value, if the bot sends it")


def _list(commands: _Commands[argparse.ArgumentParser]) -> None:
    about = """\
List the handoffs of the ledger, the oldest first: reference, state, bot, category, age, attempts, when it is due,
its ticket, and why the last attempt ended as it did. Never anything a person wrote."""
    examples = ("", "--state failed --state rejected", "--state in_doubt --older-than 30m", "--bot betsur --json")
    command = _command(commands, "list", list_rows, about, "LEDGER_URL", examples)
    _state(command, tuple(State), "only rows in this state; may be repeated")
    command.add_argument(
        "--older-than", type=read_span, default=0.0, metavar="SPAN", help="only rows of this age: 45s, 30m, 12h, 3d"
    )
    command.add_argument("--bot", default="", help="only this bot's rows, by its slug in routing.toml")


def _show(commands: _Commands[argparse.ArgumentParser]) -> None:
    about = """\
Show all that is known of one handoff and of the notes that follow it, and what will happen next. The person's data
is not shown, only whether it is still held."""
    command = _command(commands, "show", show_row, about, "LEDGER_URL", ("BF-7K3QX2AB", "7k3qx2ab --json"))
    command.add_argument("reference", metavar="REFERENCE", help="as in the ticket's subject or the bot's answer")


def _retry(commands: _Commands[argparse.ArgumentParser]) -> None:
    about = """\
Make handoffs due at once that wait, or that were given up after 72 hours. The next sweep takes them. It cannot make
a second ticket: what is in doubt is still looked for first, and what has a ticket is left alone. With REFERENCE and
--now it also looks for a second ticket in Freshdesk, and names both."""
    examples = ("BF-7K3QX2AB", "BF-7K3QX2AB --now", "--all --state failed")
    command = _command(commands, "retry", retry_rows, about, "LEDGER_URL; with --now all that sweep needs", examples)
    command.add_argument("reference", nargs="?", metavar="REFERENCE", help="one handoff and its notes")
    command.add_argument(
        "--all", action="store_true", help="every row without a ticket, but those that may yet be corrected"
    )
    _state(command, STATES, "with --all: only rows in this state; may be repeated")
    command.add_argument("--now", action="store_true", help="run a sweep at once, and show what came of it")
    _budget(command)


def _sweep(commands: _Commands[argparse.ArgumentParser]) -> None:
    about = """\
Process what is due: create what is not created, look for what is in doubt, make a ticket of what was refused.
One pass, or one every so many seconds until SIGINT or SIGTERM. Any number may run at once. The log goes to standard
error, one JSON object a line. No ledger is made: with --every it waits until the function has made its own."""
    examples = ("", "--every 30", "--every 30 --budget 120 --json")
    needs = "FRESHDESK_URL, FRESHDESK_API_KEY, LEDGER_URL; DEADLINE_S and IN_DOUBT_WAIT_S as the function has them"
    command = _command(commands, "sweep", sweep_rows, about, needs, examples)
    command.add_argument("--every", type=_seconds, metavar="SECONDS", help="go on, with this pause between passes")
    _budget(command)


def _audit(commands: _Commands[argparse.ArgumentParser]) -> None:
    about = """\
Compare the ledger with Freshdesk, spam and deleted tickets included: handoffs whose ticket is gone, handoffs with two
tickets (and which to merge), handoffs of any age that nobody tries any more, tickets with a reference the ledger does
not know. Tickets per handoff must be exactly 1. Reads only; obeys the rate limit and leaves a fifth of it to live
requests."""
    needs = "FRESHDESK_URL, FRESHDESK_API_KEY, LEDGER_URL"
    command = _command(commands, "audit", audit, about, needs, ("", "--days 2", "--json"))
    command.add_argument("--days", type=_days, default=30.0, metavar="N", help="handoffs of the last N days (30)")


def _discard(commands: _Commands[argparse.ArgumentParser]) -> None:
    about = """\
Remove a handoff without a ticket, and its notes: nobody tries it any more, and nobody answers the person. Shows its
state, its age and the cause; with --yes removes it. What has its ticket or is being sent is kept."""
    command = _command(commands, "discard", discard, about, "LEDGER_URL", ("BF-7K3QX2AB", "BF-7K3QX2AB --yes"))
    command.add_argument("reference", metavar="REFERENCE", help="as `list` shows it")
    command.add_argument("--yes", action="store_true", help="remove it; without, it is only shown")


def _forget(commands: _Commands[argparse.ArgumentParser]) -> None:
    about = """\
Erase a person from the ledger. Handoffs that have a ticket, or may have one, lose the words and the hashes that stand
for the person; key, reference and number stay, so that a repeat does not become a second ticket. Handoffs that
certainly have none are erased whole. What waits never becomes a ticket then: that needs --yes. The contact and its
tickets in Freshdesk must be deleted there; backups keep what they hold."""
    command = _command(commands, "forget", forget, about, "LEDGER_URL", ("ana@example.com", "ana@example.com --yes"))
    command.add_argument(
        "email",
        metavar="EMAIL",
        help="the person's e-mail address, telephone as the bot sent it, or BOT:USER_ID",
    )
    command.add_argument("--yes", action="store_true", help="erase waiting handoffs too, though they had no answer yet")


def _state(command: argparse.ArgumentParser, states: Sequence[State], which: str) -> None:
    def read(text: str) -> State:
        if text not in states:
            raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(states)}")
        return State(text)

    about = f"{which}: {', '.join(states)}"
    command.add_argument("--state", action="append", type=read, metavar="STATE", help=about)


def _budget(command: argparse.ArgumentParser) -> None:
    about = f"seconds a pass may take ({BUDGET_S:g})"
    command.add_argument("--budget", type=_seconds, default=BUDGET_S, metavar="S", help=about)


def _seconds(text: str) -> float:
    return _number(text, 0.1, 86_400.0, "seconds")


def _days(text: str) -> float:
    return _number(text, 0.01, 30.0, "days: rows with a ticket live no longer")


def _number(text: str, least: float, most: float, what: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not least <= number <= most:
        raise argparse.ArgumentTypeError(f"{text!r} must be a number from {least:g} to {most:g} ({what})")
    return number
