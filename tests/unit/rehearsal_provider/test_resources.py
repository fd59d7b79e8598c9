"""Each resource type of the provider against moto: create, read, change, delete, and create again."""

import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from lifecycle.rehearsal.provider.catalogue import TYPES
from lifecycle.rehearsal.provider.clients import Clients
from lifecycle.rehearsal.provider.resource import Properties, Resource, observed

TAGS = {"capctl:project": "vision"}
POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Action": ["s3:GetObject"], "Effect": "Allow", "Resource": ["arn:aws:s3:::data/*"]}],
    },
    sort_keys=True,
)
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}}],
    },
    sort_keys=True,
)


class InProcess(Clients):
    """Clients of moto inside this process."""

    def __init__(self) -> None:
        """There is nothing to keep."""

    def __getitem__(self, service: str) -> Any:
        return _client(service)


@functools.cache
def _client(service: str) -> Any:
    """One for all tests: it takes longer to make than a test, and whichever moto is there answers it."""
    return boto3.client(service, region_name="eu-west-1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Inputs of one resource type, and one change that AWS makes in place."""

    token: str
    inputs: Properties
    change: Properties
    is_unique: bool = True


CASES = (
    Case(token="aws:s3/bucket:Bucket", inputs={"bucket": "data", "tags": TAGS}, change={"tags": {"a": "b"}}),
    Case(
        token="aws:dynamodb/table:Table",
        inputs={
            "name": "vision",
            "billingMode": "PAY_PER_REQUEST",
            "hashKey": "id",
            "attributes": [{"name": "id", "type": "S"}],
            "pointInTimeRecovery": {"enabled": True},
            "tags": TAGS,
        },
        change={"pointInTimeRecovery": {"enabled": False}},
    ),
    Case(
        token="aws:cloudwatch/logGroup:LogGroup",
        inputs={"name": "/vision/jobs", "retentionInDays": 30, "tags": TAGS},
        change={"retentionInDays": 60},
    ),
    Case(
        token="aws:ecr/repository:Repository",
        inputs={
            "name": "vision",
            "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
            "imageTagMutabilityExclusionFilters": [{"filter": "cache-*", "filterType": "WILDCARD"}],
            "imageScanningConfiguration": {"scanOnPush": True},
            "encryptionConfigurations": [{"encryptionType": "AES256"}],
            "tags": TAGS,
        },
        change={
            "imageTagMutabilityExclusionFilters": [{"filter": "dev-*", "filterType": "WILDCARD"}],
            "imageScanningConfiguration": {"scanOnPush": False},
            "tags": {"a": "b"},
        },
    ),
    Case(
        token="aws:iam/role:Role",
        inputs={"name": "vision-instance", "assumeRolePolicy": TRUST, "tags": TAGS},
        change={"assumeRolePolicy": TRUST.replace("ec2", "ecs-tasks")},
    ),
    Case(
        token="aws:ec2/launchTemplate:LaunchTemplate",
        inputs={
            "name": "vision-1",
            "imageId": "ami-1",
            "userData": "AAAA",
            "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1},
            "blockDeviceMappings": [
                {"deviceName": "/dev/xvda", "ebs": {"volumeSize": 100, "encrypted": "true", "volumeType": "gp3"}}
            ],
            "tagSpecifications": [{"resourceType": "instance", "tags": TAGS}],
            "tags": TAGS,
        },
        change={"imageId": "ami-2"},
    ),
)
BY_NAME = {case.token.rpartition(":")[2]: case for case in CASES}


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clients]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        yield InProcess()


def resource(token: str, clients: Clients) -> Resource:
    return next(made for made in (make(clients) for make in TYPES) if made.token == token)


@pytest.mark.parametrize("name", BY_NAME)
def test_what_was_created_reads_back_without_a_difference(name: str, clients: Clients) -> None:
    case = BY_NAME[name]
    subject = resource(case.token, clients)
    resource_id, computed = subject.create(case.inputs)
    actual = subject.read(resource_id)
    assert actual is not None
    assert observed(case.inputs, actual) == case.inputs
    assert computed["arn"]


@pytest.mark.parametrize("name", BY_NAME)
def test_second_creation_fails_as_on_aws(name: str, clients: Clients) -> None:
    case = BY_NAME[name]
    subject = resource(case.token, clients)
    subject.create(case.inputs)
    with pytest.raises(ClientError, match=r"(?i)exist|in use|owned"):
        subject.create(case.inputs)


@pytest.mark.parametrize("name", BY_NAME)
def test_change_is_made_in_place_and_read_back(name: str, clients: Clients) -> None:
    case = BY_NAME[name]
    subject = resource(case.token, clients)
    resource_id, _ = subject.create(case.inputs)
    wanted = case.inputs | case.change
    assert subject.replaced_by(case.inputs, wanted) == set()
    subject.update(resource_id, case.inputs, wanted)
    actual = subject.read(resource_id)
    assert actual is not None
    assert observed(wanted, actual) == wanted


@pytest.mark.parametrize("name", BY_NAME)
def test_deleted_is_gone_and_may_be_deleted_again(name: str, clients: Clients) -> None:
    case = BY_NAME[name]
    subject = resource(case.token, clients)
    resource_id, _ = subject.create(case.inputs)
    subject.delete(resource_id)
    assert subject.read(resource_id) is None
    subject.delete(resource_id)


@pytest.mark.parametrize("name", BY_NAME)
def test_another_name_is_another_resource(name: str, clients: Clients) -> None:
    case = BY_NAME[name]
    key = "bucket" if "bucket" in case.inputs else "name"
    renamed = case.inputs | {key: "other"}
    assert resource(case.token, clients).replaced_by(case.inputs, renamed) == {key}


KEY = {"encryptionType": "KMS", "kmsKey": "arn:aws:kms:eu-west-1:123456789012:key/1"}


@pytest.mark.parametrize(
    ("old", "new", "replaces"),
    [
        (None, [{"encryptionType": "AES256"}], set()),
        (None, [KEY], {"encryptionConfigurations"}),
        ([KEY], None, {"encryptionConfigurations"}),
        ([KEY], [KEY | {"kmsKey": "another"}], {"encryptionConfigurations"}),
    ],
)
def test_repository_keeps_its_encryption_for_life(old: Any, new: Any, replaces: set[str], clients: Clients) -> None:
    subject = resource("aws:ecr/repository:Repository", clients)
    before, after = ({"name": "vision", "encryptionConfigurations": one} for one in (old, new))
    assert subject.replaced_by(before, after) == replaces


def test_repository_with_a_key_tells_it(clients: Clients) -> None:
    subject = resource("aws:ecr/repository:Repository", clients)
    inputs = {"name": "vision", "encryptionConfigurations": [KEY]}
    resource_id, _ = subject.create(inputs)
    assert (subject.read(resource_id) or {})["encryptionConfigurations"] == [KEY]


def lifecycle_text(*priorities: int) -> str:
    rules = [
        {
            "selection": {"tagStatus": "tagged", "tagPatternList": [f"v{one}*"], "countType": COUNT, "countNumber": 1},
            "rulePriority": one,
            "action": {"type": "expire"},
        }
        for one in priorities
    ]
    return json.dumps({"rules": rules}, indent=2)


COUNT = "imageCountMoreThan"


def test_lifecycle_policy_reads_back_canonical_until_it_is_deleted(clients: Clients) -> None:
    resource("aws:ecr/repository:Repository", clients).create({"name": "team/vision"})
    subject = resource("aws:ecr/lifecyclePolicy:LifecyclePolicy", clients)
    assert subject.read("team/vision") is None
    resource_id, computed = subject.create({"repository": "team/vision", "policy": lifecycle_text(2, 1)})
    found = subject.read(resource_id)
    assert found == {"repository": "team/vision", "policy": canonical(lifecycle_text(1, 2)), **computed}
    subject.delete(resource_id)
    assert subject.read(resource_id) is None
    subject.delete(resource_id)
    subject.delete("unknown")


def canonical(text: str) -> str:
    return json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))


@pytest.mark.parametrize(
    ("change", "replaces"),
    [
        ({"policy": canonical(lifecycle_text(2, 1))}, set()),
        ({"policy": lifecycle_text(1)}, {"policy"}),
        ({"repository": "other"}, {"repository"}),
    ],
)
def test_lifecycle_policy_is_replaced_when_it_says_something_else(
    change: Properties, replaces: set[str], clients: Clients
) -> None:
    inputs = {"repository": "vision", "policy": lifecycle_text(1, 2)}
    subject = resource("aws:ecr/lifecyclePolicy:LifecyclePolicy", clients)
    assert subject.replaced_by(inputs, inputs | change) == replaces


def test_bucket_settings_read_back(clients: Clients) -> None:
    resource("aws:s3/bucket:Bucket", clients).create({"bucket": "data"})
    blocks = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    settings: dict[str, Properties] = {
        "aws:s3/bucketVersioning:BucketVersioning": {"versioningConfiguration": {"status": "Enabled"}},
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": {
            "rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}]
        },
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": {
            "rules": [
                {
                    "id": "unfinished",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "abortIncompleteMultipartUpload": {"daysAfterInitiation": 2},
                },
                {
                    "id": "boots",
                    "status": "Enabled",
                    "filter": {"prefix": "boots/"},
                    "expiration": {"days": 8},
                    "noncurrentVersionExpiration": {"noncurrentDays": 1},
                },
            ]
        },
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": dict.fromkeys(blocks, True),
    }
    for token, setting in settings.items():
        subject, inputs = resource(token, clients), {"bucket": "data", **setting}
        resource_id, _ = subject.create(inputs)
        assert subject.read(resource_id) == inputs


def test_role_policy_and_profile_follow_their_role(clients: Clients) -> None:
    resource("aws:iam/role:Role", clients).create({"name": "r", "assumeRolePolicy": TRUST})
    policy = resource("aws:iam/rolePolicy:RolePolicy", clients)
    inputs = {"role": "r", "name": "capctl", "policy": POLICY}
    policy_id, _ = policy.create(inputs)
    assert policy.read(policy_id) == inputs
    profile = resource("aws:iam/instanceProfile:InstanceProfile", clients)
    profile_id, _ = profile.create({"name": "p", "role": "r"})
    found = profile.read(profile_id)
    assert found is not None
    assert found["role"] == "r"
    profile.delete(profile_id)
    policy.delete(policy_id)
    assert (profile.read(profile_id), policy.read(policy_id)) == (None, None)


def test_managed_policy_is_attached_to_its_role_until_it_is_deleted(clients: Clients) -> None:
    arn = clients["iam"].create_policy(PolicyName="managed", PolicyDocument=POLICY)["Policy"]["Arn"]
    attachment = resource("aws:iam/rolePolicyAttachment:RolePolicyAttachment", clients)
    inputs = {"role": "r", "policyArn": arn}
    assert attachment.read(f"r/{arn}") is None
    resource("aws:iam/role:Role", clients).create({"name": "r", "assumeRolePolicy": TRUST})
    attachment_id, _ = attachment.create(inputs)
    assert attachment.read(attachment_id) == inputs
    assert attachment.replaced_by(inputs, inputs | {"role": "other"}) == {"role"}
    attachment.delete(attachment_id)
    assert attachment.read(attachment_id) is None
    attachment.delete(attachment_id)


ENVIRONMENT = {
    "name": "vision-1",
    "type": "MANAGED",
    "computeResources": {
        "type": "SPOT",
        "allocationStrategy": "SPOT_PRICE_CAPACITY_OPTIMIZED",
        "minVcpus": 0,
        "maxVcpus": 8,
        "instanceTypes": ["g5.xlarge"],
        "launchTemplate": {"launchTemplateId": "lt-1", "version": "1"},
        "ec2Configurations": [{"imageType": "ECS_AL2023_NVIDIA"}],
    },
}


@pytest.mark.parametrize(
    ("change", "replaces"),
    [
        ({"maxVcpus": 16}, set()),
        ({"instanceTypes": ["g6.xlarge"]}, set()),
        ({"launchTemplate": {"launchTemplateId": "lt-1", "version": "2"}}, set()),
        ({"launchTemplate": None}, {"computeResources"}),
        ({"ec2Configurations": []}, {"computeResources"}),
        ({"placementGroup": "pg"}, {"computeResources"}),
        ({"spotIamFleetRole": "arn:role"}, {"computeResources"}),
        ({"allocationStrategy": "BEST_FIT"}, {"computeResources"}),
    ],
)
def test_compute_environment_is_replaced_where_the_real_provider_does(
    change: Properties, replaces: set[str], clients: Clients
) -> None:
    subject = resource("aws:batch/computeEnvironment:ComputeEnvironment", clients)
    changed = ENVIRONMENT | {"computeResources": {**ENVIRONMENT["computeResources"], **change}}  # type: ignore[dict-item]
    assert subject.replaced_by(ENVIRONMENT, changed) == replaces


@pytest.mark.parametrize(
    ("token", "change", "replaces"),
    [
        ("aws:batch/computeEnvironment:ComputeEnvironment", {"type": "UNMANAGED"}, {"type"}),
        ("aws:batch/computeEnvironment:ComputeEnvironment", {"state": "DISABLED"}, set()),
        ("aws:batch/jobQueue:JobQueue", {"name": "x", "priority": 2}, {"name"}),
        ("aws:batch/jobDefinition:JobDefinition", {"containerProperties": "{}"}, set()),
        ("aws:batch/jobDefinition:JobDefinition", {"name": "x"}, {"name"}),
    ],
)
def test_batch_resources_replace_only_what_is_fixed(
    token: str, change: Properties, replaces: set[str], clients: Clients
) -> None:
    assert resource(token, clients).replaced_by(ENVIRONMENT, ENVIRONMENT | change) == replaces


def test_scaling_never_replaces_whatever_the_strategy(clients: Clients) -> None:
    subject = resource("aws:batch/computeEnvironment:ComputeEnvironment", clients)
    old = {"computeResources": {"allocationStrategy": "BEST_FIT", "maxVcpus": 8}}
    assert subject.replaced_by(old, {"computeResources": {"allocationStrategy": "BEST_FIT", "maxVcpus": 9}}) == set()


def test_job_definition_delete_takes_every_revision_of_its_name(clients: Clients) -> None:
    subject = resource("aws:batch/jobDefinition:JobDefinition", clients)
    needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]
    inputs = {
        "name": "vision-1",
        "type": "container",
        "containerProperties": json.dumps({"image": "busybox", "resourceRequirements": needs}),
        "retryStrategy": {"attempts": 2, "evaluateOnExits": [{"action": "EXIT", "onReason": "*"}]},
        "timeout": {"attemptDurationSeconds": 60},
    }
    first, computed = subject.create(inputs)
    second = subject.update(first, inputs, inputs)["arn"]
    assert (computed["revision"], second) == (1, f"{first.removesuffix(':1')}:2")
    assert subject.read(first) is None
    subject.delete(second)
    assert subject.read(second) is None
