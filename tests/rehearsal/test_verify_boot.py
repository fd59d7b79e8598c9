"""`ami verify --boot`: an instance of the AMI reads its disk again, and nothing of it stays."""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lifecycle.domain.tags import Tag
from tests.rehearsal.bake_stage import BUCKET, Stage, bake_stage
from tests.rehearsal.stage_parts import REGION, until

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(180)]
AGE = "opt/dl-models/models/age-v1.onnx"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with bake_stage(tmp_path_factory.mktemp("state"), tmp_path_factory.mktemp("boot") / "project") as stage:
        yield stage


@pytest.fixture(scope="module")
def ami(stage: Stage) -> str:
    return str(stage.answer("ami", "bake")["id"])


def objects(stage: Stage) -> list[str]:
    """What a boot may leave in the bucket."""
    found = stage.aws.s3.list_objects_v2(Bucket=BUCKET, Prefix="boots/")
    return [item["Key"] for item in found.get("Contents", [])]


def tampered(stage: Stage, ami: str, change: Callable[[Path], object]) -> str:
    """A copy of an AMI of a changed disk, under the good one's tags: EC2 names no instance for a copy, so that only a boot can tell."""
    ec2 = stage.aws.ec2
    instance = ec2.run_instances(ImageId=ami, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    with urllib.request.urlopen(f"{stage.emulator.endpoint}/_capctl/disks/{instance}") as answer:
        disk = Path(json.load(answer)["disk"])
    change(disk)
    (good,) = ec2.describe_images(ImageIds=[ami])["Images"]
    middle = ec2.create_image(InstanceId=instance, Name=f"{instance}")["ImageId"]
    ec2.terminate_instances(InstanceIds=[instance])
    kept = [*good["Tags"], {"Key": Tag.COPIED_FROM.value, "Value": f"{REGION}/{middle}"}]
    tags = [{"ResourceType": kind, "Tags": kept} for kind in ("image", "snapshot")]
    name = f"{good['Name']}-{instance}"
    copy = ec2.copy_image(SourceImageId=middle, SourceRegion=REGION, Name=name, TagSpecifications=tags)["ImageId"]
    ec2.deregister_image(ImageId=middle)
    ec2.modify_image_attribute(ImageId=copy, ImdsSupport={"Value": "v2.0"})
    return str(copy)


def test_good_ami_passes_and_leaves_no_instance_and_no_object(stage: Stage, ami: str) -> None:
    report = stage.answer("ami", "verify", ami, "--boot")
    assert (report["ok"], report["level"]) == (True, "boot")
    assert {"boot: payload", "boot: leftovers"} <= {check["name"] for check in report["checks"]}
    assert "a boot of the AMI" not in report["not_checked"]
    assert stage.answer("ami", "show", ami)["verified"].startswith("boot ")
    assert stage.left() == []
    assert objects(stage) == []


def replaced(path: str, data: bytes, mode: int) -> Callable[[Path], object]:
    """A file of the disk with other content or another mode."""

    def change(disk: Path) -> None:
        place = disk / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        place.chmod(mode)

    return change


def linked(disk: Path) -> None:
    place = disk / AGE
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to("/etc/passwd")


DAMAGES = {
    "a wrong byte": (replaced(AGE, b"agE" + b"age" * 99_999, 0o444), "`models/age-v1.onnx`: sha256 "),
    "an added file": (replaced("opt/dl-models/experiments/new.yaml", b"", 0o444), "`experiments/new.yaml`: not in "),
    "a wrong mode": (replaced(AGE, b"age" * 100_000, 0o644), "`models/age-v1.onnx`: mode 0644, expected 0444"),
    "a link out of the tree": (linked, "`models/age-v1.onnx`: neither a file nor a folder"),
    "a key": (
        replaced("root/.ssh/authorized_keys", b"ssh-ed25519 AAAA\n", 0o600),
        "`/root/.ssh/authorized_keys`: holds",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_ami_of_a_changed_disk_is_refused_and_the_file_named(stage: Stage, ami: str, damage: str) -> None:
    change, said = DAMAGES[damage]
    bad = tampered(stage, ami, change)
    assert stage.answer("ami", "verify", bad)["ok"]
    done = stage.run("-o", "json", "ami", "verify", bad, "--boot")
    document = json.loads(done.stdout)
    assert (done.returncode, document["schema"], document["level"]) == (1, "capctl.ami-verification/1", None)
    (failed,) = [check for check in document["checks"] if not check["ok"]]
    assert failed["name"].startswith("boot: ")
    assert failed["found"].startswith(said)
    shown = stage.answer("ami", "show", bad)
    assert (shown["status"], shown["verified"].split(" ")[:2]) == ("candidate", ["failed", "boot"])
    assert (stage.left(), objects(stage)) == ([], [])
    stage.aws.ec2.deregister_image(ImageId=bad)


def running(stage: Stage) -> list[str]:
    """The ids of instances that EC2 shows as running."""
    filters = [{"Name": "instance-state-name", "Values": ["running"]}]
    found = stage.aws.ec2.describe_instances(Filters=filters)["Reservations"]
    return [instance["InstanceId"] for reservation in found for instance in reservation["Instances"]]


@pytest.mark.parametrize("moment", ["EC2 starts it", "it reads its disk"])
def test_sigterm_in_the_middle_leaves_nothing(stage: Stage, ami: str, moment: str, tmp_path: Path) -> None:
    said = tmp_path / "said"
    with said.open("w") as stderr:
        verifying = subprocess.Popen(
            stage.command("ami", "verify", ami, "--boot"), cwd=stage.folder, env=stage.environment, stderr=stderr
        )
    until(lambda: running(stage) if moment == "EC2 starts it" else "reads its disk" in said.read_text())
    verifying.send_signal(signal.SIGTERM)
    assert verifying.wait(30) == 130, said.read_text()
    assert (stage.left(), objects(stage)) == ([], []), said.read_text()
