"""The stack as CloudFormation will get it: rights, limits, alarms, secrets, and the dearest month."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from deploy.aws.shipped import shipped_files
from deploy.aws.worst_month import worst_month
from handoff.sweep import BUDGET_S
from handoff.transitions import Policy
from tests.deploy.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.deploy.conftest import Package

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(300)]

Resources = dict[str, Any]
LEASE_S = Policy().lease_s
TABLE = {"Fn::GetAtt": ["Ledger", "Arn"]}
INDEXES = [{"Fn::Sub": "${Ledger.Arn}/index/due"}, {"Fn::Sub": "${Ledger.Arn}/index/conversation"}]


@pytest.fixture
def resources(package: Package) -> Resources:
    """The compiled template's resources."""
    found: Resources = package.template["Resources"]
    return found


def properties(resources: Resources, kind: str) -> dict[str, dict[str, Any]]:
    """Return the properties of every resource of one type, by its name."""
    return {name: one.get("Properties", {}) for name, one in resources.items() if one["Type"] == kind}


def environment(resources: Resources) -> dict[str, Any]:
    """Return the functions' environment; it is one for both."""
    functions = properties(resources, "AWS::Lambda::Function").values()
    found = [endpoint["Environment"]["Variables"] for endpoint in functions]
    assert len(found) == 2
    assert found[0] == found[1]
    first: dict[str, Any] = found[0]
    return first


def test_cfn_lint_finds_nothing(package: Package) -> None:
    """CloudFormation's own schemas and rules have nothing to say, not even an informational one."""
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--", str(package.template_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0)


def test_the_functions_may_do_only_what_the_ledger_does(resources: Resources) -> None:
    """The role reaches one table and its two indexes, its own logs and the alarms' topic."""
    role = resources["IamRoleLambdaExecution"]["Properties"]
    statements = role["Policies"][0]["PolicyDocument"]["Statement"]
    logs, rest = statements[:2], statements[2:]
    assert all("/aws/lambda/handoff-prod*" in resource["Fn::Sub"] for one in logs for resource in one["Resource"])
    assert {action for one in logs for action in one["Action"]} == {
        "logs:CreateLogStream",
        "logs:CreateLogGroup",
        "logs:TagResource",
        "logs:PutLogEvents",
    }
    assert [(one["Action"], one["Resource"]) for one in rest] == [
        (["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"], TABLE),
        (["dynamodb:Query"], INDEXES),
        ("sns:Publish", {"Ref": "Alarms"}),
    ]
    assert "ManagedPolicyArns" not in role


def test_the_role_covers_what_the_ledger_calls(resources: Resources) -> None:
    """Each operation in the code is allowed, but the operator's two, which no shipped module asks for."""
    code = (ROOT / "handoff/ledger/dynamodb.py").read_text()
    called = {word.replace("_", "") for word in re.findall(r'"((?:\w+_)?(?:item|items|query|scan))"', code)}
    policy = resources["IamRoleLambdaExecution"]["Properties"]["Policies"][0]["PolicyDocument"]
    actions = {action.removeprefix("dynamodb:").lower() for action in policy["Statement"][2]["Action"]}
    # A transaction needs what its puts need:
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html
    assert called - {"scan", "deleteitem", "transactwriteitems"} == actions
    shipped = [(ROOT / name).read_text() for name in shipped_files(ROOT) if name.endswith(".py")]
    assert not [text for text in shipped if re.search(r"ledger\.(each|delete)\(", text)]


def test_a_call_ends_before_its_lease_and_before_the_card_gives_up(resources: Resources) -> None:
    """Past its lease a handoff may be taken over; past 20 s the bot has stopped listening."""
    deadline = float(environment(resources)["DEADLINE_S"])
    timeout = resources["CreateTicketLambdaFunction"]["Properties"]["Timeout"]
    assert deadline + 5 <= timeout <= 20 < LEASE_S


def test_a_sweep_ends_its_last_delivery(resources: Resources) -> None:
    """The budget, which a pass keeps to the last row, fits into the time Lambda gives, and that into the lease."""
    timeout = resources["SweepLambdaFunction"]["Properties"]["Timeout"]
    assert BUDGET_S + 5 <= timeout <= LEASE_S


def test_the_sweep_runs_every_minute(resources: Resources) -> None:
    """A waiting handoff is at most a minute late; a failed pass is not run again, the next one is due."""
    rule = resources["SweepEventsRuleSchedule1"]["Properties"]
    config = resources["SweepLambdaEvConf"]["Properties"]
    assert (rule["ScheduleExpression"], rule["State"]) == ("rate(1 minute)", "ENABLED")
    assert config["MaximumRetryAttempts"] == 0
    assert config["DestinationConfig"]["OnFailure"]["Destination"] == {"Ref": "Alarms"}


