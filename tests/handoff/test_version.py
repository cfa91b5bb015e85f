"""The running code has a version, a commit and the files of a release."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.aws.release import chapter, checksums
from handoff.version import BUILD_FILE, VERSION, build_info, commit, git_commit

ROOT = Path(__file__).parents[2]


def git(folder: Path, *words: str) -> str:
    """Run git in folder without a user; return its output."""
    command = ["git", "-c", "user.name=A", "-c", "user.email=a@example.com", "-C", str(folder), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository with one commit, which ignores build.json."""
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text(f"{BUILD_FILE}\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "Begin")
    return tmp_path


def test_a_commit_is_shown_by_its_first_digits(repository: Path) -> None:
    """A clean work tree has its commit, whatever an older package left in build.json."""
    (repository / BUILD_FILE).write_text('{"commit": "older"}')
    assert commit(repository) == git(repository, "rev-parse", "HEAD")[:12]


@pytest.mark.parametrize("name", [".gitignore", "new.py"])
def test_a_changed_or_new_file_is_marked(repository: Path, name: str) -> None:
    """A package with changes that were not committed cannot be made again."""
    (repository / name).write_text(f"{BUILD_FILE}\n#\n")
    assert git_commit(repository).endswith("-dirty")


def test_a_package_knows_its_commit(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Without .git, build.json counts; the same commit gives the same bytes twice."""
    package = tmp_path_factory.mktemp("package")
    (package / BUILD_FILE).write_text(build_info(repository))
    assert commit(package) == git_commit(repository)
    assert build_info(repository) == build_info(repository)


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '"x"'])
def test_without_a_commit_the_function_starts(tmp_path: Path, text: str | None) -> None:
    """With no build.json, or a broken one."""
    if text is not None:
        (tmp_path / BUILD_FILE).write_text(text)
    assert commit(tmp_path) == git_commit(tmp_path) == "unknown"


def test_with_a_broken_repository_the_function_starts(tmp_path: Path) -> None:
    """Even if git cannot read .git."""
    (tmp_path / ".git").write_text("nonsense")
    assert commit(tmp_path) == "unknown"


def test_the_operator_can_read_the_version() -> None:
    """`ops.py --version` needs no settings; `handoff.version` prints the contents of build.json."""
    command = [sys.executable, "ops.py", "--version"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert shown == f"{VERSION} ({commit()})\n"
    command = [sys.executable, "-m", "handoff.version"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert shown == f"{build_info()}\n"


def test_the_changelog_has_a_chapter_for_this_version() -> None:
    """Otherwise `make release` refuses."""
    changes = chapter((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), VERSION)
    assert changes.startswith(f"## [{VERSION}]")


def test_a_chapter_ends_where_the_next_begins() -> None:
    """It does not include other chapters or the links at the end; 1.0.0 does not match 1x0x0."""
    text = (
        "# C\n\n## [1x0x0]\n\n- a\n\n## [1.0.0] - 2026\n\n- b [c]\n\n## [0.9.0]\n\n- d\n\n[1.0.0]: https://x.example\n"
    )
    assert chapter(text, "1.0.0") == "## [1.0.0] - 2026\n\n- b [c]"
    assert chapter(text, "0.9.0") == "## [0.9.0]\n\n- d"
    assert chapter(text, "2.0.0") == ""


def test_the_checksums_can_be_verified(tmp_path: Path) -> None:
    """One line for each file, in order, in the format of sha256sum."""
    for name in ("b", "a"):
        (tmp_path / name).write_text(name)
    expected = [f"{hashlib.sha256(name.encode()).hexdigest()}  {name}\n" for name in ("a", "b")]
    assert checksums(tmp_path) == "".join(expected)
