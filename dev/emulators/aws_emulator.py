"""An AWS account on loopback: moto's server, and the one resource of ours that it cannot make.

moto 5.2.5 has no CloudFormation for `AWS::Lambda::Url`, and keeps a stack's outputs and exports as they were
before a change set. Both are corrected here; otherwise osls shows no URL and now and then fails to remove.

    python -m dev.emulators.aws_emulator      prints its address, serves until its standard input closes
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from moto.awslambda.models import lambda_backends
from moto.cloudformation.models import CloudFormationBackend
from moto.core.common_models import CloudFormationModel
from moto.server import ThreadedMotoServer

if TYPE_CHECKING:
    from collections.abc import Callable

URL_PROPERTIES = ("AuthType", "Cors", "InvokeMode")


class FunctionUrl(CloudFormationModel):
    """`AWS::Lambda::Url`, by moto's own function URL calls."""

    __module__ = "moto.awslambda.models"  # moto names the service after the module

    def __init__(self, backend: Any, function_arn: str, config: Any) -> None:
        self.backend = backend
        self.function_arn = function_arn
        self.config = config

    @property
    def physical_resource_id(self) -> str:
        """As in CloudFormation: the function's ARN."""
        return self.function_arn

    @staticmethod
    def cloudformation_name_type() -> str:
        """No property names it."""
        return ""

    @staticmethod
    def cloudformation_type() -> str:
        """Under this type moto looks the class up."""
        return "AWS::Lambda::Url"

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        """Return True for what `!GetAtt` may ask for."""
        return attr in {"FunctionUrl", "FunctionArn"}

    def get_cfn_attribute(self, attribute_name: str) -> str:
        """Answer `!GetAtt`."""
        return f"{self.config.url}/" if attribute_name == "FunctionUrl" else self.function_arn

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **kwargs: Any
    ) -> FunctionUrl:
        """Make the URL."""
        del resource_name, kwargs  # the names are moto's
        wanted = cloudformation_json["Properties"]
        backend, arn = lambda_backends[account_id][region_name], wanted["TargetFunctionArn"]
        settings = {name: wanted[name] for name in URL_PROPERTIES if name in wanted}
        return cls(backend, arn, backend.create_function_url_config(arn, settings))

    @classmethod
    def update_from_cloudformation_json(
        cls, original_resource: FunctionUrl, _name: str, cloudformation_json: Any, *_account: str
    ) -> FunctionUrl:
        """Change it in place."""
        original_resource.config.update(cloudformation_json["Properties"])
        return original_resource

    @classmethod
    def delete_from_cloudformation_json(cls, resource_name: str, _json: Any, *account: str) -> None:
        """Do nothing: moto deletes in no fixed order, and the URL goes with its function."""


def refresh_outputs(execute: Callable[..., None]) -> Callable[..., None]:
    """Wrap `execute_change_set` so that outputs and exports are those of the new template."""

    def execute_and_refresh(self: Any, *arguments: Any, **named: Any) -> None:
        execute(self, *arguments, **named)
        for stack in self.stacks.values():
            stack._parse_template()  # noqa: SLF001 - moto offers no other way
            stack.output_map = stack._create_output_map()  # noqa: SLF001 - as above
            self.exports.update({export.name: export for export in stack.exports})

    return execute_and_refresh


def main() -> None:
    """Serve on a free port until standard input closes."""
    corrected = refresh_outputs(CloudFormationBackend.execute_change_set)
    setattr(CloudFormationBackend, "execute_change_set", corrected)  # noqa: B010 - mypy forbids to assign a method
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    print(f"http://{host}:{port}", flush=True)
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main()
