"""The version of this code, and its commit.

`python -m handoff.version` prints both as JSON; packaging keeps them in build.json, because a package has no .git.
"""

from __future__ import annotations

import functools
import json
import subprocess
from pathlib import Path
from typing import Final

VERSION: Final = "1.0.0"
ROOT: Final = Path(__file__).parent.parent
BUILD_FILE: Final = "build.json"
UNKNOWN: Final = "unknown"


@functools.cache
def commit(root: Path = ROOT) -> str:
    """Return git's commit of root, else the one in its build.json, else "unknown"."""
    if (root / ".git").exists():
        return git_commit(root)
    try:
        return str(json.loads((root / BUILD_FILE).read_text(encoding="utf-8"))["commit"])
    except (OSError, ValueError, LookupError, TypeError):
        return UNKNOWN


def git_commit(root: Path) -> str:
    """Return 12 digits of root's commit, with "-dirty" after them if a file differs; "unknown" without git."""
    if not (root / ".git").exists():
        return UNKNOWN
    try:
        head = _git(root, "rev-parse", "HEAD")[:12]
        return f"{head}-dirty" if _git(root, "status", "--porcelain") else head
    except (OSError, subprocess.SubprocessError):
        return UNKNOWN


def _git(root: Path, *words: str) -> str:
    command = ["git", "-C", str(root), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()


def build_info(root: Path = ROOT) -> str:
    """Return the contents of build.json: the same bytes for the same commit."""
    return json.dumps({"version": VERSION, "commit": git_commit(root)})


if __name__ == "__main__":
    print(build_info())
