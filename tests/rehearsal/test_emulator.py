"""The emulator's process, its images and its plain services answer as AWS does where moto does not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from lifecycle.rehearsal import leftovers
from lifecycle.rehearsal.child import PartFailed
from lifecycle.rehearsal.emulator.launch import Emulator, EmulatorOptions
from tests.rehearsal.emulator_parts import Batch, code
from tests.rehearsal.stage_parts import REGION, Aws, until

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(120)]


def test_emulator_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    rehearsal = f"test-{uuid.uuid4().hex[:8]}"
    script = (
        "import os, sys; from pathlib import Path\n"
        "from lifecycle.rehearsal.emulator.launch import Emulator, EmulatorOptions\n"
        "Emulator(EmulatorOptions(state=Path(sys.argv[1]), rehearsal=sys.argv[2]))\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "state"), rehearsal], check=True, timeout=60)
    until(lambda: leftovers.find(rehearsal) == [])


def test_taken_port_is_one_sentence_on_stderr(emulator: Emulator, tmp_path: Path) -> None:
    port = emulator.endpoint.rpartition(":")[2]
    command = [sys.executable, "-m", "lifecycle.rehearsal.emulator", "--port", port, "--state", str(tmp_path)]
    done = subprocess.run([*command, "--rehearsal", "test"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert f"cannot start on port {port}" in done.stderr


def test_emulator_listens_on_loopback_only(emulator: Emulator) -> None:
    port = int(emulator.endpoint.rpartition(":")[2])
    wanted = f"{port:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = {fields[1].split(":")[0] for fields in lines if fields[1].endswith(f":{wanted}") and fields[3] == "0A"}
    assert listening == {"0100007F"}


def test_second_emulator_on_the_same_state_is_refused(emulator: Emulator) -> None:
    with pytest.raises(PartFailed) as failed:
        Emulator(EmulatorOptions(state=emulator.options.state, rehearsal="test"))
    assert "temporarily unavailable" in failed.value.details[-1]


@pytest.mark.usefixtures("engine")
def test_job_of_a_killed_emulator_is_a_leftover_that_can_be_removed(tmp_path: Path) -> None:
    rehearsal = f"test-{uuid.uuid4().hex[:8]}"
    emulator = Emulator(EmulatorOptions(state=tmp_path / "state", rehearsal=rehearsal))
    opened = Batch(Aws(emulator.endpoint), emulator.facts["base_ami"], name="killed").open_queue()
    opened.wait(opened.submit(opened.define("sleep 300")), "RUNNING")
    os.kill(emulator.pid, signal.SIGKILL)
    emulator.close()
    assert "container" in {one.kind for one in leftovers.find(rehearsal, tmp_path / "state")}
    assert leftovers.remove(rehearsal, tmp_path / "state") == []


def test_conditional_write_and_presigned_object(aws: Aws, emulator: Emulator) -> None:
    aws.dynamodb.create_table(
        TableName="releases",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    item = {
        "TableName": "releases",
        "Item": {"pk": {"S": "pointer"}},
        "ConditionExpression": "attribute_not_exists(pk)",
    }
    aws.dynamodb.put_item(**item)
    assert code(aws.dynamodb.put_item, **item) == "ConditionalCheckFailedException"
    aws.s3.create_bucket(Bucket="models", CreateBucketConfiguration={"LocationConstraint": REGION})
    aws.s3.put_object(Bucket="models", Key="a/b.onnx", Body=b"weights")
    url = aws.s3.generate_presigned_url("get_object", Params={"Bucket": "models", "Key": "a/b.onnx"})
    done = subprocess.run(
        ["curl", "-fsS", url], capture_output=True, check=True, env={**os.environ, "no_proxy": "127.0.0.1"}
    )
    assert done.stdout == b"weights"


def test_public_parameter_names_the_base_image(aws: Aws, emulator: Emulator) -> None:
    name = "/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id"
    image_id = aws.ssm.get_parameter(Name=name)["Parameter"]["Value"]
    (image,) = aws.ec2.describe_images(Owners=["amazon"])["Images"]
    assert image["ImageId"] == image_id == emulator.facts["base_ami"]
    assert image["CreationDate"] < datetime.now(UTC).isoformat()


def test_parameter_of_an_image_is_published_with_its_type_once_the_image_was_found(
    aws: Aws, emulator: Emulator
) -> None:
    folder, value = "/capctl/test/ami", emulator.facts["base_ami"]

    def put(name: str, value: str) -> int:
        wanted = {"Name": f"{folder}/{name}", "Value": value, "Type": "String", "DataType": "aws:ec2:image"}
        return int(aws.ssm.put_parameter(**wanted)["Version"])

    assert put("unseen", "ami-0123456789abcdef0") == put("stable", value) == 1
    until(lambda: aws.ssm.get_parameters(Names=[f"{folder}/stable"])["Parameters"])
    assert code(lambda: aws.ssm.get_parameter(Name=f"{folder}/unseen")) == "ParameterNotFound"
    (found,) = aws.ssm.get_parameter_history(Name=f"{folder}/stable")["Parameters"]
    assert (found["Value"], found["DataType"], found["Version"]) == (value, "aws:ec2:image", 1)
    assert found["LastModifiedUser"].startswith("arn:aws:iam::")
    assert code(lambda: put("stable", "latest")) == "ValidationException"


def test_call_is_recorded_with_its_operation_and_who_made_it(aws: Aws, emulator: Emulator) -> None:
    """One of each of AWS's protocols, and one without a header."""
    record = Path(emulator.facts["calls"])
    before = len(record.read_text().splitlines())
    aws.iam.list_roles()
    aws.ec2.describe_vpcs()
    aws.ecr.describe_repositories()
    aws.batch.describe_job_queues()
    aws.s3.create_bucket(Bucket="recorded", CreateBucketConfiguration={"LocationConstraint": REGION})
    aws.s3.put_bucket_tagging(Bucket="recorded", Tagging={"TagSet": []})
    aws.s3.put_object(Bucket="recorded", Key="a b", Body=b"text")
    signer = boto3.client(
        "s3",
        endpoint_url=emulator.endpoint,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    url = signer.generate_presigned_url("get_object", Params={"Bucket": "recorded", "Key": "a b"})
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"text"
    calls = [json.loads(line) for line in record.read_text().splitlines()[before:]]
    assert [f"{call['service']}:{call['operation']}" for call in calls] == [
        "iam:ListRoles", "ec2:DescribeVpcs", "ecr:DescribeRepositories", "batch:DescribeJobQueues",
        "s3:CreateBucket", "s3:PutBucketTagging", "s3:PutObject", "s3:GetObject",
    ]  # fmt: skip
    assert {call["key_id"] for call in calls} == {"test"}
    assert [call["presigned"] for call in calls] == [False] * 7 + [True]
    assert [call["agent"].split("/")[0] for call in calls] == ["Boto3"] * 7 + ["Python-urllib"]


@pytest.fixture
def image(aws: Aws, emulator: Emulator) -> str:
    run = aws.ec2.run_instances(
        ImageId=emulator.facts["base_ami"],
        MinCount=1,
        MaxCount=1,
        BlockDeviceMappings=[
            {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 100, "Encrypted": True}},
            {"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 7, "VolumeType": "gp3", "DeleteOnTermination": False}},
        ],
    )
    name = f"image-{uuid.uuid4().hex[:8]}"
    tags = [{"ResourceType": kind, "Tags": [{"Key": "of", "Value": kind}]} for kind in ("image", "snapshot")]
    instance = run["Instances"][0]["InstanceId"]
    made = aws.ec2.create_image(InstanceId=instance, Name=name, Description="text", TagSpecifications=tags)
    assert code(aws.ec2.create_image, InstanceId=instance, Name=name) == "InvalidAMIName.Duplicate"
    aws.ec2.terminate_instances(InstanceIds=[instance])
    return str(made["ImageId"])


def described(aws: Aws, image: str) -> dict[str, Any]:
    (found,) = aws.ec2.describe_images(ImageIds=[image])["Images"]
    return dict(found)


def test_image_has_a_snapshot_of_every_volume(aws: Aws, image: str) -> None:
    found = described(aws, image)
    assert (found["RootDeviceType"], found["Description"], found["Tags"]) == (
        "ebs",
        "text",
        [{"Key": "of", "Value": "image"}],
    )
    volumes = {mapping["DeviceName"]: mapping["Ebs"] for mapping in found["BlockDeviceMappings"]}
    assert {name: (ebs["VolumeSize"], ebs["VolumeType"], ebs["Encrypted"]) for name, ebs in volumes.items()} == {
        "/dev/xvda": (100, "gp3", True),
        "/dev/sdb": (7, "gp3", False),
    }
    assert not volumes["/dev/sdb"]["DeleteOnTermination"]
    ids = [ebs["SnapshotId"] for ebs in volumes.values()]
    snapshots = aws.ec2.describe_snapshots(SnapshotIds=ids)["Snapshots"]
    assert sorted(snapshot["VolumeSize"] for snapshot in snapshots) == [7, 100]
    assert all(snapshot["Tags"] == [{"Key": "of", "Value": "snapshot"}] for snapshot in snapshots)


def test_deprecation_protection_and_attributes_are_read_back(aws: Aws, image: str) -> None:
    aws.ec2.enable_image_deprecation(ImageId=image, DeprecateAt="2027-01-01T00:00:31Z")
    aws.ec2.modify_image_attribute(ImageId=image, ImdsSupport={"Value": "v2.0"})
    aws.ec2.modify_image_attribute(ImageId=image, Description={"Value": "changed"})
    aws.ec2.enable_image_deregistration_protection(ImageId=image)
    found = described(aws, image)
    assert found["DeprecationTime"] == "2027-01-01T00:01:00.000Z"
    assert (found["ImdsSupport"], found["Description"]) == ("v2.0", "changed")
    assert code(aws.ec2.deregister_image, ImageId=image) == "OperationNotPermitted"
    aws.ec2.disable_image_deregistration_protection(ImageId=image)
    aws.ec2.disable_image_deprecation(ImageId=image)
    assert "DeprecationTime" not in described(aws, image)


def test_deregistration_deletes_snapshots_when_asked(aws: Aws, image: str) -> None:
    results = aws.ec2.deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)["DeleteSnapshotResults"]
    assert [result["ReturnCode"] for result in results] == ["success", "success"]
    for result in results:
        assert code(aws.ec2.describe_snapshots, SnapshotIds=[result["SnapshotId"]]) == "InvalidSnapshot.NotFound"
    assert code(aws.ec2.run_instances, ImageId=image, MinCount=1, MaxCount=1) == "InvalidAMIID.Unavailable"


