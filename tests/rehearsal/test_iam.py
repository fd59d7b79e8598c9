"""What each command asked of AWS in a rehearsal is what docs/iam.md says that it needs: no more, and no less."""

from __future__ import annotations

import json
import re
from collections import defaultdict
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
from lifecycle.domain.sweep import LeftoverKind
from lifecycle.rehearsal.emulator.calls import JOB_KEY_ID
from lifecycle.rehearsal.stage import APP_ID
from lifecycle.workflows.ami_uses import READ_USES
from lifecycle.workflows.boot_ami import BOOT_AMI
from lifecycle.workflows.deregister import REMOVE_AMI
from lifecycle.workflows.image_world import READ_IMAGE_USES, READ_REPOSITORY
from lifecycle.workflows.ship import STAGES
from tests.contract.test_leftovers import emulated
from tests.dev import iam_roles
from tests.dev.iam import command_actions, is_read, job_actions
from tests.dev.iam_judge import allows, filled_in
from tests.rehearsal.iam_asked import ACCOUNT, REGION, asked_of
from tests.rehearsal.kept_stage import KeptStage, Project
from tests.rehearsal.stage_parts import until

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(600)]

# What a call needs besides or instead of the action of its own name, as AWS's Service Authorization Reference and the API
# references of the services say. Everything that capctl creates is tagged at once.
NEEDS: Mapping[str, tuple[str, ...]] = {
    "batch:CreateComputeEnvironment": ("batch:CreateComputeEnvironment", "batch:TagResource", "iam:PassRole"),
    "batch:CreateJobQueue": ("batch:CreateJobQueue", "batch:TagResource"),
    "batch:RegisterJobDefinition": ("batch:RegisterJobDefinition", "batch:TagResource", "iam:PassRole"),
    "batch:SubmitJob": ("batch:SubmitJob", "batch:TagResource"),
    "dynamodb:TransactWriteItems": ("dynamodb:ConditionCheckItem", "dynamodb:PutItem"),
    "dynamodb:CreateTable": ("dynamodb:CreateTable", "dynamodb:TagResource"),
    "ec2:CreateInternetGateway": ("ec2:CreateInternetGateway", "ec2:CreateTags"),
    "ec2:CreateLaunchTemplate": ("ec2:CreateLaunchTemplate", "ec2:CreateTags"),
    "ec2:CreateRouteTable": ("ec2:CreateRouteTable", "ec2:CreateTags"),
    "ec2:CreateSecurityGroup": ("ec2:CreateSecurityGroup", "ec2:CreateTags"),
    "ec2:CreateSubnet": ("ec2:CreateSubnet", "ec2:CreateTags"),
    "ec2:CreateVpc": ("ec2:CreateVpc", "ec2:CreateTags"),
    "ec2:CreateVpcEndpoint": ("ec2:CreateVpcEndpoint", "ec2:CreateTags"),
    "ec2:RunInstances": ("ec2:RunInstances", "ec2:CreateTags", "iam:PassRole"),
    "ecr:CreateRepository": ("ecr:CreateRepository", "ecr:TagResource"),
    "ec2:CopyImage": ("ec2:CopyImage", "ec2:CreateTags"),
    "iam:AddRoleToInstanceProfile": ("iam:AddRoleToInstanceProfile", "iam:PassRole"),
    "iam:CreateInstanceProfile": ("iam:CreateInstanceProfile", "iam:TagInstanceProfile"),
    "iam:CreateRole": ("iam:CreateRole", "iam:TagRole"),
    "logs:CreateLogGroup": ("logs:CreateLogGroup", "logs:TagResource"),
    "s3:CompleteMultipartUpload": ("s3:PutObject",),
    "s3:CopyObject": ("s3:GetObject", "s3:PutObject"),
    "s3:CreateMultipartUpload": ("s3:PutObject",),
    "s3:GetBucketEncryption": ("s3:GetEncryptionConfiguration",),
    "s3:GetBucketLifecycleConfiguration": ("s3:GetLifecycleConfiguration",),
    "s3:GetBucketNotificationConfiguration": ("s3:GetBucketNotification",),
    "s3:GetPublicAccessBlock": ("s3:GetBucketPublicAccessBlock",),
    "s3:HeadBucket": ("s3:ListBucket",),
    "s3:HeadObject": ("s3:GetObject", "s3:ListBucket"),
    "s3:ListObjectsV2": ("s3:ListBucket",),
    "s3:PutBucketEncryption": ("s3:PutEncryptionConfiguration",),
    "s3:PutBucketLifecycleConfiguration": ("s3:PutLifecycleConfiguration",),
    "s3:PutBucketNotificationConfiguration": ("s3:PutBucketNotification",),
    "s3:PutPublicAccessBlock": ("s3:PutBucketPublicAccessBlock",),
    "s3:UploadPart": ("s3:PutObject",),
    "sqs:CreateQueue": ("sqs:CreateQueue", "sqs:TagQueue"),
    "sts:GetCallerIdentity": (),
}

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
# What only these commands may declare unshown.
# The stage has no job that waits and no task of ECS, to ask which image it runs.
_OF_OTHER_IMAGES = frozenset(
    {"batch:DescribeJobs", "ecs:DescribeServices", "ecs:DescribeTaskDefinition", "ecs:DescribeTasks"}
)
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

