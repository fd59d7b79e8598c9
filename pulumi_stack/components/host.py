"""What a host of a release boots with."""

import base64

# /dev/xvda is the root device of every ECS-optimised Amazon Linux image.
ROOT_DEVICE = "/dev/xvda"

_BOUNDARY = "==CAPCTL=="

# Draining on a Spot notice gives a job SIGTERM; 90 s of the notice's 120 s are left to it to store what it has.
_ECS_CONFIG = """\
ECS_ENABLE_SPOT_INSTANCE_DRAINING=true
ECS_CONTAINER_STOP_TIMEOUT=90s
ECS_IMAGE_PULL_BEHAVIOR=prefer-cached
"""


def user_data() -> str:
    """Base64 of the MIME multipart text that Batch requires of a launch template."""
    script = f"#!/bin/sh\nset -eu\ncat >> /etc/ecs/ecs.config <<'EOF'\n{_ECS_CONFIG}EOF\n"
    text = (
        "MIME-Version: 1.0\n"
        f'Content-Type: multipart/mixed; boundary="{_BOUNDARY}"\n\n'
        f"--{_BOUNDARY}\n"
        'Content-Type: text/x-shellscript; charset="us-ascii"\n\n'
        f"{script}\n"
        f"--{_BOUNDARY}--\n"
    )
    return base64.b64encode(text.encode()).decode()


def image_type(gpus: int) -> str:
    """Batch's name for the family of the AMI; unset it would fall to one that Batch no longer starts."""
    return "ECS_AL2023_NVIDIA" if gpus else "ECS_AL2023"