def test_disabled_image_is_hidden_and_does_not_start(aws: Aws, image: str) -> None:
    aws.ec2.disable_image(ImageId=image)
    shown = aws.ec2.describe_images(Owners=["self"])["Images"]
    assert image not in [one["ImageId"] for one in shown]
    shown = aws.ec2.describe_images(Owners=["self"], IncludeDisabled=True)["Images"]
    assert image in [one["ImageId"] for one in shown]
    assert code(aws.ec2.run_instances, ImageId=image, MinCount=1, MaxCount=1) == "InvalidAMIID.Unavailable"


def test_copy_has_volumes_and_snapshots_of_its_own(aws: Aws, image: str) -> None:
    name = f"copy-{image}"
    copy = aws.ec2.copy_image(SourceImageId=image, SourceRegion=REGION, Name=name, Encrypted=True, CopyImageTags=True)[
        "ImageId"
    ]
    of_copy, of_source = described(aws, copy), described(aws, image)
    sizes = [mapping["Ebs"]["VolumeSize"] for mapping in of_copy["BlockDeviceMappings"]]
    assert (sizes, of_copy["Tags"]) == ([100, 7], of_source["Tags"])
    assert all(mapping["Ebs"]["Encrypted"] for mapping in of_copy["BlockDeviceMappings"])
    ids = [{mapping["Ebs"]["SnapshotId"] for mapping in one["BlockDeviceMappings"]} for one in (of_copy, of_source)]
    assert ids[0].isdisjoint(ids[1])


