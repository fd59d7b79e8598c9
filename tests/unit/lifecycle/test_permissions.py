"""Commands and steps name the IAM actions they need, by names that AWS knows."""

import pytest
from botocore.session import get_session

from tests.dev.iam import StepActions, command_actions, step_actions
from tests.dev.pages import command_helps

# IAM actions whose name is not that of an API call.
WITHOUT_CALL = {
    "dynamodb:ConditionCheckItem",
    "iam:PassRole",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "s3:GetBucketPublicAccessBlock",
    "s3:GetEncryptionConfiguration",
    "s3:GetLifecycleConfiguration",
    "s3:ListBucket",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutEncryptionConfiguration",
    "s3:PutLifecycleConfiguration",
}
# The rehearsal's commands ask an emulator.
ASK_AWS_NOTHING = {"init", "config show", "config check", "config schema", "rehearse"}
LOCAL_STEPS = {"EndRun", "RemoveFolder", "WriteContract", "WriteLock"}


@pytest.mark.parametrize("step", step_actions(), ids=lambda step: step.name)
def test_step_says_what_it_needs(step: StepActions) -> None:
    assert step.does
    assert bool(step.actions) == (step.name not in LOCAL_STEPS)


def test_every_command_says_what_it_needs_or_asks_aws_nothing() -> None:
    known = {name.removeprefix("capctl ") for name in command_helps()}
    commands = {name for name in known if not any(other.startswith(f"{name} ") for other in known)} - {"capctl"}
    assert commands == command_actions().keys() | ASK_AWS_NOTHING


def test_every_action_is_known_to_aws() -> None:
    session = get_session()
    actions = frozenset[str]().union(*command_actions().values()) - WITHOUT_CALL
    services = {action.split(":")[0] for action in actions}
    known = {f"{name}:{call}" for name in services for call in session.get_service_model(name).operation_names}
    assert not sorted(actions - known)