Shown = dict[str, frozenset[str]]
PASSPHRASE = {"PULUMI_CONFIG_PASSPHRASE": "rehearsal"}
# The next bootstrap, without it, takes it from the role again.
WITH_SECRET = {
    "CAPCTL_RELEASE__DATABASE_SECRET_ARN": "arn:aws:secretsmanager:us-west-2:123456789012:secret:database-a1b2c3"
}
# Another policy, another setting of each kind.
OTHER_REPOSITORY = {
    "CAPCTL_IMAGE__REGISTRY__EXPIRE_CODE_DAYS": "5",
    "CAPCTL_IMAGE__REGISTRY__MOVABLE_TAGS": "[dev-*]",
    "CAPCTL_IMAGE__REGISTRY__SCAN_ON_PUSH": "false",
}
_APP = re.compile(r"\b(?:app|exec-env)/(\S+)")


def recorded(kept: KeptStage) -> list[dict[str, Any]]:
    """Every call that the stage's emulator was asked so far."""
    return [json.loads(line) for line in (kept.folder / "emulator" / "calls.jsonl").read_text().splitlines()]


def caller(call: dict[str, Any]) -> str:
    """`ami bake` for that command with all that it starts, `job`, `rehearsal`, or the User-Agent of one who is unknown."""
    if call[
        "presigned"
    ]:  # AWS asks for the permissions of the signer: one lets instances read, the other lets them report
        return "ami verify" if call["operation"] == "PutObject" else "ami bake"
    if call["key_id"] == JOB_KEY_ID:
        return "job"
    app = _APP.search(call["agent"])
    return app[1].removeprefix("capctl.").replace(".", " ") if app else f"unknown: {call['agent']}"


def actions_by_caller(calls: list[dict[str, Any]]) -> Shown:
    found: dict[str, set[str]] = defaultdict(set)
    for call in calls:
        name = f"{call['service']}:{call['operation']}"
        found[caller(call)].update(NEEDS.get(name, (name,)))
    return {name: frozenset(actions) for name, actions in found.items()}


