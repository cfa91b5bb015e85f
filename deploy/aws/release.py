"""Gather a version's files in release/: the zip, its CloudFormation template, its chapter of CHANGELOG.md, checksums.

make release          packages first; git must have everything, and CHANGELOG.md a chapter of the version
"""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
from pathlib import Path
from typing import Final

from handoff.version import UNKNOWN, VERSION, git_commit

ROOT: Final = Path(__file__).resolve().parents[2]
NAME: Final = f"handoff-{VERSION}"


def main() -> None:
    """Fill release/ anew and print the checksums."""
    commit = git_commit(ROOT)
    if commit == UNKNOWN or commit.endswith("-dirty"):
        sys.exit(f"A release is made of a commit, so that it can be made again; this is {commit}. Commit first.")
    changes = chapter((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), VERSION)
    if not changes:
        sys.exit(f"CHANGELOG.md has no chapter [{VERSION}]: write it, or correct VERSION in handoff/version.py.")
    packaged = ROOT / ".serverless"
    out = ROOT / "release"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    shutil.copyfile(packaged / "handoff.zip", out / f"{NAME}.zip")
    shutil.copyfile(packaged / "cloudformation-template-update-stack.json", out / f"{NAME}.cloudformation.json")
    (out / f"{NAME}.changes.md").write_text(f"{changes}\n\nCommit: {commit}\n", encoding="utf-8")
    sums = checksums(out)
    (out / "SHA256SUMS").write_text(sums, encoding="utf-8")
    print(sums, end="")


def chapter(changelog: str, version: str) -> str:
    """Return the chapter of that version with its heading; empty if there is none."""
    found = re.search(rf"^## \[{re.escape(version)}\].*?(?=^## |^\[[^\]]+\]: |\Z)", changelog, re.MULTILINE | re.DOTALL)
    return found[0].strip() if found else ""


def checksums(folder: Path) -> str:
    """Return a line for each file of folder, as `sha256sum --check` reads them."""
    digests = [(hashlib.sha256(path.read_bytes()).hexdigest(), path.name) for path in sorted(folder.iterdir())]
    return "".join(f"{digest}  {name}\n" for digest, name in digests)


if __name__ == "__main__":
    main()
