"""What each command asked of AWS in a rehearsal is what docs/iam.md says that it needs: no more, and no less."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pytest

from lifecycle.domain.permissions import (
    CHANGE_STATE,
    PUSH_IMAGES,
    READ_CHANNEL,
    READ_GRANTS,
    READ_LEFTOVERS,
    READ_QUEUES,
    REMOVE_LEFTOVERS,
)
from lifecycle.rehearsal.stage import APP_ID
from lifecycle.workflows.ami_uses import READ_USES
from lifecycle.workflows.boot_ami import BOOT_AMI
from lifecycle.workflows.deregister import REMOVE_AMI
from lifecycle.workflows.image_world import READ_IMAGE_USES, READ_REPOSITORY
from lifecycle.workflows.ship import STAGES
from tests.dev import iam_roles
from tests.dev.iam import command_actions, is_read, job_actions
from tests.dev.iam_judge import allows, filled_in
from tests.rehearsal.iam_asked import ACCOUNT, REGION, asked_of
from tests.rehearsal.iam_calls import Shown, actions_by_caller, caller, needs_of, recorded
from tests.rehearsal.iam_plays import PASSPHRASE, active_ami, play_all
from tests.rehearsal.kept_stage import KeptStage, Project

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(600)]

# Declared, and beyond a rehearsal.
NOT_SHOWN: Mapping[str, str] = {
    **dict.fromkeys(PUSH_IMAGES, "ECR's name for a request to the registry, whose own API is asked here"),
    **dict.fromkeys(
        ("ec2:DescribeInstanceStatus", "iam:GetInstanceProfile", "ssm:StartSession", "ssm:TerminateSession"),
        "the way to an instance through Session Manager",
    ),
    **dict.fromkeys(
        (
            "kms:CreateGrant",
            "kms:Decrypt",
            "kms:DescribeKey",
            "kms:GenerateDataKeyWithoutPlaintext",
            "kms:ReEncryptFrom",
            "kms:ReEncryptTo",
        ),
        "EC2 asks for them on behalf of who bakes with `ami.kms_key_id`",
    ),
    "batch:TerminateJob": "ends the smoke job of a command that was interrupted or gave up",
    "ecr:DescribeRepositories": "explains a connection that ECR cut, which it does for a repository that does not exist",
    "dynamodb:UpdateTable": "encrypts the table of a base stack that an earlier version made, as tests/rehearsal/test_stack.py shows",
    "sqs:GetQueueUrl": "finds the queues of a bootstrap that was killed",
    "ec2:DescribeRegions": "Packer checks the region, but not that of an emulator",
    "ec2:ModifySnapshotAttribute": "an AMI under the default EBS key, as the rehearsal's, is shared with nobody",
    "ec2:DescribeSubnets": "Packer looks `ami.subnet_ids` up, which a rehearsal leaves out",
    "iam:CreateServiceLinkedRole": "Batch makes its own role in an account that has never used it",
    "s3:AbortMultipartUpload": "ends an upload that failed",
}

# They remove what a run left that failed or was killed, as `ami sweep` shows, or an unproven AMI that has their name and that nothing
# uses, as `ami prune` does.
_AFTER_TROUBLE = frozenset((*READ_LEFTOVERS, *REMOVE_LEFTOVERS, *READ_USES, *READ_GRANTS))
# The stage has no job that waits and no task of ECS, to ask which image it runs.
_OF_OTHER_IMAGES = frozenset(
    {"batch:DescribeJobs", "ecs:DescribeServices", "ecs:DescribeTaskDefinition", "ecs:DescribeTasks"}
)
# What only these commands may declare unshown.
NOT_SHOWN_OF: Mapping[str, frozenset[str]] = {
    "ami bake": _AFTER_TROUBLE,
    "bootstrap": _OF_OTHER_IMAGES,
    "image policy": _OF_OTHER_IMAGES,
    # For a copy that EC2 gave up.
    "ami copy": frozenset(REMOVE_AMI),
    # Of AMIs from before EC2 said which instance they were made from.
    "ami diff": frozenset({"ec2:DescribeSnapshots"}),
    # `--undo` boots an AMI whose boot had failed, as `ami verify --boot` shows.
    "ami disable": frozenset(BOOT_AMI),
    # Its second phase comes two days after the first; the scene of AMIs plays it.
    "ami prune": frozenset((*REMOVE_AMI, *READ_CHANNEL)),
    # The project that it is played in has no channels, as in the line above.
    "ami sweep": frozenset(READ_CHANNEL),
    "ami share": frozenset({"ec2:ModifyImageAttribute"}),  # as in NOT_SHOWN
    # For an image that is named by the beginning of its digest.
    **dict.fromkeys(("image diff", "image explain", "image load", "image verify"), frozenset({"ecr:DescribeImages"})),
    # And for the jobs that wait on a release that is taken back, as the scene of deploys plays.
    "deploy": frozenset({"batch:CancelJob", "ecr:DescribeImages"}),
    # `test_image_prune_faults.py` plays them in an account of its own, and compares the calls.
    "image ls": frozenset((*READ_REPOSITORY, *READ_IMAGE_USES)),
    "image prune": frozenset((*READ_REPOSITORY, *READ_IMAGE_USES, "ecr:BatchDeleteImage")),
    # It tells with whom an AMI is shared whose content is wrong.
    "ami verify": frozenset(READ_GRANTS),
    # The deploy before it has tagged the AMI, and its job finds a host at once.
    "smoke": frozenset({"ec2:CreateTags", *READ_QUEUES}),
}

# What its stages leave unshown as commands.
NOT_SHOWN_OF = {
    **NOT_SHOWN_OF,
    **{
        command: frozenset[str]().union(*(NOT_SHOWN_OF.get(name, frozenset()) for name in names))
        for command, names in STAGES.items()
    },
}


@pytest.fixture(scope="module")
def with_shared_state(kept: KeptStage, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A newcomer that keeps Pulumi's state and takes its models from S3, as teams do."""
    project = kept.copy(tmp_path_factory.mktemp("shared") / "project", name="shared")
    for path in (project.folder / "models").rglob("*.onnx"):
        key = f"source/{path.relative_to(project.folder / 'models')}"
        kept.client("s3").upload_file(str(path), kept.project.bucket, key)
    with project.changed_config() as (_, target):
        target["stack"]["state"] = "s3"
        target["network"] = {"create": True, "zones": ["a", "b"]}
        target["models"] = {"source": f"s3://{kept.project.bucket}/source"}
    return project