def active_ami(project: Project) -> str:
    (release,) = (each for each in project.done("status")["releases"] if each["role"] == "active")
    return str(release["ami"])


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
    project = kept.copy(tmp_path_factory.mktemp("iam") / "project")
    ami = next(one for one in project.done("ami", "ls")["amis"] if one["status"] not in {None, "candidate"})
    project.done("ami", "show", ami["id"])
    project.done("ami", "diff", ami["id"])
    project.fails("channel-missing", 1, "ami", "diff", "unknown")
    project.done("ami", "verify", ami["id"], "--boot")
    project.done("ami", "copy", ami["id"], "--to-region", "eu-west-1")
    play_the_life_of_an_ami(kept, project, ami)
    # Others may have baked since: the AMI of the active release has passed its smoke job.
    project.done("ami", "promote", active_ami(project), "--to", "stable", "--yes")
    project.done("ami", "channels")
    project.done("ami", "show", "stable")
    project.done("ami", "verify", "stable")
    project.done("deploy", "--ami", "stable", "--dry-run")
    with project.changed_config() as (_, target):
        del target["smoke"]["video_url"]
    project.done("smoke")
    video = f"s3://{project.bucket}/samples/portrait.mp4"
    job = project.done("job", "submit", "--video", video)
    project.done("job", "logs", job["id"], "--follow")
    project.done("job", "ls")
    project.done("history")
    project.done("job", "show", job["id"])
    # Of a job that failed by itself its log is read, and of a release that is gone the record.
    kept.client("s3").put_object(Bucket=project.bucket, Key="videos/no-film.mp4", Body=b"no film")
    bad = project.done("job", "submit", "--video", f"s3://{project.bucket}/videos/no-film.mp4", "--session", "no-film")
    assert project("job", "logs", bad["id"], "--follow").exit_code == 1
    assert "no-film.mp4" in project.done("job", "show", bad["id"])["said"]
    project.fails("release-missing", 1, "rollback", "--yes", "--to", "0123456789ab")
    unwanted = project.done("job", "submit", "--video", video, "--session", "unwanted")
    assert project.done("job", "cancel", unwanted["id"], "--yes")["changed"]
    move_one_job(kept, project, video)
    with_shared_state.done("bootstrap", **PASSPHRASE, **WITH_SECRET)
    for command in ("status", "drift", "models lock", "models verify"):
        with_shared_state.done(*command.split(), **PASSPHRASE)
    # It reads the models, finds that there is no runtime beside them, and ends.
    contract = {"CAPCTL_IMAGE__BASE__RUNTIME_CONTRACT": "contract.json"}
    with_shared_state.fails("runtime-invalid", 1, "models", "contract", **contract)
    with_shared_state.done("bootstrap", **PASSPHRASE, **OTHER_REPOSITORY)
    release_all(project)
    sweep_one_of_each(kept, with_shared_state)
    prune_one(kept, with_shared_state, ami_id=project.done("ami", "ls")["amis"][0]["id"])
    return recorded(kept)[before:]


@pytest.fixture(scope="module")
def shown(kept: KeptStage, played: list[dict[str, Any]]) -> Shown:
    """The actions of each caller, of the scene as well."""
    return actions_by_caller(recorded(kept))


def release_all(project: Project) -> None:
    """Release other models and other code: every stage has something to do, and the oldest release goes."""
    (project.folder / "models" / "models" / "more.bin").write_bytes(b"more")
    project.done("models", "lock")
    project.done("models", "push")
    project.change_code("with other models")
    released = project.done("release", "--yes", "--promote", "beta")
    assert [stage["outcome"] for stage in released["stages"]] == ["changed"] * 4


def move_one_job(kept: KeptStage, project: Project, video: str) -> None:
    """Let a job wait on the active release, go back from that, and move the job; then all is as before."""
    status = project.done("status")
    active, before = (status["pointer"][name] for name in ("release_id", "previous_release_id"))
    environment = next(one["compute_environment_arn"] for one in status["releases"] if one["id"] == active)
    batch = kept.client("batch")
    batch.update_compute_environment(computeEnvironment=environment, state="DISABLED")
    waiting = project.done("job", "submit", "--video", video, "--session", "waiting")
    # The plan looks where the way back leads, which `--yes` does not.
    project.done("rollback", "--dry-run", "--to", before)
    project.done("rollback", "--yes", "--to", before)
    (moved,) = project.done("job", "move", active, "--yes")["moved"]
    assert moved["id"] == waiting["id"]
    assert project.done("job", "show", waiting["id"])["moved_to"]["job_id"] == moved["job_id"]
    project.done("job", "logs", moved["job_id"], "--follow")
    batch.update_compute_environment(computeEnvironment=environment, state="ENABLED")

    def is_valid() -> bool:
        (found,) = batch.describe_compute_environments(computeEnvironments=[environment])["computeEnvironments"]
        return bool(found["status"] == "VALID")

    until(is_valid)
    project.done("rollback", "--yes", "--to", active)


