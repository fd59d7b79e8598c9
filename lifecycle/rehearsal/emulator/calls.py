"""The record of the AWS calls that the emulator was asked: what CloudTrail would say of a rehearsal."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

# The credentials that jobs get, by which their calls are known.
JOB_KEY_ID = "rehearsal"

_SIGNED_FOR = re.compile(r"Credential=(?P<key_id>[^/]+)/\d{8}/[^/]+/(?P<service>[^/]+)/aws4_request")
# Members of requests that say what a call is about: things by name, id or address, and the tags that it gives them.
_TELLING = frozenset(
    {
        *("Bucket", "Key", "Name", "Names", "Path", "QueueName", "QueueUrl", "Resource", "Resources", "TableName"),
        *("GroupId", "ImageId", "InstanceId", "InstanceIds", "InternetGatewayId", "KeyName", "LaunchTemplateId"),
        *("RouteTableId", "SnapshotId", "SubnetId", "VolumeId", "VpcId", "ResourceArn", "ResourceType", "Tags"),
        *("InstanceProfileName", "PolicyArn", "RoleName", "executionRoleArn", "instanceRole", "jobRoleArn"),
        *("computeEnvironment", "computeEnvironmentName", "containerInstances", "jobDefinition", "jobDefinitionName"),
        *("jobId", "jobQueue", "jobQueueName", "logGroupName", "repositoryName", "repositoryNames", "resourceArn"),
        *("RequestItems", "tags"),
    }
)


class CallRecord:
    """Appends one line of JSON per call: `service`, `operation`, `key_id`, `agent`, whether its URL was `presigned`, and `about`.

    `operation` is null for a call that AWS's models do not know; `about` are the parameters that name or tag things. Requests without
    a signature of version 4 are no calls.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # Unbuffered, so that a line is one write and threads need no lock.
        self._stream = path.open("wb", buffering=0)

    def add(self, environ: dict[str, Any]) -> None:
        """Write down the call that `environ` is the request of; the request stays readable."""
        header = environ.get("HTTP_AUTHORIZATION", "")
        signed = _SIGNED_FOR.search(header or unquote(environ.get("QUERY_STRING", "")))
        if signed is None:
            return
        operation, about = _told(signed["service"], environ)
        call = {
            "service": signed["service"],
            "operation": operation,
            "key_id": signed["key_id"],
            "agent": environ.get("HTTP_USER_AGENT", ""),
            "presigned": not header,
            "about": about,
        }
        self._stream.write(json.dumps(call).encode() + b"\n")


def _told(service: str, environ: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """The call's name, and what it is about."""
    from botocore.exceptions import UnknownServiceError
    from moto.core.request import Request
    from moto.core.routing import get_service_router
    from werkzeug.exceptions import NotFound

    seen = dict(environ)
    if service != "s3" and (length := int(environ.get("CONTENT_LENGTH") or 0)):
        # What is asked stands in the body, which can be read once. Objects are large, and S3 is told by the address alone.
        body = environ["wsgi.input"].read(length)
        environ["wsgi.input"], seen["wsgi.input"] = io.BytesIO(body), io.BytesIO(body)
    request = Request(seen)
    try:
        operation, address = get_service_router(service).match(request)
    except (UnknownServiceError, NotFound):
        return None, {}
    asked = address if service == "s3" else _parsed(operation, request, address)
    return str(operation.name), _telling(asked) or {}


def _parsed(operation: Any, request: Any, address: dict[str, Any]) -> dict[str, Any]:
    """Its parameters; none where they cannot be read, which the emulator answers as AWS does."""
    from moto.core.parse import PROTOCOL_PARSERS, RequestParserError
    from moto.core.request import determine_request_protocol

    given = {
        # First: of a body that was read as a whole no form is made.
        "values": request.values,
        "body": request.get_data(),
        "method": request.method,
        "headers": request.headers,
        "url_path": request.path,
        "url_params": address,
    }
    try:
        protocol = determine_request_protocol(operation.service_model, request.content_type)
        return dict(PROTOCOL_PARSERS[protocol](operation).parse(given))
    except (RequestParserError, NotImplementedError, TypeError, ValueError):
        return {}


def _telling(value: Any) -> Any:
    """The members of `_TELLING`, wherever in `value` they stand; None where there is none."""
    if isinstance(value, dict):
        kept = {
            name: inner if name in _TELLING and _is_plain(inner) else _telling(inner) for name, inner in value.items()
        }
        # DynamoDB's batches have the names of tables as keys.
        if "RequestItems" in value:
            kept["RequestItems"] = sorted(value["RequestItems"])
        return {name: inner for name, inner in kept.items() if inner} or None
    if isinstance(value, list):
        return [kept for kept in map(_telling, value) if kept] or None
    return None


def _is_plain(value: Any) -> bool:
    """Whether it is a text, or texts, or tags."""
    if isinstance(value, list):
        return all(isinstance(one, str) or (isinstance(one, dict) and one.keys() <= {"Key", "Value"}) for one in value)
    return isinstance(value, str) or (isinstance(value, dict) and all(isinstance(one, str) for one in value.values()))
