"""A rehearsal that is kept for the tests of a session: its commands as a user types them, and what exists in its world."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import yaml

from lifecycle.errors import ERROR_CODES
from lifecycle.rehearsal.machine import REHEARSAL_VARIABLE

CAPCTL = (sys.executable, "-m", "lifecycle", "-o", "json")
_ALIVE = ["pending", "running", "stopping", "stopped", "shutting-down"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How one command ended: its exit code, its one document, and what it said on stderr."""

    exit_code: int
    document: dict[str, Any]
    said: str
    seconds: float

    @property
    def code(self) -> str:
        """The code of the error, "" without one."""
        return str(self.document["code"]) if self.document.get("schema") == "capctl.error/1" else ""


def ended(process: subprocess.Popen[str], started: float, *, timeout_s: float = 280) -> Answer:
    """The answer of a command, after checking what holds for every one: one document, no traceback, a hint for each error."""
    try:
        out, said = process.communicate(timeout=timeout_s)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    assert "Traceback" not in said + out, said
    document = json.loads(out) if out.strip() or process.returncode >= 0 else {}
    answer = Answer(
        exit_code=process.returncode, document=document, said=said, seconds=time.monotonic() - started
    )
    if answer.exit_code > 0:
        assert f"error[{answer.code}]: " in said or not answer.code, said
        assert answer.code in {*ERROR_CODES, ""}, answer
        assert answer.document.get("hint") or not answer.code, answer
    return answer


class KeptStage:
    """The stage that `capctl rehearse --keep` printed the environment of."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.report = {key: value for key, value in document.items() if key != "environment"}
        self.environment: dict[str, str] = dict(document["environment"])
        self.id = self.environment[REHEARSAL_VARIABLE]
        self.config = Path(self.environment["CAPCTL_CONFIG"])
        self.folder = self.config.parents[1]
        self.project = Project(self, self.config.parent)

    def client(self, service: str) -> Any:
        """A boto3 client of the emulator."""
        given = self.environment
        return boto3.client(
            service,
            endpoint_url=given["AWS_ENDPOINT_URL"],
            region_name=given["AWS_REGION"],
            aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
        )

    def compute(self) -> dict[str, list[str]]:
        """Everything in EC2 that costs money or stands in the way, by kind."""
        ec2 = self.client("ec2")
        alive = [{"Name": "instance-state-name", "Values": _ALIVE}]
        reservations = ec2.describe_instances(Filters=alive)["Reservations"]
        groups = ec2.describe_security_groups()["SecurityGroups"]
        return {
            "instances": sorted(i["InstanceId"] for r in reservations for i in r["Instances"]),
            "amis": sorted(i["ImageId"] for i in ec2.describe_images(Owners=["self"])["Images"]),
            "snapshots": sorted(s["SnapshotId"] for s in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]),
            "volumes": sorted(v["VolumeId"] for v in ec2.describe_volumes()["Volumes"]),
            "key pairs": sorted(k["KeyName"] for k in ec2.describe_key_pairs()["KeyPairs"]),
            "security groups": sorted(g["GroupId"] for g in groups),
        }

    def copy(self, folder: Path, *, project: str | None = None) -> Project:
        """The project in a folder of its own, on this stage; with another `project` name nothing of it exists yet."""
        shutil.copytree(self.project.folder, folder, copy_function=_linked, ignore=shutil.ignore_patterns(".capctl"))
        made = Project(self, folder)
        if project:
            with made.changed_config() as document:
                document["project"] = project
                (target,) = document["targets"].values()
                target["stack"]["state"] = (folder / ".pulumi-state").as_uri()
        return made


class Project:
    """One folder with a capctl.yaml; commands run with it as `CAPCTL_CONFIG`."""

    def __init__(self, stage: KeptStage, folder: Path) -> None:
        self.stage = stage
        self.folder = folder
        self.config = folder / "capctl.yaml"

    def __call__(self, *arguments: str, **environment: str | None) -> Answer:
        """Run `capctl -o json ARGUMENTS` to its end; a variable that is None is unset."""
        started = time.monotonic()
        return ended(self.start(*arguments, **environment), started)

    def start(self, *arguments: str, **environment: str | None) -> subprocess.Popen[str]:
        """The running command, in a session of its own."""
        variables = {**os.environ, **self.stage.environment, "CAPCTL_CONFIG": str(self.config), **environment}
        return subprocess.Popen(
            [*CAPCTL, *arguments],
            env={name: value for name, value in variables.items() if value is not None and name != "AWS_PROFILE"},
            cwd=self.folder.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def done(self, *arguments: str, **environment: str | None) -> dict[str, Any]:
        """The document of a command that must succeed."""
        answer = self(*arguments, **environment)
        assert answer.exit_code == 0, answer.said
        return answer.document

    def fails(self, *arguments: str, code: str, exit_code: int = 1, **environment: str | None) -> Answer:
        """The answer of a command that must end with this error."""
        answer = self(*arguments, **environment)
        assert (answer.code, answer.exit_code) == (code, exit_code), (answer, answer.said)
        return answer

    @contextmanager
    def changed_config(self) -> Iterator[dict[str, Any]]:
        """The document of capctl.yaml, written back when the block ends."""
        document = yaml.safe_load(self.config.read_text())
        yield document
        replace(self.config, yaml.safe_dump(document, sort_keys=False).encode())

    def commit(self, path: str, text: str) -> None:
        """Write a file of the project and commit it."""
        replace(self.folder / path, text.encode())
        identity = {f"GIT_{role}_{what}": "capctl@localhost" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        for arguments in (("add", "--all"), ("commit", "--quiet", "--allow-empty", "--message", f"Change {path}")):
            subprocess.run(["git", *arguments], cwd=self.folder, env={**os.environ, **identity}, check=True)


def replace(path: Path, data: bytes) -> None:
    """Write a file anew: copies of the project share their files' contents by hard links."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def descendants(pid: int) -> set[int]:
    """Every process below `pid`."""
    found, waiting = set[int](), [pid]
    while waiting:
        for path in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
            try:
                children = {int(child) for child in path.read_text().split()}
            except OSError:
                continue
            waiting += children - found
            found |= children
    return found


def alive(pids: set[int]) -> set[int]:
    """Those of the processes that run; a zombie does not."""
    return {pid for pid in pids if _state(pid) not in {"", "Z", "X"}}


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def rehearse(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """A rehearsal that is being played."""
    return subprocess.Popen(
        [*CAPCTL, "rehearse", *arguments],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def kill_group(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """Signal a command as a terminal or a supervisor does: the process, not what it started."""
    process.send_signal(number)


def _linked(source: str, target: str) -> None:
    if Path(source).stat().st_size > 1_000_000:
        os.link(source, target)
    else:
        shutil.copy2(source, target)
