"""Print the deployed settings as shell lines, so that ops.py works on the same ledger and help desk.

    eval "$(.venv/bin/python -m deploy.aws.stack_env)"        --stage NAME, --region NAME as in the deploy

It reads the stack, some of its function's settings, and the secret, with the operator's own AWS credentials. The lines
hold the Freshdesk key: let the shell eat them, as above, and do not print them.
"""

from __future__ import annotations

import argparse
import json
import shlex
from typing import Any, Final

import botocore.session

# Whoever waits less than the function could post a second time; whoever knows fewer hosts would refuse their files.
SHARED: Final = ("DEADLINE_S", "IN_DOUBT_WAIT_S", "ATTACHMENT_HOSTS")


def main() -> None:
    """Read the command line and print the lines."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--stage", default="prod")
    parser.add_argument("--region", default="us-east-1")
    options = parser.parse_args()
    for name, value in settings(options.stage, options.region).items():
        print(f"export {name}={shlex.quote(value)}")


def settings(stage: str, region: str) -> dict[str, str]:
    """Return the settings of a deployed stage by name; raises ClientError where AWS refuses."""
    session = botocore.session.get_session()
    secrets: Any = session.create_client("secretsmanager", region_name=region)
    stacks: Any = session.create_client("cloudformation", region_name=region)
    functions: Any = session.create_client("lambda", region_name=region)
    secret: dict[str, str] = json.loads(secrets.get_secret_value(SecretId=f"handoff/{stage}")["SecretString"])
    outputs = stacks.describe_stacks(StackName=f"handoff-{stage}")["Stacks"][0]["Outputs"]
    [table] = [output["OutputValue"] for output in outputs if output["OutputKey"] == "LedgerTable"]
    secret.pop("ALARM_EMAIL", None)
    environment = functions.get_function_configuration(FunctionName=f"handoff-{stage}-sweep")["Environment"][
        "Variables"
    ]
    shared = {name: environment[name] for name in SHARED if name in environment}
    return secret | shared | {"LEDGER_URL": f"dynamodb://{table}?region={region}"}


if __name__ == "__main__":
    main()
