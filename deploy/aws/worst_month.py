"""Count the dearest month the deployed stack can cause, from the limits in its own template.

    npx serverless package && python -m deploy.aws.worst_month

Each limit is taken as if it were reached every second of 31 days. Prices are AWS's list prices for us-east-1,
in US dollars, without the free tier; their pages are named beside them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Final

TEMPLATE: Final = Path(".serverless/cloudformation-template-update-stack.json")
SECONDS: Final = 31 * 86_400
MILLION: Final = 1_000_000

# https://aws.amazon.com/lambda/pricing/ (x86)
GB_SECOND: Final = 0.0000166667
INVOCATION: Final = 0.20 / MILLION
# A function answers at most ten calls a second for each copy it may have:
# https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
CALLS_PER_COPY_AND_SECOND: Final = 10
# https://aws.amazon.com/dynamodb/pricing/on-demand/ ; a gigabyte stored, and kept for point-in-time recovery
WRITE_UNIT: Final = 0.625 / MILLION
READ_UNIT: Final = 0.125 / MILLION
STORED_GB: Final = 0.25 + 0.20
# https://aws.amazon.com/cloudwatch/pricing/ ; a gigabyte taken in, and kept for a month
LOGGED_GB: Final = 0.50 + 0.03
ALARM: Final = 0.10
METRIC: Final = 0.30
LOG_KB_PER_CALL: Final = 0.6  # one JSON line for a call that is refused
# https://aws.amazon.com/secrets-manager/pricing/
SECRET: Final = 0.40


def main() -> None:
    """Read the template and print the bill."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--concurrency", type=int, default=10, help="handoffs at a time, as in the deploy")
    parser.add_argument("--template", type=Path, default=TEMPLATE)
    options = parser.parse_args()
    bill = worst_month(json.loads(options.template.read_text()), options.concurrency)
    for name, dollars in [*bill.items(), ("In all", sum(bill.values()))]:
        print(f"{name:<58} {dollars:>9,.2f}")


def worst_month(template: dict[str, Any], concurrency: int) -> dict[str, float]:
    """Return each part of the bill in US dollars, for so many handoffs at a time."""
    resources = template["Resources"]
    url = resources["CreateTicketLambdaFunction"]["Properties"]
    sweep = resources["SweepLambdaFunction"]["Properties"]
    kinds = [resource["Type"] for resource in resources.values()]
    calls = concurrency * CALLS_PER_COPY_AND_SECOND * SECONDS
    reads, writes = _units(resources["Ledger"]["Properties"])
    return {
        "Handoffs: every copy busy": concurrency * SECONDS * _gigabytes(url) * GB_SECOND,
        "Handoffs: calls": calls * INVOCATION,
        "Sweep: busy the whole minute, each minute": SECONDS * _gigabytes(sweep) * GB_SECOND,
        "Sweep: calls": SECONDS / 60 * INVOCATION,
        "Ledger: written at the ceiling": writes * SECONDS * WRITE_UNIT,
        "Ledger: read at the ceiling": reads * SECONDS * READ_UNIT,
        "Ledger: what that would store": writes * SECONDS / MILLION * STORED_GB,
        "Logs": calls * LOG_KB_PER_CALL / MILLION * LOGGED_GB,
        "Alarms": kinds.count("AWS::CloudWatch::Alarm") * ALARM,
        "Metrics": len(_metrics(resources)) * METRIC,
        "Secret": SECRET,
    }


def _gigabytes(function: dict[str, Any]) -> float:
    return float(function["MemorySize"]) / 1024


def _units(table: dict[str, Any]) -> tuple[int, int]:
    """Return read and write units a second, of the table and its indexes together; a unit is at most 1 kB."""
    ceilings = [part["OnDemandThroughput"] for part in [table, *table["GlobalSecondaryIndexes"]]]
    reads = sum(int(ceiling["MaxReadRequestUnits"]) for ceiling in ceilings)
    return reads, sum(int(ceiling["MaxWriteRequestUnits"]) for ceiling in ceilings)


def _metrics(resources: dict[str, Any]) -> set[str]:
    filters = [one["Properties"] for one in resources.values() if one["Type"] == "AWS::Logs::MetricFilter"]
    return {metric["MetricName"] for one in filters for metric in one["MetricTransformations"]}


if __name__ == "__main__":
    main()
