"""Create or update the base stack: what all releases of a target share."""

from collections import Counter
from dataclasses import dataclass

from lifecycle.domain.permissions import CHANGE_STATE, READ_STATE
from lifecycle.domain.plan import Plan
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.ports.stack import BaseOutputs, Operation, ResourceChange

PERMISSIONS = {"bootstrap": READ_STATE}


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyBase:
    """Bring the base stack to what the program declares."""

    ports: Ports
    changes: tuple[ResourceChange, ...]
    permissions: tuple[str, ...] = (
        *CHANGE_STATE,
        "dynamodb:CreateTable",
        "dynamodb:DescribeContinuousBackups",
        "dynamodb:DescribeTable",
        "dynamodb:TagResource",
        "dynamodb:UpdateContinuousBackups",
        "ecr:CreateRepository",
        "ecr:DescribeRepositories",
        "ecr:TagResource",
        "iam:AddRoleToInstanceProfile",
        "iam:AttachRolePolicy",
        "iam:CreateInstanceProfile",
        "iam:CreateRole",
        "iam:GetInstanceProfile",
        "iam:GetRole",
        "iam:GetRolePolicy",
        "iam:ListAttachedRolePolicies",
        "iam:PassRole",
        "iam:PutRolePolicy",
        "iam:TagInstanceProfile",
        "iam:TagRole",
        "logs:CreateLogGroup",
        "logs:DescribeLogGroups",
        "logs:PutRetentionPolicy",
        "logs:TagResource",
        "s3:CreateBucket",
        "s3:GetBucketPublicAccessBlock",
        "s3:GetBucketTagging",
        "s3:GetBucketVersioning",
        "s3:GetEncryptionConfiguration",
        "s3:GetLifecycleConfiguration",
        "s3:PutBucketPublicAccessBlock",
        "s3:PutBucketTagging",
        "s3:PutBucketVersioning",
        "s3:PutEncryptionConfiguration",
        "s3:PutLifecycleConfiguration",
    )

    def describe(self) -> str:
        return f"base stack: {_counts(self.changes)}"

    def apply(self) -> BaseOutputs:
        return self.ports.stack.apply_base()

    def verify(self, _: BaseOutputs) -> None:
        left = _different(self.ports.stack.preview_base())
        if left:
            raise CapctlError(
                "base-incomplete",
                f"The base stack still differs after the update: {_counts(left)}",
                hint="Run `capctl bootstrap -v` again",
            )


def plan_bootstrap(ports: Ports) -> Plan:
    """One step, or none when the base stack is as it should be. Raises `CapctlError` when the update would lose something."""
    changes = _different(ports.stack.preview_base())
    lost = [change for change in changes if change.operation in {Operation.REPLACE, Operation.DELETE}]
    if lost:
        raise CapctlError(
            "base-would-lose",
            f"Updating the base stack would {lost[0].operation} `{lost[0].name}` ({lost[0].type})",
            hint="Keep the project's name and the repository's; to start over, use another project name",
            details=tuple(change.line for change in lost),
        )
    if not changes:
        return Plan(title="update the base stack", because="it is as it should be")
    return Plan(
        title="update the base stack",
        because="it differs from what is declared",
        steps=(ApplyBase(ports=ports, changes=changes),),
    )


def base_outputs(ports: Ports) -> BaseOutputs:
    """What the base stack made; raises `CapctlError("base-missing")` before the first bootstrap."""
    return ports.stack.base()


def _different(changes: tuple[ResourceChange, ...]) -> tuple[ResourceChange, ...]:
    return tuple(change for change in changes if change.operation is not Operation.SAME)


def _counts(changes: tuple[ResourceChange, ...]) -> str:
    counts = Counter(change.operation for change in changes)
    return ", ".join(f"{operation} {count}" for operation, count in sorted(counts.items()))
