"""Google gets the repository less what .gcloudignore keeps here; that alone must start and serve."""

from __future__ import annotations

import compileall
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import requests

from deploy.aws.shipped import shipped_files
from dev.local_freshdesk import LocalFreshdesk
from tests.deploy.conftest import NOT_COPIED, ROOT
from tests.serving import free_port, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HANDOFF = {
    "bot": "institucional",
    "user_email": "prensa@example.com",
    "category": "prensa",
    "conversation_summary": "Pide una entrevista.",
}


@pytest.fixture
def uploaded(tmp_path: Path) -> Path:
    """Return a clean folder with just the files that gcloud would send; git reads its list as gcloud does."""
    everything, clean = tmp_path / "everything", tmp_path / "clean"
    shutil.copytree(ROOT, everything, ignore=shutil.ignore_patterns(*NOT_COPIED, ".gitignore"))
    git = ["git", "-c", "core.excludesFile=/dev/null"]
    subprocess.run([*git, "init", "-q"], cwd=everything, check=True)
    listing = [*git, "ls-files", "--others", "-z", "--exclude-from=.gcloudignore"]
    names = subprocess.run(listing, cwd=everything, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        (clean / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(everything / name, clean / name)
    return clean


@contextmanager
def served(folder: Path, freshdesk: LocalFreshdesk, ledger: Path) -> Iterator[str]:
    """Serve the folder as Google's builder makes the container do."""
    port = free_port()
    env = {
        "PATH": os.environ["PATH"],
        "FUNCTION_TARGET": "create_ticket",
        "PORT": str(port),
        "HOST": "127.0.0.1",
        "FRESHDESK_URL": freshdesk.url,
        "FRESHDESK_API_KEY": "local-freshdesk-key",
        "WEBHOOK_SECRET": "local-secret",
        "LEDGER_URL": f"sqlite:///{ledger}",
    }
    command = [sys.executable, "-m", "functions_framework", "--host", "127.0.0.1"]
    with subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as server:
        try:
            wait_for(port, server)
            yield f"http://127.0.0.1:{port}/"
        finally:
            server.terminate()


def post(url: str, handoff: dict[str, Any]) -> tuple[int, Any]:
    """Send a handoff; give status and JSON."""
    answer = requests.post(url, json=handoff, headers={"Authorization": "Bearer local-secret"}, timeout=20)
    return answer.status_code, answer.json()


def test_just_what_serving_needs_is_sent(uploaded: Path) -> None:
    """The modules that main.py imports, their data, and the requirements: no test, no stand-in, no secret."""
    sent = {path.relative_to(uploaded).as_posix() for path in uploaded.rglob("*") if path.is_file()}
    assert sent == shipped_files(ROOT, "main") | {"requirements.txt"}


def test_googles_builder_can_compile_all_of_it(uploaded: Path) -> None:
    """The builder runs compileall over the upload and stops at a syntax error."""
    assert compileall.compile_dir(uploaded, quiet=2, force=True)


def test_what_was_sent_serves_a_handoff(uploaded: Path, tmp_path: Path) -> None:
    """Alone in a clean folder it starts under functions-framework and makes a ticket."""
    with LocalFreshdesk(port=0) as freshdesk, served(uploaded, freshdesk, tmp_path / "ledger.db") as url:
        status, answer = post(url, HANDOFF)
        tickets = freshdesk.tickets()
    assert (status, [ticket["id"] for ticket in tickets]) == (201, [answer["ticket_id"]])
