"""The stage: everything that a scene is played on, started on loopback and ended together."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Set
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from lifecycle.domain.measures import counted
from lifecycle.errors import CapctlError
from lifecycle.ports.ui import Ui
from lifecycle.rehearsal import leftovers
from lifecycle.rehearsal.child import Child, free_port, listens
from lifecycle.rehearsal.emulator.processes import remove_tree
from lifecycle.rehearsal.machine import REHEARSAL_VARIABLE
from lifecycle.rehearsal.programs import write_program
from lifecycle.rehearsal.project import REGION, Addresses, Project
from lifecycle.rehearsal.provider.shim import start_provider
from lifecycle.rehearsal.recorder import Recorder
from lifecycle.rehearsal.services.postgres import Postgres
from lifecycle.rehearsal.services.registry import debian_registry, standin_registry
from lifecycle.rehearsal.stage_folders import (
    is_kept,
    make_stage_folder,
    mark_kept,
    path_without_stages,
    record_registry,
    registry_of,
    stages_folder,
)
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


@contextmanager
def open_stage(
    ui: Ui, *, recorder: Recorder | None = None, keep: bool = False, without: Set[str] = frozenset()
) -> Iterator[Stage]:
    """Bring a stage up; end it with the block, unless `keep` is set and the block succeeds.

    `without` names the parts that shall be stand-ins even if they could be real.
    """
    record = recorder or Recorder(ui)
    folder = make_stage_folder()
    identifier = folder.name
    try:
        with ExitStack() as parts:
            with record.step("stage up") as step:
                standins = find_standins(without, folder, ui.note)
                stage = _start(identifier, folder, parts, standins, keep=keep)
                step.standins = (standins.registry,) if standins.registry else ()
                step.result = "emulator, registry, PostgreSQL, project"
            yield stage
            if keep:
                mark_kept(folder)
                parts.pop_all()
    finally:
        if not is_kept(folder):
            with record.step("clean up") as step:
                end_stage(identifier)
                step.result = "no process, container, mount or image is left"


def end_stage(identifier: str) -> None:
    """End a stage, however it was left. Raises `CapctlError` if something of it survives."""
    folder = stages_folder() / identifier
    if remaining := leftovers.remove(identifier, folder, registry=registry_of(folder)):
        raise CapctlError(
            "rehearsal-leftovers",
            f"{counted(len(remaining), 'part')} of rehearsal {identifier} survived",
            hint="Run `capctl rehearse --down` again, as the user who started it",
            details=tuple(f"{one.kind} {one.name}: {one.detail}" for one in remaining),
        )
    remove_tree(folder)


def _start(identifier: str, folder: Path, parts: ExitStack, standins: StandIns, *, keep: bool) -> Stage:
    emulator_port, registry_port, ssh_port = free_port(), free_port(), free_port()
    endpoint = f"http://127.0.0.1:{emulator_port}"
    record_registry(folder, f"127.0.0.1:{registry_port}")
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
    programs = folder / "bin"
    parts.callback(start_provider(programs, identifier, orphan=keep).stop)
    if standins.machines:
        packer.write_packer(programs)
    write_program(programs, "capctl", "lifecycle")
    write_program(programs, "analyzer", "analyzer")
    (programs / "psql").symlink_to(database.psql)
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
        "PATH": f"{programs}{os.pathsep}{path_without_stages(os.environ)}",
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
