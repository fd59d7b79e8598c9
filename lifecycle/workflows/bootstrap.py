"""Create or update the base stack: what all releases of a target share."""

from collections import Counter
from dataclasses import dataclass

from lifecycle.config.target import Target
from lifecycle.domain.permissions import CHANGE_STATE, MAKE_NETWORK, READ_STATE, TAKE_TURN
from lifecycle.domain.plan import Plan
from lifecycle.domain.run import Run
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.ports.stack import BaseOutputs, Operation, ResourceChange
from lifecycle.workflows.image_policy import GUARD, require_nothing_needed_expires
from lifecycle.workflows.turn_guard import BootstrapGuard

PERMISSIONS = {"bootstrap": (*READ_STATE, *GUARD, *TAKE_TURN)}

_POLICY, _REPOSITORY = "aws:ecr/lifecyclePolicy:LifecyclePolicy", "aws:ecr/repository:Repository"
_ROLE_POLICY, _NETWORK = "aws:iam/rolePolicy:RolePolicy", "aws:ec2/"
# These hold nothing. A lifecycle policy is never changed but replaced; a role loses its one policy with the secret that it was for.
_EMPTY = {_POLICY, _ROLE_POLICY}


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyBase:
    """Bring the base stack to what the program declares.

    `policy` is the text of a lifecycle policy that an existing repository is to get: it is previewed once more, since images may have been
    pushed and tagged since the plan was made.
    """

    ports: Ports
    target: Target
    changes: tuple[ResourceChange, ...]
    policy: str | None
    permissions: tuple[str, ...] = (
        *CHANGE_STATE,
        *MAKE_NETWORK,
        "dynamodb:CreateTable",
        "dynamodb:DescribeContinuousBackups",
        "dynamodb:DescribeTable",
        "dynamodb:DescribeTimeToLive",
        "dynamodb:ListTagsOfResource",
        "dynamodb:TagResource",
        "dynamodb:UpdateContinuousBackups",
        "dynamodb:UpdateTable",
        "dynamodb:UpdateTimeToLive",
        "ecr:CreateRepository",
        "ecr:DeleteLifecyclePolicy",
        "ecr:DescribeRepositories",
        "ecr:GetLifecyclePolicy",
        "ecr:ListTagsForResource",
        "ecr:PutImageScanningConfiguration",
        "ecr:PutImageTagMutability",
        "ecr:PutLifecyclePolicy",
        "ecr:TagResource",
        "iam:AddRoleToInstanceProfile",
        "iam:AttachRolePolicy",
        "iam:CreateInstanceProfile",
        "iam:CreateRole",
        "iam:DeleteRolePolicy",
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
        "logs:ListTagsForResource",
        "logs:PutRetentionPolicy",
        "logs:TagResource",
        "s3:CreateBucket",
        "s3:GetBucketNotification",
        "s3:GetBucketPublicAccessBlock",
        "s3:GetBucketTagging",
        "s3:GetBucketVersioning",
        "s3:GetEncryptionConfiguration",
        "s3:GetLifecycleConfiguration",
        "s3:PutBucketNotification",
        "s3:PutBucketPublicAccessBlock",
        "s3:PutBucketTagging",
        "s3:PutBucketVersioning",
        "s3:PutEncryptionConfiguration",
        "s3:PutLifecycleConfiguration",
        "sqs:CreateQueue",
        "sqs:GetQueueAttributes",
        "sqs:GetQueueUrl",
        "sqs:ListQueueTags",
        "sqs:TagQueue",
    )

    def describe(self) -> str:
        return f"base stack: {_counts(self.changes)}"

    def apply(self) -> BaseOutputs:
        if self.policy:
            require_nothing_needed_expires(self.ports, self.target, self.policy)
        return self.ports.stack.apply_base()

    def verify(self, _: BaseOutputs) -> None:
        left = _different(self.ports.stack.preview_base())
        if left:
            raise CapctlError(
                "base-incomplete",
                f"The base stack still differs after the update: {_counts(left)}",
                hint="Run `capctl bootstrap -v` again",
            )


def plan_bootstrap(ports: Ports, target: Target, run: Run) -> Plan:
    """One step, or none when the base stack is as it should be.

    Raises `CapctlError` when the update would lose something, or let ECR expire an image that somebody needs.
    """
    release, network = target.settings.release, target.settings.network
    if not (network.create or release.subnet_ids):
        ports.ui.note(
            "No network is configured, and a deploy needs one: set `network.create`, or `release.subnet_ids` and "
            "`release.security_group_ids`"
        )
    changes = _different(ports.stack.preview_base())
    _require_nothing_lost(changes)
    if not changes:
        return Plan(title="update the base stack", because="it is as it should be")
    made = {change.type for change in changes if change.operation is Operation.CREATE}
    # A repository that is made now has no image to expire.
    is_previewed = _REPOSITORY not in made and any(change.type == _POLICY for change in changes)
    policy = target.lifecycle_policy.text() if is_previewed else None
    if policy:
        require_nothing_needed_expires(ports, target, policy)
    return Plan(
        title="update the base stack",
        because="it differs from what is declared",
        steps=(ApplyBase(ports=ports, target=target, changes=changes, policy=policy),),
        guard=BootstrapGuard(ports, run),
    )


def _require_nothing_lost(changes: tuple[ResourceChange, ...]) -> None:
    lost = [
        change
        for change in changes
        if change.operation in {Operation.REPLACE, Operation.DELETE} and change.type not in _EMPTY
    ]
    if lost:
        raise CapctlError(
            "base-would-lose",
            f"Updating the base stack would {lost[0].operation} `{lost[0].name}` ({lost[0].type})",
            hint=_way_back(lost[0]),
            details=tuple(change.line for change in lost),
        )


def _way_back(lost: ResourceChange) -> str:
    if lost.type == _REPOSITORY:
        return (
            "Set `image.repository` and `image.registry.kms_key_arn` back: ECR changes neither name nor encryption of a repository; "
            "to start over, use another project name"
        )
    if lost.type.startswith(_NETWORK):
        return "Set the keys of `network` back: hosts of releases are in it; to start over, use another project name"
    return "Keep the project's name and the repository's; to start over, use another project name"


def base_outputs(ports: Ports) -> BaseOutputs:
    """What the base stack made; raises `CapctlError("base-missing")` before the first bootstrap."""
    return ports.stack.base()


def _different(changes: tuple[ResourceChange, ...]) -> tuple[ResourceChange, ...]:
    return tuple(change for change in changes if change.operation is not Operation.SAME)


def _counts(changes: tuple[ResourceChange, ...]) -> str:
    counts = Counter(change.operation for change in changes)
    return ", ".join(f"{operation} {count}" for operation, count in sorted(counts.items()))