def test_the_table_keeps_what_it_is_told(resources: Resources) -> None:
    """It outlives the stack, can be brought back to any second, is encrypted, and forgets after its time."""
    table = resources["Ledger"]
    settings = table["Properties"]
    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert settings["BillingMode"] == "PAY_PER_REQUEST"
    assert settings["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert settings["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert settings["SSESpecification"] == {"SSEEnabled": True}


def test_the_table_has_the_ledgers_keys(resources: Resources) -> None:
    """Keys and indexes are those that handoff/ledger/dynamodb.py reads by."""
    settings = resources["Ledger"]["Properties"]
    kinds = {one["AttributeName"]: one["AttributeType"] for one in settings["AttributeDefinitions"]}

    def key(part: dict[str, Any]) -> list[tuple[str, str]]:
        return [(one["AttributeName"], kinds[one["AttributeName"]]) for one in part["KeySchema"]]

    assert key(settings) == [("reference", "S"), ("entry", "S")]
    assert {index["IndexName"]: key(index) for index in settings["GlobalSecondaryIndexes"]} == {
        "due": [("due_lane", "S"), ("due_at", "N")],
        "conversation": [("conversation", "S"), ("created_at", "N")],
    }
    assert {i["Projection"]["ProjectionType"] for i in settings["GlobalSecondaryIndexes"]} == {"ALL"}


def test_the_url_is_public_in_both_ways_aws_asks_for(resources: Resources) -> None:
    """Since October 2025 a new URL needs two permissions; with one of them it answers 403."""
    permissions = properties(resources, "AWS::Lambda::Permission").values()
    public = [one for one in permissions if one["Principal"] == "*"]
    assert {one["Action"] for one in public} == {"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"}
    assert all(one.get("FunctionUrlAuthType") == "NONE" or one.get("InvokedViaFunctionUrl") for one in public)
    url = resources["CreateTicketLambdaFunctionUrl"]["Properties"]
    assert (url["AuthType"], "Cors" in url) == ("NONE", False)


def test_secrets_are_only_named(package: Package, resources: Resources) -> None:
    """The template, and so the bucket, holds where a secret lies, never what it is."""
    variables = environment(resources)
    for name in ("FRESHDESK_URL", "FRESHDESK_API_KEY", "WEBHOOK_SECRET"):
        assert variables[name] == f"{{{{resolve:secretsmanager:handoff/prod:SecretString:{name}}}}}"
    named = re.findall(r"\{\{resolve:[^}]*\}\}", package.template_path.read_text())
    assert {one.rsplit(":", 1)[0] for one in named} == {"{{resolve:secretsmanager:handoff/prod:SecretString"}


def test_the_settings_are_those_of_the_design(resources: Resources) -> None:
    """What is not secret stands in the file, and the table is this stack's own."""
    variables = environment(resources)
    assert variables["LEDGER_URL"] == {"Fn::Sub": "dynamodb://${Ledger}?region=${AWS::Region}"}
    assert (variables["DEADLINE_S"], variables["IN_DOUBT_WAIT_S"]) == ("12", "600")
    assert (ROOT / variables["ROUTING_FILE"]).exists()


def test_logs_are_json_and_kept_thirty_days(resources: Resources) -> None:
    """The metric filters read JSON; the log of a handoff lives as long as its row."""
    functions = properties(resources, "AWS::Lambda::Function").values()
    assert {one["LoggingConfig"]["LogFormat"] for one in functions} == {"JSON"}
    assert {one["RetentionInDays"] for one in properties(resources, "AWS::Logs::LogGroup").values()} == {30}


def alarms(resources: Resources) -> Iterator[tuple[str, dict[str, Any]]]:
    """Go through the alarms, by name."""
    found = properties(resources, "AWS::CloudWatch::Alarm")
    assert len(found) == 7
    yield from found.items()


def test_every_alarm_reaches_a_person(resources: Resources) -> None:
    """Each alarm notifies the topic when it begins and when it is over; the topic sends mail to an address."""
    for _name, alarm in alarms(resources):
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "Alarms"}]
    subscription = resources["Alarms"]["Properties"]["Subscription"]
    assert [one["Protocol"] for one in subscription] == ["email"]


