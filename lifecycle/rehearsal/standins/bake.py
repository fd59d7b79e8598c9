"""One bake without a machine: an instance in EC2, its files on the disk that the emulator keeps for it, and the AMI of both."""

from __future__ import annotations

import json
import signal
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import boto3
from botocore.exceptions import BotoCoreError, ClientError, WaiterError

from lifecycle.domain.measures import counted
from lifecycle.rehearsal.standins.payload import MODEL_ROOT, PayloadRefused, evidence_of, install

_TIMEOUT_S = 30


class BakeFailed(Exception):
    """The text is what Packer would say last."""


class Say(Protocol):
    def __call__(self, text: str, *, kind: str = "say") -> None: ...


class Bake:
    """The bake that the template's `variables` describe; `say` gets each line of output."""

    def __init__(self, variables: dict[str, Any], *, say: Say) -> None:
        self._variables = variables
        self._say = say
        self._endpoint = variables.get("custom_endpoint") or ""
        if not self._endpoint.startswith("http://127.0.0.1:"):
            # With an account behind it, an AMI without its models would be the result.
            message = "The stand-in for Packer bakes on the emulator only, and `custom_endpoint` is not on loopback"
            raise SystemExit(message)
        self._ec2 = boto3.client("ec2", region_name=variables["region"], endpoint_url=self._endpoint)
        self._instance_id = ""
        self._ami_id = ""

    def run(self) -> str:
        """Bake. Returns: the AMI id. Raises: BakeFailed; what exists by then is removed by `remove`."""
        with _told():
            self._require_free_name()
            self._launch()
            disk = self._disk()
            self._say("Downloading the models to the instance's disk")
            for path in install(disk / MODEL_ROOT, self._variables):
                self._say(f"installed {path}", kind="message")
            evidence = evidence_of(disk / MODEL_ROOT, self._instance_id)
            Path(self._variables["evidence"]).write_text(json.dumps(evidence) + "\n")
            self._say(f"Downloading the evidence of {counted(len(evidence['files']), 'file')}")
            self._say("Stopping the source instance...")
            self._ec2.stop_instances(InstanceIds=[self._instance_id])
            self._ec2.get_waiter("instance_stopped").wait(InstanceIds=[self._instance_id])
            self._create_image()
            self._terminate()
        return self._ami_id

    def remove(self) -> None:
        """Remove the instance, and the AMI with its snapshots: nothing of a failed bake stays."""
        if self._ami_id:
            self._ec2.deregister_image(ImageId=self._ami_id, DeleteAssociatedSnapshots=True)
            self._ami_id = ""
        self._terminate()

    def _require_free_name(self) -> None:
        name = self._variables["ami_name"]
        self._say(f"Prevalidating AMI Name: {name}")
        for image in self._ec2.describe_images(Owners=["self"], Filters=[{"Name": "name", "Values": [name]}])["Images"]:
            message = f"Error: AMI Name: '{name}' is used by an existing AMI: {image['ImageId']}"
            raise BakeFailed(message)

    def _launch(self) -> None:
        given = self._variables
        self._say("Launching a source AWS instance...")
        tags = _tags(given["tags"])
        volume = {
            "VolumeType": "gp3",
            "VolumeSize": given["volume_gib"],
            "Encrypted": True,
            "DeleteOnTermination": True,
        }
        options: dict[str, Any] = {"SubnetId": given["subnet_id"]} if given.get("subnet_id") else {}
        if given.get("instance_profile"):
            options["IamInstanceProfile"] = {"Name": given["instance_profile"]}
        with _uncancelled():
            answer = self._ec2.run_instances(
                ImageId=given["base_ami"],
                InstanceType=given["instance_type"],
                MinCount=1,
                MaxCount=1,
                InstanceInitiatedShutdownBehavior="terminate",
                BlockDeviceMappings=[
                    {"DeviceName": given["root_device"], "Ebs": {**volume, "Iops": 6000, "Throughput": 500}}
                ],
                TagSpecifications=[{"ResourceType": kind, "Tags": tags} for kind in ("instance", "volume")],
                **options,
            )
            self._instance_id = answer["Instances"][0]["InstanceId"]
        self._say(f"Instance ID: {self._instance_id}", kind="message")
        self._ec2.get_waiter("instance_running").wait(InstanceIds=[self._instance_id])

    def _disk(self) -> Path:
        url = urllib.parse.urljoin(self._endpoint, f"/_capctl/disks/{self._instance_id}")
        try:
            with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:
                return Path(json.load(answer)["disk"])
        except urllib.error.URLError as error:
            message = f"Error: the emulator names no disk of {self._instance_id}: {error}"
            raise BakeFailed(message) from error

    def _create_image(self) -> None:
        given = self._variables
        self._say(f"Creating AMI {given['ami_name']} from instance {self._instance_id}")
        with _uncancelled():
            answer = self._ec2.create_image(InstanceId=self._instance_id, Name=given["ami_name"])
            self._ami_id = answer["ImageId"]
        self._say(f"AMI: {self._ami_id}", kind="message")
        self._say("Waiting for AMI to become ready...")
        self._ec2.get_waiter("image_available").wait(ImageIds=[self._ami_id])
        (image,) = self._ec2.describe_images(ImageIds=[self._ami_id])["Images"]
        snapshots = [mapping["Ebs"]["SnapshotId"] for mapping in image["BlockDeviceMappings"] if "Ebs" in mapping]
        self._ec2.create_tags(Resources=[self._ami_id, *snapshots], Tags=_tags(given["tags"]))

    def _terminate(self) -> None:
        if self._instance_id:
            self._say("Terminating the source AWS instance...")
            self._ec2.terminate_instances(InstanceIds=[self._instance_id])
            self._ec2.get_waiter("instance_terminated").wait(InstanceIds=[self._instance_id])
            self._instance_id = ""


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (PayloadRefused, ClientError, BotoCoreError, WaiterError, OSError) as error:
        raise BakeFailed(str(error)) from error


@contextmanager
def _uncancelled() -> Iterator[None]:
    """Let a signal wait: what was made must have its id noted before a cancellation can remove it."""
    numbers = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)


def _tags(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
