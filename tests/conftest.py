"""Fixtures for every test: no canary in any log line; a stand-in and a function on demand; hypothesis profiles."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from dev.local_freshdesk import LocalFreshdesk
from handoff.log import log_as_json
from tests.closing import AT_END
from tests.endpoints import Endpoint, open_endpoint
from tests.factories import API_KEY
from tests.leaks import LEAKS

# The same examples at every run, so that a failure means that something changed. `make fuzz` draws new ones.
settings.register_profile("default", max_examples=50, deadline=None, derandomize=True)
settings.register_profile("fuzz", max_examples=10_000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

LOGGERS = (logging.getLogger(), logging.getLogger("handoff"))


def pytest_configure() -> None:
    """Check all log records, as the function's handler formats them; let Ctrl-C reach the programs that tests start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as for a job in the background, and inherited by children
        signal.signal(signal.SIGINT, signal.default_int_handler)
    log_as_json(platform_formats=False)
    for logger in LOGGERS:
        logger.addHandler(LEAKS)


def pytest_unconfigure() -> None:
    """Stop checking."""
    for logger in LOGGERS:
        logger.removeHandler(LEAKS)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """Fail a test in which a log line contained personal data or a secret."""
    LEAKS.found.clear()
    yield
    assert LEAKS.found == []


@pytest.fixture(scope="session")
def aws() -> Iterator[None]:
    """Give botocore credentials, so that it does not look for any."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", "local")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "local")
        environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
        environment.delenv("AWS_ENDPOINT_URL", raising=False)
        yield


@pytest.fixture(scope="session")
def moto(aws: None) -> Iterator[str]:
    """Return the address of an emulated AWS, one for all tests: each makes its own table or stack."""
    del aws
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 -- takes a second that most runs do not need

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(autouse=True)
def _closed_at_end() -> Iterator[None]:
    """Close what the test opened with `closed_at_end`."""
    yield
    AT_END.close()


@pytest.fixture
def freshdesk() -> Iterator[LocalFreshdesk]:
    """Return a stand-in that allows any number of tickets."""
    with LocalFreshdesk(api_key=API_KEY) as running:
        running.limit(create_per_minute=1_000_000, total_per_minute=1_000_000)
        yield running


@pytest.fixture
def endpoint(freshdesk: LocalFreshdesk, tmp_path: Path) -> Iterator[Endpoint]:
    """Return the function with its own ledger, connected to the stand-in."""
    with open_endpoint(freshdesk.url, tmp_path) as opened:
        yield opened
