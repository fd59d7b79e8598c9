"""The releases program: four resources per release that never change."""

import base64
import email
import json
from dataclasses import replace
from typing import Any

import pytest

from pulumi_stack.config import ReleasesConfig, ReleaseSpec
from pulumi_stack.releases import releases
from tests.unit.pulumi_stack.recorded import Recording, record

CONFIG = ReleasesConfig(
    project="vision",
    region="eu-west-1",
    log_group="/vision/jobs",
    job_role_arn="arn:job",
    execution_role_arn="arn:execution",
    instance_profile_arn="arn:profile",
)
SPEC = ReleaseSpec(
    id="0123456789ab",
    record="{}",
    ami_id="ami-1",
    model_set="sha256:" + "a" * 64,
    image="registry/vision@sha256:" + "b" * 64,
    instance_types=("g5.xlarge", "g4dn.xlarge"),
    max_vcpus=40,
    spot=True,
    subnet_ids=("subnet-1",),
    security_group_ids=("sg-1",),
    volume_gib=100,
    vcpus=4,
    memory_mib=14_000,
    gpus=1,
    timeout_s=7200,
    attempts=4,
    environment={"DATABASE_URL": "postgresql://db"},
)


def declare(*specs: ReleaseSpec) -> Recording:
    return record(lambda: releases(CONFIG, (), specs))


@pytest.fixture(scope="module")
def one() -> Recording:
    return declare(SPEC)


def container(recording: Recording) -> dict[str, Any]:
    properties: dict[str, Any] = json.loads(recording.only("JobDefinition")["containerProperties"])
    return properties


def test_release_is_four_resources_named_after_it(one: Recording) -> None:
    made = {
        resource.type.rpartition(":")[2]: resource.inputs["name"]
        for resource in one.resources
        if "aws:" in resource.type
    }
    kinds = ("LaunchTemplate", "ComputeEnvironment", "JobQueue", "JobDefinition")
    assert made == dict.fromkeys(kinds, "vision-0123456789ab")


def test_two_releases_share_no_name() -> None:
    both = declare(SPEC, replace(SPEC, id="ba9876543210"))
    names = [(r.type, r.inputs["name"]) for r in both.resources if "aws:" in r.type]
    assert len(names) == len(set(names)) == 8


def test_host_boots_the_ami_with_imdsv2_and_an_encrypted_disk(one: Recording) -> None:
    template = one.only("LaunchTemplate")
    assert template["imageId"] == "ami-1"
    assert template["metadataOptions"]["httpTokens"] == "required"
    (disk,) = template["blockDeviceMappings"]
    assert disk["ebs"] == {"volumeSize": 100, "volumeType": "gp3", "encrypted": "true", "deleteOnTermination": "true"}


def test_user_data_is_mime_multipart_and_drains_on_spot_notice(one: Recording) -> None:
    message = email.message_from_bytes(base64.b64decode(one.only("LaunchTemplate")["userData"]))
    _, script = message.walk()
    assert message.get_content_type() == "multipart/mixed"
    assert "ECS_ENABLE_SPOT_INSTANCE_DRAINING=true" in str(script.get_payload())


def test_compute_environment_pins_template_version_and_image_type(one: Recording) -> None:
    inputs = one.only("ComputeEnvironment")
    resources = inputs["computeResources"]
    assert resources["launchTemplate"] == {
        "launchTemplateId": "LaunchTemplate-vision-0123456789ab",
        "version": "1",
    }
    assert resources["ec2Configurations"] == [{"imageType": "ECS_AL2023_NVIDIA"}]
    assert resources["minVcpus"] == 0
    assert "desiredVcpus" not in resources
    assert "serviceRole" not in inputs


def test_runtime_of_the_ami_is_mounted_read_only_where_the_image_wants_it_and_nowhere_else(one: Recording) -> None:
    found = container(declare(replace(SPEC, runtime_mount="/opt/runtime")))
    assert {"name": "runtime", "host": {"sourcePath": "/opt/dl-models/runtime"}} in found["volumes"]
    assert {"sourceVolume": "runtime", "containerPath": "/opt/runtime", "readOnly": True} in found["mountPoints"]
    assert len(found["volumes"]) == len(found["mountPoints"]) == len(container(one)["volumes"]) + 1
    assert "runtime" not in json.dumps(container(one))


