"""The one base AMI of the emulated AWS, which looks like Amazon's ECS GPU image, and the parameter that names it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import moto.ssm.urls
from moto.core.utils import utcnow
from moto.ssm.models import Parameter, SimpleSystemManagerBackend, ssm_backends

BASE_AMI_ID = "ami-0ec5b6a5e2023ba5e"
BASE_AMI_NAME = "al2023-ami-ecs-gpu-hvm-2023.0.20261104-kernel-6.1-x86_64-ebs"
BASE_AMI_CREATED = "2026-11-04T00:00:00.000Z"
BASE_AMI_PARAMETER = "/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended"
_AMAZON_ECS_ACCOUNT = "591542846629"


def write_base_images(path: Path) -> None:
    """Write the file that MOTO_AMIS_PATH names.

    moto's own list has about 1300 images per region that all claim to be made when the server started, which makes "the most recent
    one" a matter of chance and the first EC2 call slow.
    """
    image = {
        "ami_id": BASE_AMI_ID,
        "name": BASE_AMI_NAME,
        "description": "Amazon Linux AMI 2023 (ECS GPU) as the rehearsal stands for it",
        "owner_id": _AMAZON_ECS_ACCOUNT,
        "public": True,
        "virtualization_type": "hvm",
        "architecture": "x86_64",
        "state": "available",
        "platform": None,
        "image_type": "machine",
        "hypervisor": "xen",
        "root_device_name": "/dev/xvda",
        "root_device_type": "ebs",
        "sriov": "simple",
        "creation_date": BASE_AMI_CREATED,
    }
    path.write_text(json.dumps([image], indent=1) + "\n")


class RehearsalSsm(SimpleSystemManagerBackend):  # type: ignore[misc]
    """moto's SSM backend, whose public ECS parameters name the rehearsal's base AMI instead of images that do not exist here."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        recommended = {"image_id": BASE_AMI_ID, "image_name": BASE_AMI_NAME, "os": "Amazon Linux 2023"}
        # Marked as loaded, else moto appends its own values at the first look.
        self._parameters.latest_ecs_amis_loaded = True
        self._publish(BASE_AMI_PARAMETER, json.dumps(recommended))
        for name, value in recommended.items():
            self._publish(f"{BASE_AMI_PARAMETER}/{name}", value)

    @property
    def _url_module(self) -> Any:
        return moto.ssm.urls

    def _publish(self, name: str, value: str) -> None:
        parameter = Parameter(
            account_id=self.account_id,
            name=name,
            value=value,
            parameter_type="String",
            description=None,
            allowed_pattern=None,
            keyid=None,
            last_modified_date=utcnow(),
            version=1,
            data_type="text",
        )
        self._parameters[name].append(parameter)


def mend() -> None:
    """Hook the mended SSM backend into moto's backend table."""
    ssm_backends.backend = RehearsalSsm
