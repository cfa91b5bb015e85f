"""The operator's shell gets the settings of what is deployed, not the defaults."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest

from deploy.aws.stack_env import settings

REGION = "us-east-1"
SECRET = {"FRESHDESK_URL": "https://betsur.freshdesk.com", "FRESHDESK_API_KEY": "key", "ALARM_EMAIL": "ops@example.com"}


def template(**environment: str) -> str:
    """Return a stack as serverless.yml makes it, as far as an operator's shell is concerned."""
    key = {"AttributeName": "reference"}
    table = {"KeySchema": [{**key, "KeyType": "HASH"}], "AttributeDefinitions": [{**key, "AttributeType": "S"}]}
    role = {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []}}
    endpoint = {
        "FunctionName": "handoff-test-sweep",
        "Handler": "lambda_handler.sweep",
        "Runtime": "python3.13",
        "Role": {"Fn::GetAtt": ["Role", "Arn"]},
        "Code": {"ZipFile": "def sweep(): ..."},
        "Environment": {"Variables": {"FRESHDESK_API_KEY": "an older one", **environment}},
    }
    resources = {
        "Ledger": {"Type": "AWS::DynamoDB::Table", "Properties": {"BillingMode": "PAY_PER_REQUEST", **table}},
        "Role": {"Type": "AWS::IAM::Role", "Properties": role},
        "Sweep": {"Type": "AWS::Lambda::Function", "Properties": endpoint},
    }
    return json.dumps({"Resources": resources, "Outputs": {"LedgerTable": {"Value": {"Ref": "Ledger"}}}})


@pytest.fixture
def account(moto: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Give CloudFormation in an emulated account that holds the secret."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    session = botocore.session.get_session()
    secrets: Any = session.create_client("secretsmanager", region_name=REGION)
    secrets.create_secret(Name="handoff/test", SecretString=json.dumps(SECRET))
    stacks: Any = session.create_client("cloudformation", region_name=REGION)
    yield stacks
    stacks.delete_stack(StackName="handoff-test")
    secrets.delete_secret(SecretId="handoff/test", ForceDeleteWithoutRecovery=True)


def test_the_shell_waits_as_long_as_the_function_and_knows_its_hosts(account: Any) -> None:
    """Who raised the wait in serverless.yml must not post too early from a laptop; the key is the secret's newest."""
    given = {"DEADLINE_S": "15", "IN_DOUBT_WAIT_S": "1800", "ATTACHMENT_HOSTS": "files.example.com"}
    account.create_stack(StackName="handoff-test", TemplateBody=template(**given))
    found = settings("test", REGION)
    assert found.pop("LEDGER_URL").startswith("dynamodb://handoff-test-Ledger-")
    shown = {name: value for name, value in SECRET.items() if name != "ALARM_EMAIL"}
    assert found == {**shown, **given}


def test_what_the_function_leaves_at_its_default_the_shell_does_too(account: Any) -> None:
    """A setting taken out of serverless.yml is none."""
    account.create_stack(StackName="handoff-test", TemplateBody=template())
    assert not {"DEADLINE_S", "IN_DOUBT_WAIT_S", "ATTACHMENT_HOSTS"} & set(settings("test", REGION))
