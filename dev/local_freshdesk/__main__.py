"""`python -m dev.local_freshdesk`: the stand-in on its own, until Ctrl-C."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dev.local_freshdesk.bot import Bots
from dev.local_freshdesk.limits import CREATE_PER_MINUTE, TOTAL_PER_MINUTE
from dev.local_freshdesk.local import LocalFreshdesk
from operate.stopping import stopping


def main(arguments: list[str] | None = None) -> int:
    """Serve until Ctrl-C or SIGTERM; return 1 where the port is taken."""
    parser = argparse.ArgumentParser(prog="python -m dev.local_freshdesk", description=__doc__)
    add = parser.add_argument
    add("--port", type=int, default=8081, help="0 takes a free one (default 8081)")
    add("--db", type=Path, help="SQLite file to keep everything in (default: memory)")
    add("--total-per-minute", type=int, default=TOTAL_PER_MINUTE, help="rate limit of all requests")
    add("--create-per-minute", type=int, default=CREATE_PER_MINUTE, help="rate limit of new tickets")
    add("--function-url", default="http://127.0.0.1:8080/", help="where the chat page sends its handoffs")
    add("--secret", default="local-secret", help="the function's secret, for the chat page")
    options = parser.parse_args(arguments)
    bots = Bots.found_here(options.function_url, options.secret)
    freshdesk = LocalFreshdesk(options.port, options.db, bots=bots)
    freshdesk.limit(options.create_per_minute, options.total_per_minute)
    try:
        freshdesk.start()
    except OSError as error:
        freshdesk.close()
        problem = f"Port {options.port} cannot be used ({error.strerror}): choose another with --port."
        print(problem, file=sys.stderr)
        return 1
    with stopping() as asked_to_end:
        print(f"Freshdesk stand-in: {freshdesk.url}  (inbox /, chat /chat, weather /weather)", flush=True)
        asked_to_end.wait()
        freshdesk.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
