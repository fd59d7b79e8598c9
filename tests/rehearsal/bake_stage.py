"""A project whose models are locked and pushed, on an emulator whose instances are machines; and what no bake may leave there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import packer
from lifecycle.rehearsal import leftovers
from lifecycle.rehearsal.emulator.launch import Emulator
from tests.rehearsal.stage_parts import REGION, Aws, emulated_machines

BUCKET = f"vision-capctl-123456789012-{REGION}"
CONTENTS = {
    "models/age-v1.onnx": b"age" * 100_000,
    "models/gender-v1.onnx": b"gender" * 100_000,
    "checkpoints/llava stage2/weights.bin": bytes(range(256)) * 40_000,
    "experiments/coco/segm.yaml": b"lr: 1e-3\n",
}
CONFIGURATION = """\
schema: capctl.config/1
project: vision
targets:
  rehearsal:
    account: "123456789012"
    region: {region}
    endpoint_url: {endpoint}
    ami: {{ssh_interface: private_ip, ssh_port: {ssh_port}, timeout_s: 120}}
"""


class Stage:
    """An emulator with machines, and a project folder whose models are locked and pushed."""

    def __init__(self, emulator: Emulator, folder: Path) -> None:
        self.emulator, self.folder, self.rehearsal = emulator, folder, emulator.options.rehearsal
        self.aws = Aws(emulator.endpoint)
        self.passphrase = "rehearsal"
        self.packer: dict[str, str] = {}

    def write_project(self, contents: Mapping[str, bytes]) -> None:
        for path, data in {**contents, "src/train.py": b"never shipped", "models/r.csv": b"never shipped"}.items():
            (self.folder / "models" / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / "models" / path).write_bytes(data)
        text = CONFIGURATION.format(
            region=REGION, endpoint=self.emulator.endpoint, ssh_port=self.emulator.facts["ssh_port"]
        )
        (self.folder / "capctl.yaml").write_text(text)

    @property
    def environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "CAPCTL_"))}
        keys = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "a-secret-of-many-characters"}
        root = str(Path(packer.__file__).parents[1])
        kept["PULUMI_CONFIG_PASSPHRASE"] = self.passphrase
        return {**kept, **keys, **self.packer, "PYTHONPATH": root, "CAPCTL_REHEARSAL": self.rehearsal}

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-c", "from lifecycle.cli.main import main; main()", *words]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words), cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )

    def answer(self, *words: str) -> dict[str, Any]:
        done = self.run("-o", "json", *words)
        assert done.returncode == 0, done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def amis(self) -> dict[str, str]:
        """Status by id of the account's own AMIs."""
        images = self.aws.ec2.describe_images(Owners=["self"])["Images"]
        return {
            image["ImageId"]: {tag["Key"]: tag["Value"] for tag in image.get("Tags", [])}.get("capctl:status", "")
            for image in images
        }

    def calls(self) -> list[dict[str, Any]]:
        """What the emulator was asked so far."""
        return [json.loads(line) for line in Path(self.emulator.facts["calls"]).read_text().splitlines()]

    def left(self) -> list[str]:
        """What bakes must never leave: instances, volumes, temporary key pairs and security groups, Packer's processes and files."""
        ec2 = self.aws.ec2
        found = [
            instance["InstanceId"]
            for reservation in ec2.describe_instances()["Reservations"]
            for instance in reservation["Instances"]
            if instance["State"]["Name"] != "terminated"
        ]
        found += [volume["VolumeId"] for volume in ec2.describe_volumes()["Volumes"]]
        found += [pair["KeyName"] for pair in ec2.describe_key_pairs()["KeyPairs"]]
        groups = ec2.describe_security_groups()["SecurityGroups"]
        found += [group["GroupName"] for group in groups if group["GroupName"].startswith("packer_")]
        processes = [one.detail for one in leftovers.find(self.rehearsal) if "packer" in one.detail]
        return found + processes


@contextmanager
def bake_stage(state: Path, folder: Path, contents: Mapping[str, bytes] = CONTENTS) -> Iterator[Stage]:
    """The emulator with its state in `state`, the project in `folder` with `contents` as models. Skips where there can be no machines."""
    with emulated_machines(state) as emulator:
        stage = Stage(emulator, folder)
        stage.folder.mkdir()
        stage.write_project(contents)
        stage.aws.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        stage.aws.dynamodb.create_table(
            TableName="vision-capctl",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        stage.answer("models", "lock")
        stage.answer("models", "push")
        yield stage
