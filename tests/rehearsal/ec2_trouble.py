"""An address in front of an emulator, where EC2 has its bad days: images stay pending, there is no capacity."""

from __future__ import annotations

import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lifecycle.rehearsal.emulator.base_image import BASE_AMI_ID

_NO_CAPACITY = b"""<?xml version="1.0" encoding="UTF-8"?>
<Response><Errors><Error><Code>InsufficientInstanceCapacity</Code><Message>We currently do not have sufficient capacity in the
Availability Zone you requested.</Message></Error></Errors><RequestID>1</RequestID></Response>"""
_BASE = f"<imageId>{BASE_AMI_ID}</imageId>".encode()


class Ec2Trouble:
    """`url` answers what the emulator at `endpoint` does, but for what is set here.

    Images of the account are described as pending for as many answers as `pending_answers` says. RunInstances is refused in the
    `full` places, each an instance type and a subnet; `asked` are the places of those that were asked for, in their order.
    """

    def __init__(self, endpoint: str) -> None:
        self._emulator = endpoint.removeprefix("http://")
        self.pending_answers = 0
        self.full: set[tuple[str, str]] = set()
        self.asked: list[tuple[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, headers, answer = outer.refused(body) or outer.forwarded(self, body)
                self.send_response(status)
                # The answer to HEAD tells the length of a body that does not follow.
                length = {} if self.command == "HEAD" else {"Content-Length": str(len(answer))}
                mine = {"transfer-encoding", "connection", "server", "date", *(name.lower() for name in length)}
                for name, value in (*(pair for pair in headers if pair[0].lower() not in mine), *length.items()):
                    self.send_header(name, value)
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
        if asked.get("Action") != "RunInstances":
            return None
        subnet = asked.get("SubnetId") or asked.get("NetworkInterface.1.SubnetId", "")
        self.asked.append((asked["InstanceType"], subnet))
        return (400, [("Content-Type", "text/xml")], _NO_CAPACITY) if self.asked[-1] in self.full else None

    def forwarded(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        there = HTTPConnection(self._emulator, timeout=60)
        there.request(request.command, request.path, body=body or None, headers=dict(request.headers.items()))
        answer = there.getresponse()
        data = answer.read()
        there.close()
        if self.pending_answers and b"Action=DescribeImages" in body and _BASE not in data:
            self.pending_answers -= 1
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
