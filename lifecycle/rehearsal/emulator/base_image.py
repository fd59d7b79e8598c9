"""The one base AMI of the emulated AWS, which looks like Amazon's ECS GPU image.

This module must not import moto: moto reads the file written here while it is imported.
"""

from __future__ import annotations

import json
from pathlib import Path

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