@pytest.fixture(scope="module")
def played(
    kept: KeptStage, with_shared_state: Project, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    """The calls of the commands that the scene lacks, and of a release."""
    before = len(recorded(kept))
    play_all(kept, kept.copy(tmp_path_factory.mktemp("iam") / "project"), with_shared_state)
    return recorded(kept)[before:]


@pytest.fixture(scope="module")
def shown(kept: KeptStage, played: list[dict[str, Any]]) -> Shown:
    """The actions of each caller, of the scene as well."""
    return actions_by_caller(recorded(kept))


def test_everybody_who_asked_is_known(shown: Shown) -> None:
    assert shown.keys() <= command_actions().keys() | {"job", APP_ID}


@pytest.mark.parametrize("command", sorted(command_actions()))
def test_command_asks_for_nothing_that_it_does_not_declare(shown: Shown, command: str) -> None:
    assert not sorted(shown.get(command, frozenset()) - command_actions()[command])


@pytest.mark.parametrize("command", sorted(command_actions()))
def test_command_declares_nothing_that_it_does_not_ask_for(shown: Shown, command: str) -> None:
    # The state is read and changed alike by every command; `bootstrap` has it in S3 here.
    state = shown["bootstrap"].intersection(CHANGE_STATE)
    unshown = NOT_SHOWN.keys() | NOT_SHOWN_OF.get(command, frozenset())
    assert not sorted(command_actions()[command] - shown.get(command, frozenset()) - state - unshown)


def refused(calls: list[dict[str, Any]], policies: list[dict[str, Any]], projects: Collection[str]) -> list[str]:
    """What the calls ask that no statement allows of the policies, filled in for the project that the call is about."""
    filled = [
        [filled_in(one, project=project, account=ACCOUNT, region=REGION) for one in policies] for project in projects
    ]
    found = set()
    for call in calls:
        asked = list(asked_of(call, needs_of(call)))
        left = min(([one for one in asked if not allows(documents, one)] for documents in filled), key=len)
        found |= {f"{caller(call)}: {one}" for one in left if not is_of_old_packer(call)}
    return sorted(found)


def is_of_old_packer(call: dict[str, Any]) -> bool:
    """Whether the call makes something without tags, as the page says that the Packer of the rehearsal does."""
    return call["agent"].startswith("aws-sdk-go/1.") and call["operation"] in {"CreateImage", "CreateSecurityGroup"}


def of_commands(calls: list[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    found = [call for call in calls if caller(call) in (names or command_actions())]
    assert found
    return found


@pytest.fixture(scope="module")
def models_elsewhere(kept: KeptStage) -> dict[str, Any]:
    """What the page says is to be added for the `models.source` of the project with a shared state."""
    own = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": f"arn:aws:s3:::{kept.project.bucket}/source/*"}
    bucket = {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": f"arn:aws:s3:::{kept.project.bucket}"}
    return {"Statement": [own, bucket]}


def test_policies_allow_every_call(
    kept: KeptStage, played: list[dict[str, Any]], with_shared_state: Project, models_elsewhere: dict[str, Any]
) -> None:
    policies = [*iam_roles.everybody().values(), models_elsewhere]
    assert refused(of_commands(played), policies, (kept.project.name, with_shared_state.name)) == []


def test_policies_refuse_every_other_project(kept: KeptStage, played: list[dict[str, Any]]) -> None:
    """All that has a name: without, they would only be as wide as the account."""
    left = refused(of_commands(played), list(iam_roles.everybody().values()), ("other",))
    services = {re.findall(r"action='([a-z0-9]+):", one)[0] for one in left}
    assert services == {"batch", "dynamodb", "ec2", "ecr", "ecs", "iam", "logs", "s3", "sqs", "ssm"}


def test_role_that_releases_may_do_what_its_commands_do(kept: KeptStage, played: list[dict[str, Any]]) -> None:
    calls = of_commands(played, *(name for name in iam_roles.RELEASES if name != "image base"))
    own = [call for call in calls if kept.project.name in json.dumps(call["about"]) or call["service"] == "ec2"]
    assert {"RunInstances", "SubmitJob", "CreateComputeEnvironment", "PutParameter"} <= {
        one["operation"] for one in own
    }
    assert refused(own, list(iam_roles.releases().values()), (kept.project.name,)) == []


def test_role_that_looks_may_do_what_pipelines_do_with_it(
    kept: KeptStage, project: Project, with_shared_state: Project, played: list[dict[str, Any]]
) -> None:
    before = len(recorded(kept))
    project.change_code("to be looked at")
    project.done("config", "check")
    project.done("image", "build")
    project.done("release", "--dry-run", "--promote", "beta")
    project.done("image", "push")
    # With both known, a deploy is planned too.
    project.done("release", "--dry-run", "--promote", "beta", "--ami", active_ami(project))
    (project.folder / "models" / "models" / "looked-at.bin").write_bytes(b"looked at")
    project.done("models", "lock")
    project.done("models", "push")
    project.done("release", "--dry-run", "--promote", "beta")
    project.done("drift")
    calls = of_commands(recorded(kept)[before:], "release", "image build", "drift") + of_commands(played, "drift")
    asked = frozenset[str]().union(*actions_by_caller(calls).values())
    assert refused(calls, [iam_roles.looks()], (kept.project.name, with_shared_state.name)) == []
    # Of the jobs of releases that are to go, of the snapshots of old AMIs, and of a channel that alone is left to be moved.
    unasked = {"batch:DescribeJobs", "batch:ListJobs", "ec2:DescribeSnapshots", "ssm:GetParametersByPath", *NOT_SHOWN}
    assert sorted(iam_roles.looks_actions() - asked - unasked) == []


def test_reason_is_given_for_declared_actions_only() -> None:
    assert NOT_SHOWN.keys() <= frozenset[str]().union(*command_actions().values())


def test_job_asks_for_what_its_role_allows(shown: Shown) -> None:
    # A job that a person submits has no task to speak of.
    assert shown["job"] == job_actions() - {"dynamodb:UpdateItem"}


def test_dry_run_reads_only(kept: KeptStage, project: Project, with_shared_state: Project) -> None:
    previous, ami = project.done("status")["pointer"]["previous_release_id"], active_ami(project)
    before = len(recorded(kept))
    project.change_code("to be deployed")
    project.done("image", "push")
    project.done("ami", "bake", "--force", "--dry-run")
    project.done("ami", "promote", ami, "--to", "beta", "--dry-run")
    project.done("deploy", "--dry-run")
    project.change_code("to be released")
    project.done("release", "--dry-run", "--promote", "beta")
    project.done("rollback", "--dry-run", "--to", previous)
    with_shared_state.done("bootstrap", "--dry-run", **PASSPHRASE)
    asked = actions_by_caller(recorded(kept)[before:])
    assert asked.keys() == {"ami bake", "ami promote", "deploy", "release", "rollback", "bootstrap"}
    assert not sorted(action for actions in asked.values() for action in actions if not is_read(action))


def test_dry_run_before_there_is_a_state_reads_only(kept: KeptStage, tmp_path: Path) -> None:
    newcomer = kept.copy(tmp_path / "newcomer", name="never-made")
    with newcomer.changed_config() as (_, target):
        target["stack"]["state"] = "s3"
    before = len(recorded(kept))
    newcomer.done("bootstrap", "--dry-run", **PASSPHRASE)
    assert all(is_read(action) for action in actions_by_caller(recorded(kept)[before:])["bootstrap"])
