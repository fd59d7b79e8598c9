"""What tests of real parts share: clients, credentials, an image of a few programs, a machine to log in to, Pulumi, waiting."""

from __future__ import annotations

import atexit
import functools
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

from lifecycle.adapters.aws.session import AwsSession
from lifecycle.adapters.clock import SystemClock
from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId
from lifecycle.domain.release import Release
from lifecycle.errors import CapctlError
from lifecycle.rehearsal import leftovers
from lifecycle.rehearsal.emulator.launch import Emulator, EmulatorOptions
from lifecycle.rehearsal.machine import machines_supported
from lifecycle.rehearsal.provider.shim import start_provider
from lifecycle.rehearsal.rootfs import instance_rootfs
from tests.fakes.releases import make_release
from tests.fakes.targets import make_target
from tests.fakes.ui import FakeUi

if TYPE_CHECKING:
    from lifecycle.adapters.pulumi_auto import PulumiStack

REGION = "us-west-2"
# Its own in every process, since each removes it at its end.
TINY_IMAGE = f"capctl-test/tiny:{os.getpid()}"
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


def until(found: Callable[[], Any], timeout_s: float = 60.0) -> Any:
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


def tiny_tar(*more: str) -> bytes:
    """A root filesystem of a few programs of this machine, and `more` of them, with their libraries, a few megabytes."""
    files: dict[str, str] = {}
    for program in (*_PROGRAMS, *more):
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


def import_tiny(name: str) -> None:
    """Put that image into the container engine as `name`, marked as one of capctl's."""
    import docker

    engine = docker.from_env()
    repository, _, tag = name.rpartition(":")
    engine.api.import_image_from_data(
        tiny_tar(), repository=repository, tag=tag, changes=["LABEL dev.capctl.root=tiny"]
    )
    engine.close()


@contextmanager
def emulated_machines(state: Path) -> Iterator[Emulator]:
    """An emulator whose instances are machines that Packer logs in to; it leaves nothing. Skips the test where there can be none."""
    if shutil.which("packer") is None:
        pytest.skip("`packer` is not installed")
    if why := machines_supported(state):
        pytest.skip(why)
    rehearsal = f"test-{uuid.uuid4().hex[:8]}"
    rootfs = instance_rootfs(cache(), progress=print)
    with Emulator(EmulatorOptions(state=state, rehearsal=rehearsal, rootfs=rootfs)) as emulator:
        yield emulator
    assert leftovers.find(rehearsal, state) == []


@contextmanager
def emulated_credentials(**environment: str) -> Iterator[None]:
    """Keys that the emulator takes, and more of the environment, while the block runs."""
    keys = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "a-secret-of-many-characters"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (keys | environment).items():
            patch.setenv(name, value)
        yield


@dataclass(frozen=True, slots=True, kw_only=True)
class _EarlierRelease(Release):
    """A release whose id another version made."""

    earlier_id: str

    @property
    def id(self) -> str:
        return self.earlier_id


@dataclass(frozen=True, slots=True, kw_only=True)
class PulumiStage:
    """A target whose stacks the real Pulumi makes on an emulator."""

    target: Target
    session: AwsSession
    ami_id: AmiId

    def run(self) -> PulumiStack:
        """The stacks, as one more command sees them."""
        from lifecycle.adapters.pulumi_auto import PulumiStack

        return PulumiStack(self.target, self.session, SystemClock(), FakeUi())

    def of(self, project: str, folder: Path) -> PulumiStage:
        """The stage of another project beside this one, in a folder of its own."""
        target = replace(self.target, project=project, folder=folder)
        return replace(self, target=target, session=AwsSession(target))

    def release(self, number: int) -> Release:
        """A release that the emulator accepts."""
        settings = self.target.settings.release
        network = {"subnet_ids": settings.subnet_ids, "security_group_ids": settings.security_group_ids}
        return replace(make_release(number, gpus=0, **network), ami_id=self.ami_id)

    def stand_earlier(self, number: int) -> str:
        """Make a release as an earlier version of capctl did: no hash of today gives its id, nor would its hosts boot so; its id."""
        from lifecycle.adapters import pulumi_programs
        from pulumi_stack.components import host

        release = self.release(number)
        made = pulumi_programs.release_spec(release)
        recorded = json.loads(made.record)
        record = {name: recorded[name] for name in ("ami_id", "image", "model_set")} | {"of_another_time": True}
        earlier = replace(made, id=f"{number:012x}", record=json.dumps(record))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pulumi_programs, "release_spec", lambda _: earlier)
            patch.setattr(host, "_ECS_CONFIG", "ECS_ENABLE_SPOT_INSTANCE_DRAINING=true\n")
            parts = {part.name: getattr(release, part.name) for part in fields(release)}
            self.run().add_release(_EarlierRelease(**parts, earlier_id=earlier.id))
        return earlier.id