def play_the_life_of_an_ami(kept: KeptStage, project: Project, ami: dict[str, Any]) -> None:
    """Deprecate, share and disable an AMI that no release has."""
    ec2, name = kept.client("ec2"), f"{ami['name']}-spare"
    region = ec2.meta.region_name
    spare = ec2.copy_image(SourceImageId=ami["id"], SourceRegion=region, Name=name, CopyImageTags=True)["ImageId"]
    ec2.modify_image_attribute(ImageId=spare, ImdsSupport={"Value": "v2.0"})
    (image,) = ec2.describe_images(ImageIds=[spare])["Images"]
    snapshots = [mapping["Ebs"]["SnapshotId"] for mapping in image["BlockDeviceMappings"]]
    own = {"capctl:status": "verified", "capctl:copied-from": f"{region}/{ami['id']}"}
    tags = {tag["Key"]: tag["Value"] for tag in image["Tags"]} | own
    ec2.create_tags(Resources=[spare, *snapshots], Tags=[{"Key": key, "Value": value} for key, value in tags.items()])
    for words in (("deprecate", spare, "--in", "30d", "--yes"), ("deprecate", spare, "--undo")):
        project.done("ami", *words)
    project.fails("ami-not-shareable", 1, "ami", "share", spare, "--with", "210987654321", "--yes")
    for words in (("disable", spare, "--yes"), ("disable", spare, "--undo")):
        project.done("ami", *words)
    for words in (
        ("copy", "--to-region", "eu-west-1"),
        ("deprecate", "--undo"),
        ("share", "--with", "210987654321"),
        ("disable",),
    ):
        project.fails("channel-missing", 1, "ami", words[0], "unknown", *words[1:])
    ec2.deregister_image(ImageId=spare)


def sweep_one_of_each(kept: KeptStage, project: Project) -> None:
    """Let a run that died have left one thing of each kind, and remove them all."""
    base = kept.client("ec2").describe_images(Owners=["self"])["Images"][0]["ImageId"]
    account = emulated(kept, base, project.name)  # type: ignore[arg-type]
    made = {account.make(kind, project.name, "20260101-000000-dead00") for kind in LeftoverKind}
    runs = project.folder / ".capctl" / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    (runs / "20260101-000000-dead00").write_text("")
    swept = project.done("ami", "sweep", "--run", "20260101-000000-dead00", "--yes", **PASSPHRASE)
    assert {one["id"] for one in swept["leftovers"] if one["outcome"] == "removed"} == made


def prune_one(kept: KeptStage, project: Project, *, ami_id: str) -> None:
    """Let the project have an AMI that nobody uses, and disable it."""
    region = kept.environment["AWS_REGION"]
    own = {
        "capctl:project": project.name,
        "capctl:status": "verified",
        "capctl:run": "20260101-000000-c0ffee",
        "capctl:copied-from": f"{region}/{ami_id}",
    }
    tags = [{"Key": key, "Value": value} for key, value in own.items()]
    kept.client("ec2").copy_image(
        SourceImageId=ami_id,
        SourceRegion=region,
        Name=f"{project.name}-unused",
        TagSpecifications=[{"ResourceType": kind, "Tags": tags} for kind in ("image", "snapshot")],
    )
    at_once = {"CAPCTL_AMI__RETENTION__MIN_AGE_DAYS": "0"}
    (pruned,) = project.done("ami", "prune", "--apply", "--yes", **at_once, **PASSPHRASE)["amis"]
    assert pruned["outcome"] == "disabled"


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
        name = f"{call['service']}:{call['operation']}"
        asked = list(asked_of(call, NEEDS.get(name, (name,))))
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