def test_images_snapshots_and_templates_come_in_pages(aws: Aws) -> None:
    instance = aws.ec2.run_instances(ImageId=aws.ec2.describe_images()["Images"][0]["ImageId"], MinCount=1, MaxCount=1)
    instance_id, mark = instance["Instances"][0]["InstanceId"], f"page-{uuid.uuid4().hex[:8]}"
    tags = [{"Key": "mark", "Value": mark}]
    for number in range(5):
        kinds = [{"ResourceType": kind, "Tags": tags} for kind in ("image", "snapshot")]
        aws.ec2.create_image(InstanceId=instance_id, Name=f"{mark}-{number}", TagSpecifications=kinds)
    for number in range(17):
        aws.ec2.create_launch_template(LaunchTemplateName=f"{mark}-{number}", LaunchTemplateData={"KeyName": mark})
    marked = [{"Name": "tag:mark", "Values": [mark]}]
    for call, key, asked in (
        ("describe_images", "Images", {"Filters": marked}),
        ("describe_snapshots", "Snapshots", {"Filters": marked}),
    ):
        pages = [page[key] for page in aws.ec2.get_paginator(call).paginate(**asked, PaginationConfig={"PageSize": 2})]
        assert [len(page) for page in pages] == [2, 2, 1]
    names = [one["LaunchTemplateName"] for one in aws.ec2.describe_launch_templates()["LaunchTemplates"]]
    assert {f"{mark}-{number}" for number in range(17)} <= set(names)
    pages = aws.ec2.get_paginator("describe_launch_template_versions").paginate(
        Versions=["$Latest"], PaginationConfig={"PageSize": 10}
    )
    sizes = [len(page["LaunchTemplateVersions"]) for page in pages]
    assert sum(sizes) == len(names)
    assert max(sizes) == 10
    assert code(aws.ec2.describe_images, NextToken="nonsense") == "InvalidNextToken"
    aws.ec2.terminate_instances(InstanceIds=[instance_id])
