"""The stage: everything that a scene is played on, started on loopback and ended together."""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Iterator, Set
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from lifecycle.errors import CapctlError
from lifecycle.ports.ui import Ui
from lifecycle.rehearsal import leftovers
from lifecycle.rehearsal.child import Child, free_port, listens
from lifecycle.rehearsal.emulator.processes import remove_tree
from lifecycle.rehearsal.machine import REHEARSAL_VARIABLE
from lifecycle.rehearsal.project import REGION, Addresses, Project
from lifecycle.rehearsal.provider.shim import write_shim
from lifecycle.rehearsal.recorder import Recorder
from lifecycle.rehearsal.services.postgres import Postgres
from lifecycle.rehearsal.services.registry import debian_registry, standin_registry
from lifecycle.rehearsal.standins import packer
from lifecycle.rehearsal.standins.reasons import StandIns, find_standins

EMULATOR_TIMEOUT_S = 30.0
# The emulator believes any credentials; these look like what they are.
ACCESS_KEY = "AKIAREHEARSAL0000000"
SECRET_KEY = "rehearsal"
# Tells the calls of the rehearsal itself from those of the commands that it plays.
APP_ID = "rehearsal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage that is up. `standins` say which of its parts are not real, and why."""

    id: str
    folder: Path
    project: Project
    addresses: Addresses
    environment: dict[str, str]
    standins: StandIns

    def client(self, service: str) -> Any:
        """A boto3 client of the emulator, to put samples in place and to look behind the commands."""
        return _client(service, self.addresses.endpoint_url)


def stages_folder() -> Path:
    """Where stages keep their files: `$XDG_STATE_HOME/capctl/rehearsals`, or below `~/.local/state`."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "capctl" / "rehearsals"


@contextmanager
def open_stage(
    ui: Ui, *, recorder: Recorder | None = None, keep: bool = False, without: Set[str] = frozenset()
) -> Iterator[Stage]:
    """Bring a stage up; end it with the block, unless `keep` is set and the block succeeds.

    `without` names the parts that shall be stand-ins even if they could be real.
    """
    record = recorder or Recorder(ui)
    identifier = f"{time.strftime('%H%M%S')}-{secrets.token_hex(2)}"
    folder = _make_folder(identifier)
    try:
        with ExitStack() as parts:
            with record.step("stage up") as step:
                standins = find_standins(without, folder, ui.note)
                stage = _start(identifier, folder, parts, standins, keep=keep)
                step.standins = (standins.registry,) if standins.registry else ()
                step.result = "emulator, registry, PostgreSQL, project"
            yield stage
            if keep:
                (folder / "kept").touch()
                parts.pop_all()
    finally:
        if not (folder / "kept").exists():
            with record.step("clean up") as step:
                end_stage(identifier)
                step.result = "no process, container or mount is left"


def end_stage(identifier: str) -> None:
    """End a stage, however it was left. Raises `CapctlError` if something of it survives."""
    folder = stages_folder() / identifier
    if remaining := leftovers.remove(identifier, folder):
        raise CapctlError(
            "rehearsal-leftovers",
            f"{len(remaining)} parts of rehearsal {identifier} survive",
            hint="Run `capctl rehearse --down` again, as the user who started it",
            details=tuple(f"{one.kind} {one.name}: {one.detail}" for one in remaining),
        )
    remove_tree(folder)


def end_abandoned_stages() -> tuple[str, ...]:
    """End every stage whose rehearsal was killed; returns their ids."""
    ended = [folder.name for folder in _folders() if not (folder / "kept").exists() and not _owner_lives(folder)]
    for identifier in ended:
        end_stage(identifier)
    return tuple(ended)


def end_idle_stages() -> tuple[str, ...]:
    """End every stage that was kept or abandoned; returns their ids. A rehearsal that is being played goes on."""
    ended = [folder.name for folder in _folders() if (folder / "kept").exists() or not _owner_lives(folder)]
    for identifier in ended:
        end_stage(identifier)
    return tuple(ended)


def _start(identifier: str, folder: Path, parts: ExitStack, standins: StandIns, *, keep: bool) -> Stage:
    emulator_port, registry_port, ssh_port = free_port(), free_port(), free_port()
    endpoint = f"http://127.0.0.1:{emulator_port}"
    options = ["--rootfs", str(standins.rootfs)] if standins.rootfs else []
    options += ["--no-engine", standins.engine] if standins.engine else []
    options += ["--orphan"] if keep else []
    emulator = Child(
        "emulator",
        [
            *(
                sys.executable,
                "-m",
                "lifecycle.rehearsal.emulator",
                "--port",
                str(emulator_port),
                "--state",
                str(folder / "emulator"),
            ),
            *(
                "--rehearsal",
                identifier,
                "--registry",
                f"127.0.0.1:{registry_port}",
                "--ssh-port",
                str(ssh_port),
                *options,
            ),
        ],
        log=folder / "emulator.log",
        rehearsal=identifier,
    )
    parts.callback(emulator.stop)
    start_registry = standin_registry if standins.registry else debian_registry
    registry = start_registry(
        folder / "registry", identifier, port=registry_port, events_url=f"{endpoint}/_capctl/registry-events"
    )
    parts.callback(registry.close)
    database = parts.enter_context(Postgres(folder / "postgres", identifier))
    emulator.await_ready(lambda: listens(emulator_port), timeout_s=EMULATOR_TIMEOUT_S)
    programs = write_shim(folder / "bin")
    if standins.machines:
        packer.write_program(programs)
    environment = {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        "CAPCTL_CONFIG": str(folder / "project" / "capctl.yaml"),
        "DATABASE_URL": database.dsn,
        "REGISTRY": registry.address,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        REHEARSAL_VARIABLE: identifier,
    }
    subnets, groups = _network(endpoint)
    addresses = Addresses(
        endpoint_url=endpoint,
        registry_url=f"http://{registry.address}",
        ssh_port=ssh_port,
        database_url=database.dsn,
        subnet_ids=subnets,
        security_group_ids=groups,
    )
    project = Project(folder / "project")
    project.create(addresses, state=folder / "pulumi")
    return Stage(
        id=identifier,
        folder=folder,
        project=project,
        addresses=addresses,
        environment=environment,
        standins=standins,
    )


def _network(endpoint: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    ec2 = _client("ec2", endpoint)
    subnets = ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]
    groups = ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"]
    return tuple(subnet["SubnetId"] for subnet in subnets), tuple(group["GroupId"] for group in groups)


def _client(service: str, endpoint: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=Config(user_agent_appid=APP_ID),
    )


def _folders() -> list[Path]:
    folder = stages_folder()
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in found if path.is_dir() and not path.name.startswith("."))


def _make_folder(identifier: str) -> Path:
    """The folder appears with its owner: without one, a rehearsal that starts beside this one would take it for abandoned."""
    folder = stages_folder() / identifier
    making = folder.with_name(f".{identifier}")
    making.mkdir(parents=True)
    _write_owner(making)
    return making.rename(folder)


def _write_owner(folder: Path) -> None:
    (folder / "owner").write_text(f"{os.getpid()} {_started(os.getpid())}")


def _owner_lives(folder: Path) -> bool:
    try:
        pid, _, started = (folder / "owner").read_text().partition(" ")
        return _started(int(pid)) == started
    except (OSError, ValueError):
        return False


def _started(pid: int) -> str:
    """When a process started: with the pid, it names one process for ever."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