def require_pulumi() -> None:
    """Skip where Pulumi is missing."""
    from lifecycle.adapters.pulumi_cli import find_pulumi

    try:
        find_pulumi(os.environ.get("PATH", ""))
    except CapctlError as missing:
        pytest.skip(missing.message)


@functools.cache
def provider_folder() -> Path:
    """The folder of the executable by which the engine finds the rehearsal's provider, which ends with this process."""
    # Short, because a socket lives in it.
    folder = Path(tempfile.mkdtemp(prefix="provider-"))
    atexit.register(shutil.rmtree, folder)
    programs = folder / "bin"
    atexit.register(start_provider(programs, f"test-{uuid.uuid4().hex[:8]}").stop)
    return programs


@contextmanager
def pulumi_stage(
    emulator: Emulator, folder: Path, *, project: str = "vision", state: str = "file://state"
) -> Iterator[PulumiStage]:
    """A stage on which nothing stands yet. Skips where Pulumi is missing."""
    require_pulumi()
    aws = Aws(emulator.endpoint)
    network = {
        "subnet_ids": (aws.ec2.describe_subnets()["Subnets"][0]["SubnetId"],),
        "security_group_ids": (aws.ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"],),
    }
    target = make_target(
        folder,
        endpoint_url=emulator.endpoint,
        release={**network, "gpus": 0, "vcpus": 1, "memory_mib": 128},
        smoke={"video_url": f"s3://{project}-capctl-123456789012-{REGION}/videos/face.mp4", "timeout_s": 60},
        stack={"state": state},
    )
    # A state that others share has a passphrase that they were told.
    shared = {} if state.startswith("file://") else {"PULUMI_CONFIG_PASSPHRASE": "of the team"}
    with emulated_credentials(**shared, PATH=f"{provider_folder()}:{os.environ['PATH']}"):
        target = replace(target, project=project)
        yield PulumiStage(target=target, session=AwsSession(target), ami_id=AmiId(emulator.facts["base_ami"]))


def await_end(pids: set[int], *, timeout_s: float = 30) -> None:
    """Wait until none of the processes runs."""
    until(lambda: not any(map(is_running, pids)), timeout_s)


def is_running(pid: int) -> bool:
    """Whether the process has not ended, whether or not its parent asked how."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


@contextmanager
def forgetting(ui: FakeUi) -> Iterator[None]:
    """Remove what the engine's classic builder makes in the block, as it tells `ui`; what the engine had is left alone."""
    import docker

    engine = docker.from_env()
    # One answer: to look at each image anew fails when somebody removes one meanwhile.
    had = {image["Id"] for image in engine.api.images(all=True)}
    yield
    for short_id in reversed(re.findall(r"---> ([0-9a-f]{12})$", "\n".join(ui.lines), re.MULTILINE)):
        with suppress(docker.errors.APIError):  # gone with its child
            if engine.images.get(short_id).id not in had:
                engine.images.remove(short_id, force=True, noprune=True)
    engine.close()
