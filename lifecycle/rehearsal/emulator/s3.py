"""S3: notifications go where S3 may send them, as S3 asks before it takes them."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

from moto.s3.exceptions import S3ClientError
from moto.s3.models import S3Backend, s3_backends
from moto.sqs.models import sqs_backends

_SENDER, _ACTION = "s3.amazonaws.com", "sqs:sendmessage"
_EXACT, _PATTERNS = {"StringEquals"}, {"ArnEquals", "ArnLike", "StringLike"}


class RehearsalS3(S3Backend):  # type: ignore[misc]
    """Refuses a queue that is not there, or that does not let the bucket send."""

    def put_bucket_notification_configuration(self, bucket_name: str, notification_config: dict[str, Any]) -> None:
        bucket = self.get_bucket(bucket_name)
        context = {"aws:sourcearn": bucket.arn, "aws:sourceaccount": self.account_id}
        for configuration in (notification_config or {}).get("QueueConfiguration") or ():
            if not _may_send(self.account_id, configuration["Queue"], context):
                message = "Unable to validate the following destination configurations"
                raise S3ClientError("InvalidArgument", message)
        super().put_bucket_notification_configuration(bucket_name, notification_config)


def _may_send(account: str, arn: str, context: dict[str, str]) -> bool:
    region, name = arn.split(":")[3], arn.rpartition(":")[2]
    queue = sqs_backends[account][region].queues.get(name)
    statements = (queue._policy_json or {}).get("Statement", []) if queue else []
    return any(_allows(statement, arn, context) for statement in statements)


def _allows(statement: dict[str, Any], arn: str, context: dict[str, str]) -> bool:
    principal = statement.get("Principal")
    services = _several(principal.get("Service")) if isinstance(principal, dict) else [principal]
    return (
        statement.get("Effect") == "Allow"
        and any(one in {_SENDER, "*"} for one in services)
        and any(fnmatchcase(_ACTION, str(one).lower()) for one in _several(statement.get("Action")))
        and any(fnmatchcase(arn, str(one)) for one in _several(statement.get("Resource")))
        and all(_is_met(operator, asked, context) for operator, asked in (statement.get("Condition") or {}).items())
    )


def _is_met(operator: str, asked: dict[str, Any], context: dict[str, str]) -> bool:
    """What is not known here is not met."""
    if operator not in _EXACT | _PATTERNS:
        return False
    for key, values in asked.items():
        found = context.get(key.lower(), "")
        if operator in _EXACT and found not in _several(values):
            return False
        if operator in _PATTERNS and not any(fnmatchcase(found, str(one)) for one in _several(values)):
            return False
    return True


def _several(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [value]


def mend() -> None:
    """Hook the mended S3 backend into moto's backend table."""
    s3_backends.backend = RehearsalS3
