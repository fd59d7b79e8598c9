"""Machines behind EC2 instances: real Packer provisions one, its image boots another, and nothing survives."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lifecycle.rehearsal import leftovers
from lifecycle.rehearsal.emulator.launch import Emulator, EmulatorOptions
from lifecycle.rehearsal.machine import BootFailed, Machine, MachineSpec, machines_supported
from lifecycle.rehearsal.rootfs import RootfsUnavailable, instance_rootfs
from tests.rehearsal.stage_parts import REGION, Aws, cache, ssh, until

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(300)]

TEMPLATE = """
variable "endpoint" { type = string }
variable "ssh_port" { type = number }
variable "base_ami" { type = string }
source "amazon-ebs" "models" {
  region                     = "us-west-2"
  custom_endpoint_ec2        = var.endpoint
  skip_region_validation     = true
  skip_metadata_api_check    = true
  skip_credential_validation = true
  ami_name                   = "models-1"
  ami_description            = "baked by a test"
  instance_type              = "c7i.large"
  source_ami                 = var.base_ami
  ssh_username               = "ec2-user"
  ssh_interface              = "private_ip"
  ssh_port                   = var.ssh_port
  ssh_timeout                = "30s"
  ssh_file_transfer_method   = "sftp"
  snapshot_tags              = { Project = "models" }
  launch_block_device_mappings {
    device_name           = "/dev/xvda"
    volume_size           = 100
    volume_type           = "gp3"
    iops                  = 3000
    throughput            = 250
    delete_on_termination = true
  }
}
build {
  sources = ["source.amazon-ebs.models"]
  provisioner "file" {
    source      = "${path.root}/weights"
    destination = "/tmp/weights"
  }
  provisioner "shell" {
    inline = ["sudo install -D -m 444 /tmp/weights /opt/dl-models/models/weights"]
  }
}
"""


@dataclass(frozen=True)
class Instance:
    id: str
    address: str
    state: str
    reason: str


@dataclass(frozen=True)
class Stage:
    emulator: Emulator
    aws: Aws
    key: Path

    def launch(self, image: str) -> Instance:
        run = self.aws.ec2.run_instances(
            ImageId=image, MinCount=1, MaxCount=1, KeyName="test", InstanceType="c7i.large"
        )
        return self.describe(run["Instances"][0]["InstanceId"])

    def describe(self, instance_id: str) -> Instance:
        (reservation,) = self.aws.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
        (found,) = reservation["Instances"]
        reason = found.get("StateReason", {}).get("Message", "")
        return Instance(instance_id, found.get("PrivateIpAddress", ""), found["State"]["Name"], reason)

    def on(self, instance: Instance, command: str) -> str:
        return ssh(self.key, instance.address, self.emulator.facts["ssh_port"], command)


@pytest.fixture(scope="module")
def rootfs() -> Path:
    if why := machines_supported():
        pytest.skip(why)
    try:
        return instance_rootfs(cache(), print)
    except RootfsUnavailable as err:
        pytest.skip(str(err))


def open_stage(home: Path, rootfs: Path) -> Stage:
    rehearsal = f"test-{uuid.uuid4().hex[:8]}"
    emulator = Emulator(EmulatorOptions(state=home / "state", rehearsal=rehearsal, rootfs=rootfs, stop_grace_s=1))
    aws = Aws(emulator.endpoint)
    key = home / "key"
    key.touch(mode=0o600)
    key.write_text(aws.ec2.create_key_pair(KeyName="test")["KeyMaterial"])
    return Stage(emulator, aws, key)


@pytest.fixture
def stage(tmp_path: Path, rootfs: Path) -> Iterator[Stage]:
    opened = open_stage(tmp_path, rootfs)
    yield opened
    opened.emulator.close()
    assert leftovers.find(opened.emulator.options.rehearsal, opened.emulator.options.state) == []


def packer(stage: Stage, home: Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("packer")
    if program is None:
        pytest.skip("`packer` is not installed")
    (home / "bake.pkr.hcl").write_text(TEMPLATE)
    (home / "weights").write_text("0123456789")
    facts: dict[str, Any] = stage.emulator.facts
    variables = {"endpoint": facts["endpoint"], "ssh_port": facts["ssh_port"], "base_ami": facts["base_ami"]}
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TMPDIR": str(home),
        "CHECKPOINT_DISABLE": "1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    flags = [part for name, value in variables.items() for part in ("-var", f"{name}={value}")]
    return subprocess.run(
        [program, "build", "-machine-readable", *flags, str(home / "bake.pkr.hcl")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )


def test_packer_bakes_an_image_that_boots_with_what_was_baked(stage: Stage, tmp_path: Path) -> None:
    done = packer(stage, tmp_path)
    assert done.returncode == 0, done.stdout[-2000:]
    (image,) = stage.aws.ec2.describe_images(Owners=["self"])["Images"]
    assert (image["Name"], image["Description"], image["RootDeviceType"]) == ("models-1", "baked by a test", "ebs")
    (mapping,) = image["BlockDeviceMappings"]
    ebs = mapping["Ebs"]
    assert (mapping["DeviceName"], ebs["VolumeSize"], ebs["VolumeType"], ebs["Throughput"]) == (
        "/dev/xvda",
        100,
        "gp3",
        250,
    )
    (snapshot,) = stage.aws.ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    assert (snapshot["VolumeSize"], snapshot["Tags"]) == (100, [{"Key": "Project", "Value": "models"}])
    assert stage.aws.ec2.describe_key_pairs()["KeyPairs"][0]["KeyName"] == "test"  # Packer removed its own

    baked = stage.launch(image["ImageId"])
    assert stage.on(baked, "cat /opt/dl-models/models/weights") == "0123456789"
    assert stage.on(baked, "stat -c '%a %U:%G' /opt/dl-models/models/weights") == "444 root:root\n"
    assert stage.on(baked, "ls /tmp") == ""


def test_machine_has_no_rights_over_its_host(stage: Stage) -> None:
    machine = stage.launch(stage.emulator.facts["base_ami"])
    assert stage.on(machine, "sudo id -u") == "0\n"
    for forbidden in (
        "mount -t tmpfs none /mnt",
        "mknod /root/disk b 8 0",
        "date -s 2000-01-01",
        "ip link add x type dummy",
    ):
        assert stage.on(machine, f"sudo {forbidden} >/dev/null 2>&1 || echo refused") == "refused\n", forbidden
    assert int(stage.on(machine, "ls -d /proc/[0-9]* | wc -l")) < 20


def test_stop_start_and_reboot_keep_the_disk_and_the_address(stage: Stage) -> None:
    machine = stage.launch(stage.emulator.facts["base_ami"])
    stage.on(machine, "echo kept | sudo tee /var/kept")
    stage.aws.ec2.stop_instances(InstanceIds=[machine.id])
    assert stage.describe(machine.id).state == "stopped"
    stage.aws.ec2.start_instances(InstanceIds=[machine.id])
    assert stage.describe(machine.id).address == machine.address
    stage.aws.ec2.reboot_instances(InstanceIds=[machine.id])
    assert stage.on(machine, "cat /var/kept") == "kept\n"


def test_script_in_the_user_data_runs_once_and_as_root(stage: Stage) -> None:
    base = stage.emulator.facts["base_ami"]
    script = "#!/bin/bash\nid -u >>/var/ran\n"
    run = stage.aws.ec2.run_instances(ImageId=base, MinCount=1, MaxCount=1, KeyName="test", UserData=script)
    machine = stage.describe(run["Instances"][0]["InstanceId"])
    until(lambda: stage.on(machine, "cat /var/ran 2>/dev/null || true") == "0\n")
    stage.aws.ec2.reboot_instances(InstanceIds=[machine.id])
    assert stage.on(machine, "cat /var/ran") == "0\n"


@pytest.mark.parametrize(("behaviour", "state"), [("stop", "stopped"), ("terminate", "terminated")])
def test_instance_that_shuts_itself_down_ends_as_it_was_launched_to(stage: Stage, behaviour: str, state: str) -> None:
    run = stage.aws.ec2.run_instances(
        ImageId=stage.emulator.facts["base_ami"],
        MinCount=1,
        MaxCount=1,
        UserData="#!/bin/bash\nshutdown -h now\n",
        InstanceInitiatedShutdownBehavior=behaviour,
    )
    machine = run["Instances"][0]["InstanceId"]
    until(lambda: stage.describe(machine).state == state)
    until(lambda: "Instance initiated shutdown" in stage.describe(machine).reason)


def test_user_data_in_parts_boots_nothing(stage: Stage) -> None:
    parts = 'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="b"\n'
    base = stage.emulator.facts["base_ami"]
    stage.aws.ec2.run_instances(ImageId=base, MinCount=1, MaxCount=1, UserData=parts)
    assert list((stage.emulator.options.state / "machines").iterdir()) == []


def test_terminated_machine_leaves_no_process_and_no_file(stage: Stage) -> None:
    machine = stage.launch(stage.emulator.facts["base_ami"])
    stage.on(machine, "nohup sleep 300 >/dev/null 2>&1 &")
    stage.aws.ec2.terminate_instances(InstanceIds=[machine.id])
    left = [one for one in leftovers.find(stage.emulator.options.rehearsal) if "emulator" not in one.detail]
    assert left == []
    assert list((stage.emulator.options.state / "machines").iterdir()) == []


def test_terminated_instance_holds_no_network_interface_and_no_group_and_stays_terminated(stage: Stage) -> None:
    ec2 = stage.aws.ec2
    group = ec2.create_security_group(GroupName=f"cards-{uuid.uuid4().hex}", Description="of one instance")["GroupId"]
    base = stage.emulator.facts["base_ami"]
    launched = ec2.run_instances(ImageId=base, MinCount=1, MaxCount=1, SecurityGroupIds=[group])["Instances"][0]
    cards = {"Filters": [{"Name": "group-id", "Values": [group]}]}
    (card,) = ec2.describe_network_interfaces(**cards)["NetworkInterfaces"]
    assert card["Attachment"]["InstanceId"] == launched["InstanceId"]
    for _ in range(2):  # the second time it is terminated already
        ec2.terminate_instances(InstanceIds=[launched["InstanceId"]])
    assert ec2.describe_network_interfaces(**cards)["NetworkInterfaces"] == []
    ec2.delete_security_group(GroupId=group)
    for change in (ec2.stop_instances, ec2.start_instances):
        with pytest.raises(ClientError, match="IncorrectInstanceState"):
            change(InstanceIds=[launched["InstanceId"]])


def test_image_of_a_running_machine_holds_what_was_written_before(stage: Stage) -> None:
    machine = stage.launch(stage.emulator.facts["base_ami"])
    for number, no_reboot in enumerate((False, True)):
        stage.on(machine, f"echo {number} | sudo tee /var/written")
        image = stage.aws.ec2.create_image(InstanceId=machine.id, Name=f"image-{number}", NoReboot=no_reboot)["ImageId"]
        assert stage.on(stage.launch(image), "cat /var/written") == f"{number}\n"
    assert stage.on(machine, "cat /var/written") == "1\n"


def test_of_two_images_at_once_with_one_name_one_is_refused(stage: Stage) -> None:
    machines = [stage.launch(stage.emulator.facts["base_ami"]) for _ in range(2)]

    def made(machine: Instance) -> str:
        try:
            return str(stage.aws.ec2.create_image(InstanceId=machine.id, Name="wanted-twice")["ImageId"])
        except ClientError as error:
            return str(error.response["Error"]["Code"])

    with ThreadPoolExecutor(2) as pool:
        ends = list(pool.map(made, machines))
    assert [end for end in ends if not end.startswith("ami-")] == ["InvalidAMIName.Duplicate"]


def test_copy_lives_on_when_its_source_is_deregistered(stage: Stage) -> None:
    machine = stage.launch(stage.emulator.facts["base_ami"])
    stage.on(machine, "echo one | sudo tee /var/written")
    ec2 = stage.aws.ec2
    source = ec2.create_image(InstanceId=machine.id, Name="source")["ImageId"]
    copy = ec2.copy_image(SourceImageId=source, SourceRegion=REGION, Name="the-copy")["ImageId"]
    ec2.deregister_image(ImageId=source)
    assert stage.on(stage.launch(copy), "cat /var/written") == "one\n"


def test_machine_that_cannot_boot_is_terminated_with_the_reason(stage: Stage, rootfs: Path) -> None:
    machine = stage.launch(stage.emulator.facts["base_ami"])
    stage.on(machine, "sudo chmod a-x /usr/sbin/sshd")
    broken = stage.aws.ec2.create_image(InstanceId=machine.id, Name="broken", NoReboot=True)["ImageId"]
    dead = stage.launch(broken)
    assert dead.state == "terminated"
    assert "process 1 ended" in dead.reason
    assert "sshd" in stage.emulator.log.read_text()


def test_two_emulators_side_by_side(stage: Stage, tmp_path: Path, rootfs: Path) -> None:
    (tmp_path / "other").mkdir()
    other = open_stage(tmp_path / "other", rootfs)
    try:
        machines = [(one, one.launch(one.emulator.facts["base_ami"])) for one in (stage, other)]
        for number, (one, machine) in enumerate(machines):
            one.on(machine, f"echo {number} | sudo tee /var/who")
        assert [one.on(machine, "cat /var/who") for one, machine in machines] == ["0\n", "1\n"]
    finally:
        other.emulator.close()
    assert stage.on(machines[0][1], "cat /var/who") == "0\n"


def test_killed_emulator_takes_its_machines_along(tmp_path: Path, rootfs: Path) -> None:
    stage = open_stage(tmp_path, rootfs)
    options = stage.emulator.options
    stage.on(stage.launch(stage.emulator.facts["base_ami"]), "nohup sleep 300 >/dev/null 2>&1 &")
    os.kill(stage.emulator.pid, signal.SIGKILL)
    until(lambda: leftovers.find(options.rehearsal, options.state) == [])
    stage.emulator.close()


def test_boot_of_a_tree_without_sshd_fails_with_its_console(tmp_path: Path, rootfs: Path) -> None:
    (tmp_path / "empty").mkdir()
    spec = MachineSpec(
        name="i-test",
        home=tmp_path / "machine",
        layers=(tmp_path / "empty",),
        address="127.20.30.40",
        ssh_port=2222,
        authorized_keys="",
        rehearsal="test",
    )
    with pytest.raises(BootFailed) as failed:
        Machine(spec).boot()
    assert failed.value.details
