"""Run a command on one core: `python -m dev.bench.pinned CORE COMMAND…`; where the system cannot pin, just run it."""

import os
import sys


def main() -> None:
    """Pin this process, then become the command."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(sys.argv[1])})
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 -- the bench's own command, no shell wanted


if __name__ == "__main__":
    main()
