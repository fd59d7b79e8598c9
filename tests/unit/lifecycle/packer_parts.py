"""A baker on an EC2 that holds nothing but AMIs; Packer is a program that stands in for it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import ClientError

from lifecycle.adapters.packer_cli import PackerBaker
from lifecycle.domain.models import ModelFile, model_set
from lifecycle.domain.place import Place
from lifecycle.errors import CapctlError
from lifecycle.ports.baker import BakeRequest
from tests.fakes.amis import BASE_AMI, FakeAmis
from tests.fakes.clock import FakeClock
from tests.fakes.packer_program import act
from tests.fakes.runs import RUN
from tests.fakes.targets import make_target
from tests.fakes.ui import FakeUi

URL = "https://bucket.s3.amazonaws.com/models/aa?X-Amz-Signature=5ec2e7&X-Amz-Expires=3600"


class FakeEc2:
    """EC2 that holds nothing but AMIs; `calls` are the changes that were asked for, `kept` the snapshots that are in use; while
    `refused`, nothing is tagged."""

    def __init__(self) -> None:
        self.images: list[dict[str, Any]] = []
        self.calls: list[str] = []
        self.kept: set[str] = set()
        self.refused = False

    def hold(self, *snapshots: str, state: str = "available") -> None:
        """The AMI that `UNACCEPTED` says was made."""
        disks = [{"Ebs": {"SnapshotId": snapshot}} for snapshot in snapshots]
        self.images.append({"ImageId": "ami-0123456789abcdef0", "State": state, "BlockDeviceMappings": disks})

    def can_paginate(self, _: str) -> bool:
        return False

    def describe_instances(self, **_: Any) -> dict[str, Any]:
        return {"Reservations": []}

    def describe_volumes(self, **_: Any) -> dict[str, Any]:
        return {"Volumes": []}

    def describe_key_pairs(self, **_: Any) -> dict[str, Any]:
        return {"KeyPairs": []}

    def describe_security_groups(self, **_: Any) -> dict[str, Any]:
        return {"SecurityGroups": []}

    def describe_snapshots(self, **_: Any) -> dict[str, Any]:
        return {"Snapshots": []}

    def describe_images(self, **asked: Any) -> dict[str, Any]:
        wanted = [value for each in asked.get("Filters", ()) for value in each["Values"]]
        found = (image for image in self.images if not wanted or image["ImageId"] in wanted)
        return {"Images": [{"State": "available", **image} for image in found]}

    def deregister_image(self, **asked: str) -> dict[str, Any]:
        self.calls.append(f"deregister {asked['ImageId']}")
        return {}

    def create_tags(self, **asked: Any) -> None:
        self.calls.append(f"tag {' '.join(asked['Resources'])} {asked['Tags'][0]['Key']}")
        if self.refused:
            raise ClientError({"Error": {"Code": "UnauthorizedOperation", "Message": "no"}}, "CreateTags")

    def delete_snapshot(self, **asked: str) -> None:
        self.calls.append(f"delete {asked['SnapshotId']}")
        if asked["SnapshotId"] in self.kept:
            raise ClientError({"Error": {"Code": "OperationNotPermitted", "Message": "locked"}}, "DeleteSnapshot")


class Scene:
    """A baker whose Packer does what `script` says."""

    def __init__(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, *, ami: dict[str, Any] | None = None
    ) -> None:
        act(tmp_path / "bin", script)
        monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
        (tmp_path / "scratch").mkdir()
        self.scratch = tmp_path / "scratch"
        self.ec2, self.ui, self.clock = FakeEc2(), FakeUi(), FakeClock()
        here = {"ssh_interface": "private_ip", "ssh_port": 2222, "timeout_s": 60}
        self.target = make_target(tmp_path, ami=here if ami is None else ami)
        self.baker = PackerBaker(self.target, self, self.clock, self.ui)  # type: ignore[arg-type]
        self.reports: list[dict[str, Any]] = []
        self.app_id = "capctl.ami.bake"

    def client(self, service: str) -> FakeEc2:
        assert service == "ec2"
        return self.ec2

    def frozen_credentials(self) -> ReadOnlyCredentials:
        return ReadOnlyCredentials(
            "AKIAIOSFODNN7EXAMPLE", "a-secret-access-key-of-40-characters", "a-session-token", "us-west-2"
        )

    def request(self) -> BakeRequest:
        models = model_set((ModelFile(path="models/a.onnx", bytes=3, sha256="aa" * 32),))
        return BakeRequest(
            ami_name="vision-models-1",
            base=FakeAmis().get(BASE_AMI),
            models=models,
            downloads={"models/a.onnx": URL},
            tags={"capctl:run": RUN.id},
            run_id=RUN.id,
            place=Place(instance_type="m6i.large"),
        )

    def bake(self) -> str:
        return self.baker.bake(self.request(), self.reports.append)

    def failure(self) -> CapctlError:
        with pytest.raises(CapctlError) as failed:
            self.bake()
        return failed.value

    @property
    def log(self) -> Path:
        return self.target.folder / ".capctl" / "logs" / f"bake-{RUN.id}.log"


# It makes an AMI, of which the instance reports nothing.
UNACCEPTED = 'message("AMI: ami-0123456789abcdef0"); finish()'
GOOD = """
say("Launching a source AWS instance...")
message("hello, instance")
evidence()
say("Stopping the source instance...")
finish()
"""
