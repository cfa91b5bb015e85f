"""`schemas/openapi.yaml` and the function agree: the document is valid, and every example happens as described."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from dev.local_freshdesk import LocalFreshdesk
from handoff.inbound import SCHEMA_FILE, Handoff, InvalidHandoff, read_handoff, schema
from handoff.responses import PROBLEMS, Reply
from handoff.routing import MESSENGERS
from tests.endpoints import NOWHERE, Endpoint, open_endpoint
from tests.factories import SECRET, handoff, request

FILE = SCHEMA_FILE.with_name("openapi.yaml")
SPEC: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
POST = SPEC["paths"]["/"]["post"]
BODIES: dict[str, Any] = POST["requestBody"]["content"]["application/json"]["examples"]


def resolved(node: Any) -> Any:
    """Return node, or the part of this document that it refers to."""
    if "$ref" not in node:
        return node
    found: Any = SPEC
    for part in node["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return found


def answers() -> Iterator[tuple[str, str, str, dict[str, Any], dict[str, Any]]]:
    """Yield each example: method, status, its name, the example and the answer that it belongs to."""
    for method, operation in SPEC["paths"]["/"].items():
        for status, response in operation["responses"].items():
            described = resolved(response)
            content = next(iter(described["content"].values()))
            for name, example in content.get("examples", {}).items():
                yield method, status, name, example, described


EXAMPLES = [pytest.param(*example, id="-".join(example[:3])) for example in answers()]


def post(endpoint: Endpoint, name: str, change: dict[str, Any] | None = None) -> Reply:
    """Send the request example of that name."""
    return endpoint(request(raw=json.dumps({**BODIES[name]["value"], **(change or {})}).encode()))


def play(endpoint: Endpoint, freshdesk: LocalFreshdesk, method: str, name: str, how: dict[str, Any]) -> Reply:
    """Do what an example's `x-request` says, or send the request example with its name."""
    reference = how.get("reference")
    if "first" in how:
        reference = json.loads(post(endpoint, how["first"]).body)["reference"]
    for number in range(how.get("keys", 0)):  # two keys with the same beginning
        endpoint.delivery.deliver(handoff(key="B" * 8 + f"{number}" * 44, reason=f"{number}"))
    if "weather" in how:
        freshdesk.weather(how["weather"], seconds=30)
    if method == "get" or "method" in how:
        sent = {"method": how.get("method", "GET"), "path": f"/?reference={reference or ''}"}
        return endpoint(request(**sent, authorization=how.get("authorization", f"Bearer {SECRET}")))
    if "raw" in how or "bytes" in how or "authorization" in how:
        raw = how.get("raw", "x" * how.get("bytes", 0)).encode()
        media_type = how.get("content_type", "application/json")
        bearer = how.get("authorization", f"Bearer {SECRET}")
        return endpoint(request(raw=raw, content_type=media_type, authorization=bearer))
    return post(endpoint, how.get("body", name), how.get("change"))


def test_the_document_is_valid_openapi() -> None:
    """It fits the specification's schema, with every reference resolved, including the handoff's file."""
    validate(SPEC, base_uri=FILE.as_uri())


def test_the_handoff_is_described_once() -> None:
    """The document refers to the schema that the function checks with."""
    assert POST["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "handoff.schema.json"}
    assert json.loads((FILE.parent / "handoff.schema.json").read_text(encoding="utf-8")) == schema()


def test_exactly_the_statuses_of_the_contract_are_described() -> None:
    """The document lists them for each method."""
    described = {method: set(operation["responses"]) for method, operation in SPEC["paths"]["/"].items()}
    assert described == {
        "post": {"200", "201", "202", "400", "401", "405", "413", "415", "422", "503"},
        "get": {"200", "400", "401", "404", "405", "409", "503"},
    }


def test_every_problem_has_an_example() -> None:
    """It has its own title, detail and sentence."""
    shown = {
        example["value"]["code"]: example["value"] for _, _, _, example, _ in answers() if "code" in example["value"]
    }
    assert shown.keys() == PROBLEMS.keys()
    assert {code: (one["title"], one["detail"], one["status"]) for code, one in shown.items()} == {
        code: (kind.title, kind.detail, kind.status) for code, kind in PROBLEMS.items()
    }


@pytest.mark.parametrize("name", sorted(BODIES))
def test_every_request_example_is_valid_or_refused_as_described(name: str) -> None:
    """The schema accepts all of them except the one that shows a refusal."""
    try:
        read = read_handoff(BODIES[name]["value"], messengers=MESSENGERS)
    except InvalidHandoff:
        assert name == "bad-address"
    else:
        assert isinstance(read, Handoff)
        assert Draft202012Validator(schema()).is_valid(BODIES[name]["value"])


@pytest.mark.parametrize(("method", "status", "name", "example", "answer"), EXAMPLES)
def test_every_example_happens_as_described(
    tmp_path: Path,
    freshdesk: LocalFreshdesk,
    method: str,
    status: str,
    name: str,
    example: dict[str, Any],
    answer: dict[str, Any],
) -> None:
    """Sent to the function, each has the example's status, fields, sentence and headers, except for numbers."""
    how = example.get("x-request", {})
    url = NOWHERE if "everything" in how else freshdesk.url
    with open_endpoint(url, tmp_path) as endpoint:
        if "everything" in how:
            endpoint.delivery.writer.ledger.close()
            shutil.rmtree(tmp_path)
        reply = play(endpoint, freshdesk, method, name, how)
    got, shown = json.loads(reply.body), example["value"]
    assert (str(reply.status), reply.headers["Content-Type"]) == (status, next(iter(answer["content"])))
    assert got.keys() == shown.keys()
    varied = {"ticket_id", "ticket_url", "reference", "message"}
    assert {k: v for k, v in got.items() if k not in varied} == {k: v for k, v in shown.items() if k not in varied}
    filled = shown["message"].replace(str(shown.get("ticket_id")), str(got.get("ticket_id")))
    assert got["message"] == filled.replace(shown.get("reference", "-"), got.get("reference", "-"))
    must = set(answer.get("headers", {})) if (method, status) != ("get", "200") else set()
    assert must <= reply.headers.keys()


def test_every_example_fits_its_schema() -> None:
    """The schema is beside it in the document."""
    for _, _, _, example, answer in answers():
        node = next(iter(answer["content"].values()))["schema"]
        Draft202012Validator({**node, "components": SPEC["components"]}).validate(example["value"])
