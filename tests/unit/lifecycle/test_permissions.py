"""Steps name the IAM actions they need, by names that AWS knows."""

import pytest
from botocore.session import get_session

from tests.dev.iam import StepActions, step_actions

# IAM actions whose name is not that of an API call.
WITHOUT_CALL = {
    "iam:PassRole",
    "s3:ListBucket",
    "s3:GetBucketVersioning",
    "s3:PutEncryptionConfiguration",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutLifecycleConfiguration",
}


LOCAL = {"WriteLock"}


@pytest.mark.parametrize("step", step_actions(), ids=lambda step: step.name)
def test_step_says_what_it_needs(step: StepActions) -> None:
    assert step.does
    assert bool(step.actions) == (step.name not in LOCAL)


def test_every_action_is_known_to_aws() -> None:
    session = get_session()
    actions = {action for step in step_actions() for action in step.actions} - WITHOUT_CALL
    services = {action.split(":")[0] for action in actions}
    known = {f"{name}:{call}" for name in services for call in session.get_service_model(name).operation_names}
    assert not sorted(actions - known)
