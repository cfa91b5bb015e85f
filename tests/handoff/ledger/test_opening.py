"""The ledger at start: a fault is logged, and the function starts nevertheless."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from handoff.bootstrap import open_ledger, open_writer
from handoff.ledger import LedgerMissing
from handoff.settings import DeliverySettings, LedgerAddress, read_ledger
from tests.endpoints import environ, open_endpoint
from tests.factories import request
from tests.ledger_factories import NOW


def test_a_ledger_that_cannot_be_opened_is_logged_at_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Requests get a ticket without the ledger, or an answer to try again."""
    nowhere = tmp_path / "nowhere"
    with open_endpoint("http://127.0.0.1:9", nowhere) as endpoint:
        (line,) = [record for record in caplog.records if record.getMessage() == "ledger down"]
        assert line.levelno == logging.ERROR
        assert f"there is no directory {nowhere}" in line.__dict__["error"]
        _, status, _ = endpoint(request())
    assert status == 503


def test_a_ledger_that_answers_is_not_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is opened at start, so the file exists before the first request."""
    with open_endpoint("http://127.0.0.1:9", tmp_path):
        assert (tmp_path / "handoffs.db").is_file()
    assert "ledger down" not in [record.getMessage() for record in caplog.records]


def test_a_relative_path_is_the_same_file_from_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep started in another folder uses the function's ledger."""
    here = read_ledger({"LEDGER_URL": "sqlite:///handoffs.db"})
    monkeypatch.chdir(tmp_path)
    assert read_ledger({"LEDGER_URL": "sqlite:///handoffs.db"}) == here
    assert Path(here.name).is_absolute()


def test_a_missing_ledger_is_reported_if_it_may_not_be_created(tmp_path: Path) -> None:
    """Both for the ledger alone and for a delivery with one."""
    address = LedgerAddress(store="sqlite", name=str(tmp_path / "handoffs.db"))
    settings = DeliverySettings.read(environ(ledger=tmp_path / "handoffs.db"))
    for ledger in (open_ledger(address, create=False), open_writer(settings, create_ledger=False).ledger):
        with pytest.raises(LedgerMissing):
            ledger.due(NOW, 5)
    assert list(tmp_path.iterdir()) == []
