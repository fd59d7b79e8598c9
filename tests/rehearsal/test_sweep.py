"""Bakes that are killed with everything they started: a sweep and another bake give one verified AMI, and nothing else is left."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any

import pytest

from lifecycle.adapters.run_leases import BAKE_FOLDER
from lifecycle.cli.boundary import run_command_line
from lifecycle.cli.context import Invocation
from lifecycle.cli.main import root
from tests.rehearsal.bake_stage import Stage, bake_stage
from tests.rehearsal.kept_stage import await_end, descendants

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(600)]
KILLS = 30
SWEEP = ("ami", "sweep", "--yes", "--older-than", "0s")


class KilledBakes:
    """The stage, a temporary folder of its own, and commands in this interpreter."""

    def __init__(self, stage: Stage, scratch: Path) -> None:
        self.stage, self.scratch = stage, scratch

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.stage.command("ami", "bake", *words),
            cwd=self.stage.folder,
            env={**self.stage.environment, "TMPDIR": str(self.scratch)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def done(self, *words: str) -> dict[str, Any]:
        config = ("--config", str(self.stage.folder / "capctl.yaml"), "-o", "json")
        with redirect_stdout(io.StringIO()) as said:
            assert run_command_line(root, [*config, *words], Invocation()) == 0
        document: dict[str, Any] = json.loads(said.getvalue())
        return document

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
        yield KilledBakes(stage, scratch)
    shutil.rmtree(scratch)


def kill(process: subprocess.Popen[str], *, alone: bool) -> None:
    """SIGKILL to capctl, and unless `alone` to everything below it, so that nobody cleans up; returns when all of them have ended."""
    process.send_signal(signal.SIGSTOP)  # or it would see Packer end, and begin to clean up
    below = descendants(process.pid)
    for pid in () if alone else below:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.kill()
    await_end(below)


def test_whenever_a_bake_is_killed_a_sweep_and_a_bake_give_one_verified_ami_and_nothing_else(
    bakes: KilledBakes,
) -> None:
    begun = time.monotonic()
    with bakes.start() as whole:
        whole.communicate()
    whole_s = time.monotonic() - begun
    assert whole.returncode == 0
    bakes.forget()
    chance = random.Random(20261121)
    swept: dict[str, int] = {}
    for number in range(KILLS):
        moment_s = whole_s * (number + chance.random()) / KILLS
        with bakes.start() as process:
            with suppress(subprocess.TimeoutExpired):
                process.wait(moment_s)
            kill(process, alone=number % 5 == 0)
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
    seen = 0
    with bakes.start() as process:
        while process.poll() is None:
            document = bakes.done(*SWEEP)
            assert [one for one in document["leftovers"] if one["outcome"] != "kept"] == []
            seen += len(document["leftovers"])
        assert process.stderr
        said = process.stderr.read()
    assert process.returncode == 0, said
    assert seen
    assert (list(bakes.stage.amis().values()), bakes.left()) == (["verified"], [])
