"""Log groups."""

# ruff: noqa: ARG002 - the protocol `Resource` fixes the arguments.
from typing import Any

from botocore.exceptions import ClientError

from lifecycle.rehearsal.provider.clients import Clients
from lifecycle.rehearsal.provider.resource import Properties, changed


class LogGroup:
    """A log group with its retention."""

    token = "aws:cloudwatch/logGroup:LogGroup"

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        self._clients["logs"].create_log_group(logGroupName=inputs["name"], tags=inputs.get("tags", {}))
        self._retain(inputs)
        found = self._find(inputs["name"]) or {}
        return inputs["name"], {"arn": _log_group_arn(found)}

    def read(self, resource_id: str) -> Properties | None:
        found = self._find(resource_id)
        if found is None:
            return None
        return {"name": resource_id, "retentionInDays": found.get("retentionInDays", 0), "arn": _log_group_arn(found)}

    def update(self, resource_id: str, old: Properties, new: Properties) -> Properties:
        self._retain(new)
        return {"arn": _log_group_arn(self._find(resource_id) or {})}

    def delete(self, resource_id: str) -> None:
        try:
            self._clients["logs"].delete_log_group(logGroupName=resource_id)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise

    def replaced_by(self, old: Properties, new: Properties) -> set[str]:
        return changed(old, new) & {"name", "namePrefix"}

    def _retain(self, inputs: Properties) -> None:
        if days := inputs.get("retentionInDays"):
            self._clients["logs"].put_retention_policy(logGroupName=inputs["name"], retentionInDays=days)

    def _find(self, name: str) -> dict[str, Any] | None:
        groups = self._clients["logs"].describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        return next((group for group in groups if group["logGroupName"] == name), None)


def _log_group_arn(group: dict[str, Any]) -> str:
    return str(group.get("arn", "")).removesuffix(":*")
