"""Both READMEs have the same content, their links work, and their commands run."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.serving import free_port

ROOT = Path(__file__).parent.parent.parent
READMES = ("README.md", "docs/README.es.md")
BOTH_LANGUAGES = (
    ("README.md", "docs/README.es.md"),
    ("botpress/README.md", "botpress/README.es.md"),
    ("docs/deploy.md", "docs/deploy.es.md"),
    ("docs/operate.md", "docs/operate.es.md"),
)
_FENCE = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)#]+?)(?:#[^)]*)?\)")

# These take minutes, or need Node.js or a browser: continuous integration runs them, as a test below checks.
IN_CI = (
    "make test",
    "make check",
    "make test-node",
    "make test-browser",
    "make test-deploy",
    "make test-install",
    "npm ci",
    "npx serverless package",
    "make simulate",
    "make outage",
    "make copies",
    "make crash",
    "make endings",
    "make bench",
    '.venv/bin/python -m pytest -n 2 -m "not node and not browser and not deploy and not install"',
)
INSTALLS = ("python3 -m venv .venv", ".venv/bin/python -m pip ")  # run by test_install.py


class Running(NamedTuple):
    """A running `make run`: its environment, its two ports, and its output."""

    env: dict[str, str]
    function_port: int
    freshdesk_port: int
    printed: str


def commands(name: str) -> list[str]:
    """Return the command lines of a README."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return [line for block in _FENCE.findall(text) for line in block.splitlines() if line.strip()]


def read_until(process: subprocess.Popen[str], mark: str) -> str:
    """Return the output of a process up to the line with mark."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if mark in line:
            break
    return "".join(lines)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The main job, started as `make run` starts it, on free ports and with separate data."""
    data = tmp_path_factory.mktemp("data")
    ports = free_port(), free_port()
    env = {**os.environ, "PORT": str(ports[0]), "FRESHDESK_PORT": str(ports[1])}
    command = [sys.executable, "-m", "dev.local_freshdesk.demo", "--data", str(data)]
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)
    printed = read_until(process, "Ctrl-C")
    own = {
        "FRESHDESK_URL": f"http://127.0.0.1:{ports[1]}",
        "FRESHDESK_API_KEY": "local-freshdesk-key",
        "WEBHOOK_SECRET": "local-secret",
        "LEDGER_URL": f"sqlite:///{data / 'handoffs.db'}",
    }
    yield Running({**os.environ, **own}, ports[0], ports[1], printed)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    process.stdout.close() if process.stdout else None


def run(command: str, running: Running) -> subprocess.CompletedProcess[str]:
    """Run a README's command against the running job."""
    here = command.replace("127.0.0.1:8080", f"127.0.0.1:{running.function_port}")
    here = here.replace(".venv/bin/python", sys.executable)
    return subprocess.run(
        ["bash", "-c", here], cwd=ROOT, env=running.env, capture_output=True, text=True, timeout=60, check=False
    )


def test_make_run_starts_the_demo() -> None:
    """`make run` starts the same launcher as the fixture, and nothing else."""
    printed = subprocess.run(["make", "-n", "run"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "python -m dev.local_freshdesk.demo" in printed


def test_the_main_job_prints_tickets_and_pages(running: Running) -> None:
    """The output has a ticket of each bot, and the URLs of the pages."""
    assert "betsur" in running.printed
    assert "institucional" in running.printed
    assert f"http://127.0.0.1:{running.freshdesk_port}/chat" in running.printed
    assert len(re.findall(r"201 created +ticket #\d+", running.printed)) == 2


@pytest.mark.parametrize("readme", READMES)
def test_the_curl_makes_a_ticket(readme: str, running: Running) -> None:
    """The README's handoff gets a ticket, and the same one when it is repeated."""
    line = next(command for command in commands(readme) if command.startswith("curl"))
    finished = run(line, running)
    assert '"ticket_id"' in finished.stdout
    assert '"group": "Retiros"' in finished.stdout


@pytest.mark.parametrize(
    "command", [line for line in commands("README.md") if " ops.py " in line and "--every" not in line]
)
def test_the_operators_commands_work(command: str, running: Running) -> None:
    """Each of the README's operator commands succeeds against the running job."""
    finished = run(command, running)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.strip()


def test_the_sweep_of_the_readme_runs_until_it_is_ended(running: Running) -> None:
    """`ops.py sweep --every` keeps running, and ends cleanly on request."""
    line = next(command for command in commands("README.md") if "--every" in command)
    arguments = line.replace(".venv/bin/python", sys.executable).split()
    process = subprocess.Popen(arguments, cwd=ROOT, env=running.env, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert "swept" in process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    process.stderr.close()


@pytest.mark.parametrize("readme", READMES)
def test_every_command_is_run_somewhere(readme: str) -> None:
    """By this file, by test_install.py or by continuous integration."""
    here = (*INSTALLS, "make run", "curl ", ".venv/bin/python ops.py ", ".venv/bin/python -m dev.local_freshdesk.demo")
    assert [line for line in commands(readme) if not line.startswith(here) and line not in IN_CI] == []


@pytest.mark.parametrize("command", IN_CI)
def test_continuous_integration_runs_the_rest(command: str) -> None:
    """Commands that take too long for this file are in the script of continuous integration."""
    assert command in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


@pytest.mark.parametrize(("english", "spanish"), BOTH_LANGUAGES)
def test_both_languages_have_the_same_content(english: str, spanish: str) -> None:
    """A text and its translation have the same headings, tables, commands and links."""
    shapes = [
        (
            re.findall(r"^(#+) ", text, re.MULTILINE),
            [line.count("|") for line in text.splitlines() if line.startswith("|")],
            re.findall(r"^```\w*", text, re.MULTILINE),
        )
        for text in ((ROOT / name).read_text(encoding="utf-8") for name in (english, spanish))
    ]
    assert shapes[0] == shapes[1]


def test_the_commands_are_the_same_in_both_languages() -> None:
    """The Spanish README has exactly the commands of the English one."""
    assert commands("README.md") == commands("docs/README.es.md")


@pytest.mark.parametrize("name", ["README.md", "docs/README.es.md"])
def test_the_readme_names_the_exceptions_of_answers_and_refusals(name: str) -> None:
    """Two URLs have no JSON; a refused request needs an address to become a ticket; an endless body is not kept."""
    promise = next(part for part in (ROOT / name).read_text(encoding="utf-8").split("\n\n") if "RFC 9457" in part)
    for exception in (
        "`/robots.txt`",
        "`/favicon.ico`",
        "`fallback_requester`",
        "`ops.py list --state rejected`",
        "10 MB",
    ):
        assert exception in promise


def test_the_controls_in_the_proofs_are_counted_correctly() -> None:
    """The page has the number of rows above that of the product."""
    text = (ROOT / "docs" / "proofs.md").read_text(encoding="utf-8")
    above = text.partition("| --- |")[2].partition("| **the product**")[0].count("--without")
    assert f"the {('nine', 'ten', 'eleven')[above - 9]} rows above" in text


def texts() -> list[str]:
    """Return the Markdown files in git."""
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.split("\n") if name and (ROOT / name).exists()]


@pytest.mark.parametrize("name", texts())
def test_every_link_works(name: str) -> None:
    """A link to a file of this project has that file as its target."""
    links = _LINK.findall((ROOT / name).read_text(encoding="utf-8"))
    ours = [link for link in links if "://" not in link and not link.startswith("mailto:")]
    assert [link for link in ours if not (ROOT / name).parent.joinpath(link).exists()] == []
