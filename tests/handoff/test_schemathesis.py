"""Schemathesis against the running function, over `schemas/openapi.yaml`, with all its checks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from dev.local_freshdesk import LocalFreshdesk
from tests.factories import API_KEY, SECRET
from tests.handoff.test_contract import FILE
from tests.serving import serve

EXAMPLES = min(430, 2 * settings().max_examples)  # with `make fuzz` about a thousand requests in all

# E-mail addresses must be able to get mail; the tool's own examples have reserved names in them.
schemathesis.openapi.format("email", st.from_regex(r"\A[a-z]{1,20}[0-9]{0,3}@example\.(?:com|org)\Z"))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run the function with a stand-in that allows any number of tickets."""
    with LocalFreshdesk(api_key=API_KEY) as freshdesk:
        freshdesk.limit(create_per_minute=1_000_000, total_per_minute=1_000_000)
        with serve(freshdesk.url, tmp_path_factory.mktemp("served")) as served:
            yield served.url


CHECKS = {
    "not_a_server_error": {"expected-statuses": ["2xx", "4xx"]},
    "positive_data_acceptance": {"expected-statuses": ["2xx", "404"]},  # 404: a valid reference that does not exist
    "negative_data_rejection": {"expected-statuses": ["400", "401", "404", "405", "413", "415", "422"]},
}
# The tool invents these cases while pytest collects, for ten seconds and in every worker: `make fuzz` and CI do it.
PHASES = {"coverage": {"enabled": settings().max_examples > settings.get_profile("default").max_examples}}
CONTRACT = schemathesis.openapi.from_path(
    FILE, config=schemathesis.Config.from_dict({"checks": CHECKS, "phases": PHASES})
)


@pytest.mark.timeout(600)  # for a busy machine, and `make fuzz`
@CONTRACT.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_function_keeps_its_contract(case: Any, url: str) -> None:
    """Valid requests are answered as the document says, and invalid ones are refused."""
    case.call_and_validate(base_url=url, headers={"Authorization": f"Bearer {SECRET}"})
