"""What the tests of the stage set share: clients, an image of a few programs, a machine to log in to, waiting."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

REGION = "us-west-2"
TINY_IMAGE = "capctl-test/tiny:1"
_PROGRAMS = ("sh", "cat", "sleep", "id", "ls", "touch", "env", "dd")


class Aws:
    """boto3 clients for one emulator, by service name; no retries, so that a missing call fails at once."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._clients: dict[str, Any] = {}

    def __getattr__(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = boto3.client(
                service,
                endpoint_url=self.endpoint,
                region_name=REGION,
                aws_access_key_id="test",
                aws_secret_access_key="test",
                config=Config(retries={"total_max_attempts": 1}),
            )
        return self._clients[service]


def until(found: Callable[[], Any], timeout_s: float = 20.0) -> Any:
    """The first true value of `found`, asked every 50 ms."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if value := found():
            return value
        time.sleep(0.05)
    raise AssertionError(f"not so after {timeout_s:g} s")


def cache() -> Path:
    return Path.home() / ".cache" / "capctl"


def ssh(key: Path, address: str, port: int, command: str) -> str:
    """What `command` prints on the machine; fails when it does."""
    options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes")
    flags = [part for option in options for part in ("-o", option)]
    call = ["ssh", "-i", str(key), "-p", str(port), *flags, f"ec2-user@{address}", command]
    done = subprocess.run(call, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


def tiny_tar() -> bytes:
    """A root filesystem of a few programs of this machine with their libraries, a few megabytes."""
    files: dict[str, str] = {}
    for program in _PROGRAMS:
        path = shutil.which(program)
        assert path, program
        files[f"bin/{program}"] = str(Path(path).resolve())
        listed = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
        for library in re.findall(r"(/\S+) \(0x", listed):
            files[library.lstrip("/")] = str(Path(library).resolve())
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, source in sorted(files.items()):
            archive.add(source, arcname=name)
    return buffer.getvalue()
