"""Fixtures: the Node packages, and each card with each axios."""

from __future__ import annotations

import fcntl
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.botpress.cards import CARDS, NODE_PACKAGES, QUICK, Card

# Cloud does not document its axios version, so both; v12 bundles the old one.
PAIRS = [("cloud", "axios"), ("cloud", "axios-old"), ("v12", "axios-old")]


@pytest.fixture(scope="session")
def node_packages() -> Path:
    """Install the pinned packages of tests/botpress/node once, in whichever worker comes first."""
    with (Path(tempfile.gettempdir()) / "handoff-node-packages.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (NODE_PACKAGES / "node_modules" / "axios").exists():
            subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=NODE_PACKAGES, check=True, timeout=100)
    return NODE_PACKAGES


@pytest.fixture(params=["axios", "axios-old"])
def axios(request: pytest.FixtureRequest, node_packages: Path) -> str:
    """Give the current axios, and the oldest one still in use."""
    assert (node_packages / "node_modules" / request.param).exists()
    return str(request.param)


@pytest.fixture
def cloud(tmp_path: Path, axios: str) -> Card:
    """Give the Cloud card with short waits, under each axios."""
    text = CARDS["cloud"].read_text(encoding="utf-8")
    return Card(mode="cloud", text=text, folder=tmp_path, axios=axios).edited(QUICK["cloud"])


@pytest.fixture(params=PAIRS, ids=" ".join)
def card(request: pytest.FixtureRequest, tmp_path: Path, node_packages: Path) -> Card:
    """Give either card with short waits, under each axios it may run with."""
    mode, axios = request.param
    assert (node_packages / "node_modules" / axios).exists()
    text = CARDS[mode].read_text(encoding="utf-8")
    return Card(mode=mode, text=text, folder=tmp_path, axios=axios).edited(QUICK[mode])


@pytest.fixture(params=PAIRS, ids=" ".join)
def real(request: pytest.FixtureRequest, tmp_path: Path, node_packages: Path) -> Card:
    """Give either card with its own time-outs and a short pause, under each axios it may run with."""
    mode, axios = request.param
    assert (node_packages / "node_modules" / axios).exists()
    text = CARDS[mode].read_text(encoding="utf-8")
    return Card(mode=mode, text=text, folder=tmp_path, axios=axios).edited({"PAUSE_MS = 2000": "PAUSE_MS = 40"})


@pytest.fixture
def plain(tmp_path: Path) -> Card:
    """Give the Cloud card with short waits, under the harness's own axios, which needs no packages."""
    text = CARDS["cloud"].read_text(encoding="utf-8")
    return Card(mode="cloud", text=text, folder=tmp_path, axios="built-in").edited(QUICK["cloud"])
