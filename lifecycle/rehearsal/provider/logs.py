"""Log groups."""

from typing import Any

from botocore.exceptions import ClientError

from lifecycle.rehearsal.provider.resource import Properties, Resource, changed, tag_change
from lifecycle.rehearsal.provider.rules import apart, matching, one_of

# What CloudWatch Logs takes, in days; 0 is for ever.
_RETENTIONS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)


class LogGroup(Resource):
    """A log group with its retention."""

    token = "aws:cloudwatch/logGroup:LogGroup"
    applied = frozenset({"name", "retentionInDays", "tags"})
    fixed = frozenset({"name", "namePrefix", "logGroupClass", "region"})
    rules = (
        matching("name", r"[A-Za-z0-9_./#-]{1,512}", "1 to 512 letters, digits, `_`, `.`, `/`, `#` and `-`"),
        one_of("retentionInDays", 0, *_RETENTIONS),
        apart("name", "namePrefix"),
    )

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        self._clients["logs"].create_log_group(logGroupName=inputs["name"], tags=inputs.get("tags") or {})
        if inputs.get("retentionInDays"):
            self._retain(inputs)
        found = self._find(inputs["name"]) or {}
        return inputs["name"], {"arn": _log_group_arn(found)}

    def read(self, resource_id: str) -> Properties | None:
        found = self._find(resource_id)
        if found is None:
            return None
        arn = _log_group_arn(found)
        tags = self._clients["logs"].list_tags_for_resource(resourceArn=arn)["tags"]
        return {"name": resource_id, "retentionInDays": found.get("retentionInDays", 0), "tags": tags, "arn": arn}

    def update(self, resource_id: str, old: Properties, new: Properties) -> Properties:
        logs, arn = self._clients["logs"], _log_group_arn(self._find(resource_id) or {})
        if "retentionInDays" in changed(old, new):
            self._retain(new)
        put, gone = tag_change(old, new)
        if gone:
            logs.untag_resource(resourceArn=arn, tagKeys=gone)
        if put:
            logs.tag_resource(resourceArn=arn, tags=put)
        return {"arn": arn}

    def delete(self, resource_id: str) -> None:
        try:
            self._clients["logs"].delete_log_group(logGroupName=resource_id)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise

    def _retain(self, inputs: Properties) -> None:
        if days := inputs.get("retentionInDays"):
            self._clients["logs"].put_retention_policy(logGroupName=inputs["name"], retentionInDays=days)
        else:
            self._clients["logs"].delete_retention_policy(logGroupName=inputs["name"])

    def _find(self, name: str) -> dict[str, Any] | None:
        groups = self._clients["logs"].describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        return next((group for group in groups if group["logGroupName"] == name), None)


def _log_group_arn(group: dict[str, Any]) -> str:
    return str(group.get("arn", "")).removesuffix(":*")
