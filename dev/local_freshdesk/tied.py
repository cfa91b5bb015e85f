"""`tied.py PARENT COMMAND…` becomes COMMAND, which the kernel kills when the process PARENT ends, however it ends.

Only Linux can do this. Elsewhere the command runs all the same, and whoever started it must end it.
"""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress

_PR_SET_PDEATHSIG = 1
_SIGKILL = 9  # importing signal would double the time this takes


def tie_to(parent: int) -> None:
    """Have this process killed when its parent ends; exit at once if the parent has ended already."""
    with suppress(AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    tie_to(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - the command of whoever called this
