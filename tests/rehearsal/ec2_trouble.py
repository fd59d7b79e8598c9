"""An address in front of an emulator, where EC2 is not as a rehearsal needs it: images stay pending, calls are refused."""

from __future__ import annotations

import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lifecycle.rehearsal.emulator.base_image import BASE_AMI_ID

_REFUSAL = """<?xml version="1.0" encoding="UTF-8"?>
<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors><RequestID>1</RequestID></Response>"""
_BASE = f"<imageId>{BASE_AMI_ID}</imageId>".encode()


class Ec2Trouble:
    """`url` answers what the emulator at `endpoint` does, but for what is set here.

    While `keeps_pending`, an image of the account is described as pending. `refusals` maps an action to a code and a message, and
    where `refused_place` is set only requests that hold it are refused. `asked` are the places of RunInstances in their order.
    """

    def __init__(self, endpoint: str) -> None:
        self._emulator = endpoint.removeprefix("http://")
        self.keeps_pending = False
        self.refusals: dict[str, tuple[str, str]] = {}
        self.refused_places: set[tuple[str, str]] = set()
        self.asked: list[tuple[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, headers, answer = outer.refused(body) or outer.forwarded(self, body)
                self.send_response(status)
                for name, value in headers:
                    if name.lower() not in ("transfer-encoding", "content-length", "connection", "server", "date"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer)

            do_HEAD = do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - http.server's names

            def log_message(self, *arguments: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def refused(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes] | None:
        asked = dict(urllib.parse.parse_qsl(body.decode(errors="replace"))) if body.startswith(b"Action=") else {}
        action = asked.get("Action", "")
        if action == "RunInstances":
            place = (asked["InstanceType"], asked.get("SubnetId") or asked.get("NetworkInterface.1.SubnetId", ""))
            self.asked.append(place)
            if self.refused_places and place not in self.refused_places:
                return None
        if action not in self.refusals:
            return None
        code, message = self.refusals[action]
        return 400, [("Content-Type", "text/xml")], _REFUSAL.format(code=code, message=message).encode()

    def forwarded(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        there = HTTPConnection(self._emulator, timeout=60)
        there.request(request.command, request.path, body=body or None, headers=dict(request.headers.items()))
        answer = there.getresponse()
        data = answer.read()
        there.close()
        if self.keeps_pending and b"Action=DescribeImages" in body and _BASE not in data:
            data = data.replace(b">available</imageState>", b">pending</imageState>")
        return answer.status, answer.getheaders(), data


@contextmanager
def ec2_trouble(endpoint: str) -> Iterator[Ec2Trouble]:
    trouble = Ec2Trouble(endpoint)
    threading.Thread(target=trouble.server.serve_forever, daemon=True).start()
    try:
        yield trouble
    finally:
        trouble.server.shutdown()
        trouble.server.server_close()
