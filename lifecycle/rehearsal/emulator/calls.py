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
_FORM = "application/x-www-form-urlencoded"


class CallRecord:
    """Appends one line of JSON per call: `service`, `operation`, `key_id`, `agent` and whether its URL was `presigned`.

    `operation` is null for a call that AWS's models do not know. Requests without a signature of version 4 are no calls.
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
        call = {
            "service": signed["service"],
            "operation": _operation(signed["service"], environ),
            "key_id": signed["key_id"],
            "agent": environ.get("HTTP_USER_AGENT", ""),
            "presigned": not header,
        }
        self._stream.write(json.dumps(call).encode() + b"\n")


def _operation(service: str, environ: dict[str, Any]) -> str | None:
    from botocore.exceptions import UnknownServiceError
    from moto.core.request import Request
    from moto.core.routing import get_service_router
    from werkzeug.exceptions import NotFound

    seen = dict(environ)
    if environ.get("CONTENT_TYPE", "").startswith(_FORM):
        # The action stands in the body, which can be read once.
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"], seen["wsgi.input"] = io.BytesIO(body), io.BytesIO(body)
    try:
        return str(get_service_router(service).match(Request(seen))[0].name)
    except (UnknownServiceError, NotFound):
        return None
