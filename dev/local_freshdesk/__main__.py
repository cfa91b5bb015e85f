"""`python -m dev.local_freshdesk`: the stand-in on its own, until Ctrl-C."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dev.local_freshdesk.bot import Bots
from dev.local_freshdesk.desk import DEFAULT_KEY
from dev.local_freshdesk.limits import Limits
from dev.local_freshdesk.local import LocalFreshdesk
from operate.stopping import stopping


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dev.local_freshdesk", description=__doc__)
    add = parser.add_argument
    add("--port", type=int, default=8081, help="0 takes a free one (default 8081)")
    add("--host", default="127.0.0.1", help="default 127.0.0.1: only this machine")
    add("--db", type=Path, help="SQLite file to keep everything in (default: memory)")
    add("--api-key", default=DEFAULT_KEY, help=f"the key the API wants (default {DEFAULT_KEY})")
    add("--profile", choices=("2026", "classic"), default="2026", help="which ticket sources the account has")
    add("--total-per-minute", type=int, default=700, help="rate limit of all requests")
    add("--create-per-minute", type=int, default=280, help="rate limit of new tickets")
    add(
        "--search-lag",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="how long new tickets hide from the search",
    )
    add("--function-url", default="http://127.0.0.1:8080/", help="where the chat page sends its handoffs")
    add("--secret", default="local-secret", help="the function's secret, for the chat page")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Serve until Ctrl-C or SIGTERM; 1 where the port is taken."""
    said = _options().parse_args(arguments)
    desk = LocalFreshdesk(
        port=said.port,
        db=said.db,
        api_key=said.api_key,
        host=said.host,
        profile=said.profile,
        limits=Limits(said.total_per_minute, said.create_per_minute),
        search_lag_s=said.search_lag,
        bots=Bots.found_here(said.function_url, said.secret),
    )
    try:
        desk.start()
    except OSError as error:
        desk.close()
        print(
            f"Port {said.port} cannot be used ({error.strerror}): choose another with --port.",
            file=sys.stderr,
        )
        return 1
    with stopping() as asked_to_end:
        print(f"Freshdesk stand-in: {desk.url}  (inbox /, chat /chat, weather /weather)", flush=True)
        asked_to_end.wait()
        desk.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
