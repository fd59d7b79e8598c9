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
from botocore.config import Config

from lifecycle.errors import ERROR_CODES
from lifecycle.rehearsal import leftovers
from lifecycle.rehearsal.child import descendants
from lifecycle.rehearsal.machine import REHEARSAL_VARIABLE
from lifecycle.rehearsal.stage import APP_ID
from lifecycle.rehearsal.stage_folders import registry_of
from tests.rehearsal.stage_parts import until

CAPCTL = (sys.executable, "-m", "lifecycle", "-o", "json")
_ALIVE = ["pending", "running", "stopping", "stopped", "shutting-down"]
_LINKED_FROM_BYTES = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How one command ended: its exit code, its one document, what it said on stderr, and when."""

    exit_code: int
    document: dict[str, Any]
    said: str
    seconds: float

    @property
    def code(self) -> str:
        """The code of the error, "" without one."""
        return str(self.document["code"]) if self.document.get("schema") == "capctl.error/1" else ""


class Running:
    """A command that runs, in a session of its own; what it says can be waited for."""

    def __init__(self, arguments: tuple[str, ...], environment: Mapping[str, str], folder: Path, *, said: Path) -> None:
        self._started, self._said = time.monotonic(), said
        with said.open("wb") as stream:
            self.process = subprocess.Popen(
                [*CAPCTL, *arguments],
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stream,
                text=True,
                start_new_session=True,
            )

    def says(self, words: str, *, timeout_s: float = 120) -> None:
        """Wait until stderr holds `words`; fails when the command ends first."""
        until(lambda: words in self._said.read_text() or self.process.poll() is not None, timeout_s)
        assert words in self._said.read_text(), self._said.read_text()

    def send(self, number: signal.Signals) -> float:
        """Signal the command, not what it started, as a supervisor does; returns the time."""
        self.process.send_signal(number)
        return time.monotonic()

    def ended(self, *, timeout_s: float = 250) -> Answer:
        """Its answer, after what holds for every one: one document, no traceback, no bug, and for each error a code and a hint."""
        try:
            out, _ = self.process.communicate(timeout=timeout_s)
        finally:
            self.process.kill()
            self.process.wait()
        said, code = self._said.read_text(), self.process.returncode
        assert "Traceback" not in said + out, said
        answer = Answer(
            exit_code=code,
            document=json.loads(out) if code >= 0 else {},
            said=said,
            seconds=time.monotonic() - self._started,
        )
        if answer.code:
            assert answer.code in ERROR_CODES, said
            assert f"error[{answer.code}]: " in said
            assert answer.document["hint"], said
            assert answer.exit_code == answer.document["exit_code"] != 70
        return answer


class KeptStage:
    """The stage that `capctl rehearse --keep` printed the environment of."""

    def __init__(self, document: Mapping[str, Any], *, report_folder: Path, said: str) -> None:
        self.document = dict(document)
        self.said = said
        self.report_folder = report_folder
        self.environment: dict[str, str] = dict(document["environment"])
        self.id = self.environment[REHEARSAL_VARIABLE]
        self.folder = Path(self.environment["CAPCTL_CONFIG"]).parents[1]
        self.project = Project(self, self.folder / "project")
        self.first_answers: tuple[dict[str, Any], ...] = ()

    def typed(self, *words: str) -> dict[str, Any]:
        """The document of a command as a person types it: found by PATH, in the project's folder."""
        environment = {**os.environ, **self.environment, "CAPCTL_OUTPUT": "json"}
        done = subprocess.run(words, env=environment, cwd=self.project.folder, stdout=subprocess.PIPE, check=True)
        return dict(json.loads(done.stdout))

    def client(self, service: str) -> Any:
        """A boto3 client of the emulator."""
        given = self.environment
        return boto3.client(
            service,
            endpoint_url=given["AWS_ENDPOINT_URL"],
            region_name=given["AWS_REGION"],
            aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
            config=Config(user_agent_appid=APP_ID),
        )

    def bake_traces(self) -> dict[str, list[str]]:
        """Everything of EC2 that a bake makes, by kind. Hosts of Batch come and go by themselves and have no key pair."""
        ec2 = self.client("ec2")
        alive = [{"Name": "instance-state-name", "Values": _ALIVE}]
        instances = [i for r in ec2.describe_instances(Filters=alive)["Reservations"] for i in r["Instances"]]
        loose = ec2.describe_volumes(Filters=[{"Name": "status", "Values": ["available"]}])["Volumes"]
        return {
            "instances": sorted(i["InstanceId"] for i in instances if i.get("KeyName")),
            "amis": sorted(i["ImageId"] for i in ec2.describe_images(Owners=["self"])["Images"]),
            "snapshots": sorted(s["SnapshotId"] for s in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]),
            "volumes": sorted(v["VolumeId"] for v in loose),
            "key pairs": sorted(k["KeyName"] for k in ec2.describe_key_pairs()["KeyPairs"]),
            "security groups": sorted(g["GroupId"] for g in ec2.describe_security_groups()["SecurityGroups"]),
        }

    def copy(self, folder: Path, *, name: str = "") -> Project:
        """The project in a folder of its own. With another `name` nothing of it exists on the stage."""
        shutil.copytree(self.project.folder, folder, copy_function=_linked, ignore=shutil.ignore_patterns(".capctl"))
        made = Project(self, folder)
        if name:
            with made.changed_config() as (document, target):
                document["project"] = name
                target["stack"]["state"] = (folder / ".pulumi-state").as_uri()
                # A job may read its own project's bucket only.
                target["smoke"]["video_url"] = target["smoke"]["video_url"].replace(self.project.name, name, 1)
            made = Project(self, folder)
        return made