@pytest.mark.parametrize(
    ("spot", "kind", "strategy"),
    [(True, "SPOT", "SPOT_PRICE_CAPACITY_OPTIMIZED"), (False, "EC2", "BEST_FIT_PROGRESSIVE")],
)
def test_strategy_follows_the_price_model(spot: bool, kind: str, strategy: str) -> None:
    resources = declare(replace(SPEC, spot=spot)).only("ComputeEnvironment")["computeResources"]
    assert (resources["type"], resources["allocationStrategy"]) == (kind, strategy)


def test_queue_gives_up_on_misconfiguration_and_never_on_capacity(one: Recording) -> None:
    reasons = [action["reason"] for action in one.only("JobQueue")["jobStateTimeLimitActions"]]
    assert len(reasons) == 3
    assert all(reason.startswith("MISCONFIGURATION:") for reason in reasons)


def test_job_runs_the_image_by_digest_with_the_three_mounts_read_only(one: Recording) -> None:
    properties = container(one)
    assert properties["image"] == SPEC.image
    mounts = [(m["sourceVolume"], m["containerPath"], m["readOnly"]) for m in properties["mountPoints"]]
    assert mounts == [(name, f"/workspace/{name}", True) for name in ("models", "checkpoints", "experiments")]
    sources = {volume["name"]: volume["host"]["sourcePath"] for volume in properties["volumes"]}
    assert sources == {name: f"/opt/dl-models/{name}" for name, _, _ in mounts}


@pytest.mark.parametrize("gpus", [0, 1])
def test_gpu_is_asked_for_only_when_there_are_gpus(gpus: int) -> None:
    recording = declare(replace(SPEC, gpus=gpus))
    kinds = [need["type"] for need in container(recording)["resourceRequirements"]]
    assert ("GPU" in kinds) is bool(gpus)
    (image_type,) = recording.only("ComputeEnvironment")["computeResources"]["ec2Configurations"]
    assert image_type["imageType"].endswith("NVIDIA") is bool(gpus)


def test_job_knows_its_model_set_and_region(one: Recording) -> None:
    environment = {entry["name"]: entry["value"] for entry in container(one)["environment"]}
    assert environment == {
        "AWS_REGION": "eu-west-1",
        "DATABASE_URL": "postgresql://db",
        "MODEL_SET": SPEC.model_set,
    }


def test_job_gets_the_address_of_its_database_from_the_secret_and_shows_only_its_name(one: Recording) -> None:
    assert "secrets" not in container(one)
    secret = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:database-a1b2c3"
    properties = container(declare(replace(SPEC, environment={}, database_secret_arn=secret)))
    assert properties["secrets"] == [{"name": "DATABASE_URL", "valueFrom": secret}]


def test_retries_cover_lost_hosts_pulls_and_temporary_failures_and_nothing_else(one: Recording) -> None:
    strategy = one.only("JobDefinition")["retryStrategy"]
    assert strategy["attempts"] == 4
    rules = strategy["evaluateOnExits"]
    assert [rule["action"] for rule in rules] == ["RETRY"] * 4 + ["EXIT"]
    assert len(rules) <= 5
    assert rules[0]["onStatusReason"] == "Host EC2*"
    assert rules[3]["onExitCode"] == "75"
    assert rules[-1] == {"action": "EXIT", "onReason": "*"}


def test_log_goes_to_the_log_group(one: Recording) -> None:
    assert container(one)["logConfiguration"]["options"]["awslogs-group"] == "/vision/jobs"


def test_equal_specs_give_equal_properties() -> None:
    twisted = replace(SPEC, environment={"B": "2", "A": "1"})
    straight = replace(SPEC, environment={"A": "1", "B": "2"})
    assert declare(twisted).only("JobDefinition") == declare(straight).only("JobDefinition")


def test_no_release_is_a_program_too() -> None:
    assert [resource for resource in declare().resources if "aws:" in resource.type] == []
