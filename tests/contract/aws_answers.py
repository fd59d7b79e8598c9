"""AMIs of the emulator's account, and answers that AWS may give instead of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from lifecycle.adapters.aws.session import AwsSession
from lifecycle.domain.ami import AmiId


def register(session: AwsSession, tags: dict[str, str]) -> AmiId:
    """An AMI with `tags`, made from nothing."""
    ec2 = session.client("ec2")
    ami_id = AmiId(ec2.register_image(Name=f"contract-{uuid.uuid4().hex[:12]}", RootDeviceName="/dev/xvda")["ImageId"])
    if tags:
        ec2.create_tags(Resources=[ami_id], Tags=[{"Key": key, "Value": value} for key, value in tags.items()])
    return ami_id


def answer(request: AWSPreparedRequest, status: int, body: bytes) -> AWSResponse:
    """An answer to `request`, for a handler of botocore's event `before-send`."""

    class Raw:
        def stream(self, **_: Any) -> Iterator[bytes]:
            yield body

    return AWSResponse(request.url, status, {"content-type": "application/x-amz-json-1.1"}, Raw())