def test_every_alarm_has_its_page(resources: Resources) -> None:
    """Both operator's manuals have a heading for each alarm, and the alarm's own text names it."""
    for name, alarm in alarms(resources):
        assert alarm["AlarmDescription"].endswith(f"docs/operate.md, {name}")
        for manual in ("operate.md", "operate.es.md"):
            assert f"### {name}\n" in (ROOT / "docs" / manual).read_text()


def test_every_alarm_watches_something_that_is_measured(resources: Resources) -> None:
    """An alarm on a metric nobody writes would stay quiet for ever."""
    filters = properties(resources, "AWS::Logs::MetricFilter").values()
    ours = {
        (metric["MetricNamespace"], metric["MetricName"]) for one in filters for metric in one["MetricTransformations"]
    }
    functions = {"CreateTicketLambdaFunction", "SweepLambdaFunction"}
    for _name, alarm in alarms(resources):
        if alarm["Namespace"] == "AWS/Lambda":
            assert {one["Value"]["Ref"] for one in alarm["Dimensions"]} <= functions
        else:
            assert (alarm["Namespace"], alarm["MetricName"]) in ours


def test_errors_of_both_functions_are_counted(resources: Resources) -> None:
    """The live calls and the sweep have a log group each."""
    filters = properties(resources, "AWS::Logs::MetricFilter").values()
    errors = [one for one in filters if one["FilterPattern"] == '{ $.level = "ERROR" }']
    assert {one["LogGroupName"]["Ref"] for one in errors} == {"CreateTicketLogGroup", "SweepLogGroup"}


def test_silence_is_an_alarm_only_for_the_sweep(resources: Resources) -> None:
    """A quiet night has no handoffs, but always a sweep."""
    loud = [name for name, alarm in alarms(resources) if alarm["TreatMissingData"] == "breaching"]
    assert loud == ["SweepSilent"]


def test_a_handoff_may_wait_half_an_hour(resources: Resources) -> None:
    """Longer than the wait for a doubtful ticket and one longest back-off, and not much longer."""
    alarm = resources["HandoffWaiting"]["Properties"]
    waits = float(environment(resources)["IN_DOUBT_WAIT_S"]) + 15 * 60
    assert waits < alarm["Threshold"] == 1800


def test_the_bill_is_bounded(resources: Resources) -> None:
    """Time, memory, the ledger's units: each has a ceiling, and the account's bill a mail."""
    for endpoint in properties(resources, "AWS::Lambda::Function").values():
        assert endpoint["Timeout"] <= 60
        assert endpoint["MemorySize"] <= 1024
    assert resources["CreateTicketLambdaFunction"]["Properties"]["Timeout"] <= 25
    table = resources["Ledger"]["Properties"]
    for part in [table, *table["GlobalSecondaryIndexes"]]:
        assert part["OnDemandThroughput"]["MaxWriteRequestUnits"] <= 200
        assert part["OnDemandThroughput"]["MaxReadRequestUnits"] <= 1000
    assert [*properties(resources, "AWS::Budgets::Budget")] == ["Bill"]


def test_concurrency_is_a_parameter_without_default(package: Package, resources: Resources) -> None:
    """A reservation can make the first deploy of a new account fail, so it is only made when asked for."""
    assert "ReservedConcurrentExecutions" not in resources["CreateTicketLambdaFunction"]["Properties"]
    path = ["--path", "functions.createTicket.reservedConcurrency"]
    command = ["npx", "--no-install", "serverless", "print", "--param=concurrency=10", *path]
    done = subprocess.run(command, cwd=package.project, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "10"


@pytest.mark.parametrize("manual", ["deploy.md", "deploy.es.md"])
@pytest.mark.parametrize("concurrency", [10, 1000])
def test_the_manual_names_the_dearest_month(package: Package, manual: str, concurrency: int) -> None:
    """The figure an owner reads is the one this template gives."""
    dollars = round(sum(worst_month(package.template, concurrency).values()))
    row = re.search(rf"^\| {concurrency} \|.*$", (ROOT / "docs" / manual).read_text(), re.MULTILINE)
    assert row
    assert str(dollars) in re.sub(r"\D", " ", row[0].replace(",", "").replace(".", "")).split()


def test_the_state_file_holds_no_secret_either(package: Package) -> None:
    """The framework writes its own view of the service beside the template."""
    state = json.loads((package.template_path.parent / "serverless-state.json").read_text())
    provider = state["service"]["provider"]
    assert provider["environment"]["WEBHOOK_SECRET"].startswith("{{resolve:secretsmanager:")