class Project:
    """One folder with a capctl.yaml; commands run with it as `CAPCTL_CONFIG`."""

    def __init__(self, stage: KeptStage, folder: Path) -> None:
        self.stage = stage
        self.folder = folder
        self.config = folder / "capctl.yaml"
        document = yaml.safe_load(self.config.read_text())
        self.name: str = document["project"]
        self.bucket: str = document["targets"]["rehearsal"]["smoke"]["video_url"].split("/")[2]

    def start(self, *arguments: str, **environment: str | None) -> Running:
        """A command that runs; a variable that is None is unset."""
        outer = {name: value for name, value in os.environ.items() if name != "AWS_PROFILE"}
        given = {**outer, **self.stage.environment, "CAPCTL_CONFIG": str(self.config), **environment}
        said = self.folder.parent / f"said-{time.monotonic_ns()}"
        variables = {name: value for name, value in given.items() if value is not None}
        return Running(arguments, variables, self.folder.parent, said=said)

    def __call__(self, *arguments: str, **environment: str | None) -> Answer:
        """The answer of `capctl -o json ARGUMENTS`."""
        return self.start(*arguments, **environment).ended()

    def done(self, *arguments: str, **environment: str | None) -> dict[str, Any]:
        """The document of a command that must succeed."""
        answer = self(*arguments, **environment)
        assert answer.exit_code == 0, answer.said
        return answer.document

    def fails(self, code: str, exit_code: int, *arguments: str, **environment: str | None) -> str:
        """The message of a command that must end with this error, details included."""
        answer = self(*arguments, **environment)
        assert (answer.code, answer.exit_code) == (code, exit_code), (answer.document, answer.said)
        return "\n".join([answer.document["message"], *answer.document["details"]])

    @contextmanager
    def changed_config(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """The document of capctl.yaml and its target, written back when the block ends."""
        document = yaml.safe_load(self.config.read_text())
        yield document, document["targets"]["rehearsal"]
        replace(self.config, yaml.safe_dump(document, sort_keys=False).encode())

    def commit(self, path: str, text: str) -> None:
        """Write a file of the project and commit it."""
        replace(self.folder / path, text.encode())
        names = {
            f"GIT_{role}_{what}": "capctl@localhost" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        environment = {**os.environ, **names, "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(self.folder)}
        for arguments in (("add", "--all"), ("commit", "--quiet", "--allow-empty", "--message", f"Change {path}")):
            subprocess.run(["git", *arguments], cwd=self.folder, env=environment, check=True)

    def change_code(self, line: str) -> None:
        """Commit one more line of code."""
        path = "analyzer/__init__.py"
        self.commit(path, (self.folder / path).read_text() + f"# {line}\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A rehearsal that was interrupted while another one was played: its answer, how long it took to end, and what it left."""

    answer: Answer
    stopped_s: float
    left: list[leftovers.Leftover]


def left_of(folder: Path, registry: str | None) -> list[leftovers.Leftover]:
    """What is left of the stage whose folder and registry these were."""
    return leftovers.find(folder.name, folder, registry=registry)


@contextmanager
def keep_a_rehearsal(environment: Mapping[str, str], folder: Path) -> Iterator[tuple[KeptStage, Beside]]:
    """Play one rehearsal to its end and keep it, and interrupt a second one in its middle; end the first with the block."""
    stages = Path(environment["XDG_STATE_HOME"], "capctl", "rehearsals")
    arguments = ("rehearse", "--keep", "--report", str(folder / "report"))
    first = Running(arguments, environment, folder, said=folder / "first")
    try:
        first.says("✓ stage up")
        known = set(stages.iterdir())
        second = Running(("rehearse",), environment, folder, said=folder / "second")
        second.says("✓ models push")
        (folder_beside,) = set(stages.iterdir()) - known
        registry = registry_of(folder_beside)
        sent = second.send(signal.SIGTERM)
        answer = second.ended()
        beside = Beside(answer=answer, stopped_s=time.monotonic() - sent, left=left_of(folder_beside, registry))
        kept = first.ended()
        assert kept.exit_code == 0, kept.said
        stage = KeptStage(kept.document, report_folder=folder / "report", said=kept.said)
        # Before any test changes what the pointer names.
        stage.first_answers = (stage.typed("capctl", "image", "push"), stage.typed("capctl", "deploy", "--yes"))
        yield stage, beside
    finally:
        first.process.kill()
        registries = {path: registry_of(path) for path in stages.iterdir()}
        down = Running(("rehearse", "--down"), environment, folder, said=folder / "down").ended()
        assert down.exit_code == 0, down.said
        assert set(down.document["ended"]) == {path.name for path in registries}
        for path, registry in registries.items():
            assert left_of(path, registry) == []


def replace(path: Path, data: bytes) -> None:
    """Write a file anew: copies of the project share their large files by hard links."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def await_child(running: Running, name: str) -> set[int]:
    """Wait until the command has a process of this name below it; returns all that are."""

    def found() -> set[int]:
        below = descendants(running.process.pid)
        return below if name in {_name(pid) for pid in below} else set()

    return set(until(found, 60))


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _linked(source: str, target: str) -> None:
    if Path(source).stat().st_size > _LINKED_FROM_BYTES:
        os.link(source, target)
    else:
        shutil.copy2(source, target)
