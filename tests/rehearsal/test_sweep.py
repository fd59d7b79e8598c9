"""Bakes that are killed with everything they started: a sweep and another bake give one verified AMI, and nothing else is left."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, redirect_stdout, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from lifecycle.adapters.run_leases import BAKE_FOLDER
from lifecycle.cli.boundary import run_command_line
from lifecycle.cli.context import Invocation
from lifecycle.cli.main import root
from lifecycle.rehearsal.child import descendants
from tests.rehearsal.bake_stage import Stage, bake_stage
from tests.rehearsal.stage_parts import await_end, is_running, until

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(600)]
KILLS = 20
SWEEP = ("ami", "sweep", "--yes", "--older-than", "0s")


# Commands without the second that Python takes to import them: each is a process of its own.
_PRELOADED = """
import json, os, sys
import boto3
import lifecycle.adapters.aws.amis, lifecycle.workflows.bake, lifecycle.workflows.execute
from lifecycle.cli.main import main
for line in sys.stdin:
    if not (pid := os.fork()):
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for descriptor in (1, 2):
            os.dup2(os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY | os.O_APPEND), descriptor)
        sys.argv = ["capctl", *json.loads(line)]
        main()
    print(pid, flush=True)
"""


class KilledBakes:
    """The stage, a temporary folder of its own, and commands in this interpreter."""

    def __init__(self, stage: Stage, scratch: Path) -> None:
        self.stage, self.scratch = stage, scratch
        self.log = scratch / "bake.log"

    @cached_property
    def _preloaded(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", _PRELOADED, str(self.log)],
            cwd=self.stage.folder,
            env={**self.stage.environment, "TMPDIR": str(self.scratch)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self) -> int:
        """The process id of an `ami bake`."""
        parent = self._preloaded
        self.log.write_text("")
        assert parent.stdin
        assert parent.stdout
        parent.stdin.write(json.dumps(["ami", "bake"]) + "\n")
        parent.stdin.flush()
        return int(parent.stdout.readline())

    def said(self) -> str:
        """What the last `ami bake` printed."""
        return self.log.read_text()

    def close(self) -> None:
        with self._preloaded as parent:
            assert parent.stdin
            parent.stdin.close()

    def done(self, *words: str) -> dict[str, Any]:
        config = ("--config", str(self.stage.folder / "capctl.yaml"), "-o", "json")
        with redirect_stdout(io.StringIO()) as said:
            assert run_command_line(root, [*config, *words], Invocation()) == 0
        document: dict[str, Any] = json.loads(said.getvalue())
        return document

    def kept(self) -> set[str]:
        """The kinds of what a sweep found, all of which it kept."""
        found = self.done(*SWEEP)["leftovers"]
        assert {one["outcome"] for one in found} <= {"kept"}, found
        return {one["kind"] for one in found}

    def left(self) -> list[str]:
        """What neither bakes nor sweeps may leave, in EC2 and here."""
        ec2 = self.stage.aws.ec2
        own = {
            mapping["Ebs"]["SnapshotId"]
            for image in ec2.describe_images(Owners=["self"])["Images"]
            for mapping in image["BlockDeviceMappings"]
        }
        snapshots = {snapshot["SnapshotId"] for snapshot in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]}
        folders = [str(path) for path in self.scratch.glob(f"{BAKE_FOLDER}*")]
        return [*self.stage.left(), *(snapshots - own), *folders, *self.runs()]

    def runs(self) -> list[str]:
        return sorted(path.name for path in (self.stage.folder / ".capctl" / "runs").glob("*"))

    def forget(self) -> None:
        """Back to an account without AMIs."""
        for image in self.stage.aws.ec2.describe_images(Owners=["self"])["Images"]:
            self.stage.aws.ec2.deregister_image(ImageId=image["ImageId"], DeleteAssociatedSnapshots=True)


@pytest.fixture(scope="module")
def bakes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KilledBakes]:
    scratch = Path(tempfile.mkdtemp(prefix="sweep-"))
    with (
        bake_stage(
            tmp_path_factory.mktemp("state"),
            tmp_path_factory.mktemp("sweep") / "project",
            {"models/age-v1.onnx": b"age"},
        ) as stage,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in stage.environment.items():
            patch.setenv(name, value)
        patch.setattr(tempfile, "tempdir", str(scratch))
        with closing(KilledBakes(stage, scratch)) as killed:
            yield killed
    shutil.rmtree(scratch)


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """The process and everything below it do nothing meanwhile."""
    everyone = {pid, *descendants(pid)}
    try:
        _signal(everyone, signal.SIGSTOP)
        yield
    finally:
        _signal(everyone, signal.SIGCONT)


def kill(pid: int, *, alone: bool) -> None:
    """SIGKILL to capctl, and unless `alone` to everything below it, so that nobody cleans up; returns when all of them have ended."""
    os.kill(pid, signal.SIGSTOP)  # or it would see Packer end, and begin to clean up
    below = descendants(pid)
    _signal({pid} if alone else {*below, pid}, signal.SIGKILL)
    await_end({pid, *below})


def _signal(pids: set[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def test_whenever_a_bake_is_killed_a_sweep_and_a_bake_give_one_verified_ami_and_nothing_else(
    bakes: KilledBakes,
) -> None:
    begun = time.monotonic()
    await_end({bakes.start()})
    whole_s = time.monotonic() - begun
    assert list(bakes.stage.amis().values()) == ["verified"]
    bakes.forget()
    chance = random.Random(20261121)
    swept: dict[str, int] = {}
    for number in range(KILLS):
        moment_s = whole_s * (number + chance.random()) / KILLS
        pid = bakes.start()
        with suppress(AssertionError):
            await_end({pid}, timeout_s=moment_s)
        kill(pid, alone=number % 5 == 0)
        document = bakes.done(*SWEEP)
        for one in document["leftovers"]:
            swept[one["kind"]] = swept.get(one["kind"], 0) + (one["outcome"] == "removed")
        assert bakes.left() == [], (number, moment_s, document)
        # Without an AMI the account is what it was before the first bake, which the last one need not prove each time.
        if bakes.stage.amis() or number % 6 == 5:
            bakes.done("ami", "bake")
            assert list(bakes.stage.amis().values()) == ["verified"], (number, moment_s, document)
            assert bakes.left() == [], (number, moment_s, document)
            bakes.forget()
    assert swept.keys() >= {"instance", "key pair", "security group"}


def test_sweep_beside_a_live_bake_touches_nothing_of_it(bakes: KilledBakes) -> None:
    bakes.forget()
    pid = bakes.start()
    # Packer has its instance by then; to ask EC2 takes longer where the machine is busy, and the bake may be over meanwhile.
    until(lambda: not is_running(pid) or "Waiting for SSH" in bakes.said())
    with stopped(pid):
        assert bakes.kept() >= {"instance", "key pair", "security group"}, bakes.said()
    while is_running(pid):
        bakes.kept()
    assert (list(bakes.stage.amis().values()), bakes.left()) == (["verified"], []), bakes.said()
