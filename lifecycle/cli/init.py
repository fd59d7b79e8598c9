"""`capctl init`."""

from __future__ import annotations

import os
import re
from pathlib import Path

import click

from lifecycle.cli.context import Invocation, pass_invocation
from lifecycle.errors import UsageError

PLACEHOLDER_ACCOUNT = "000000000000"


@click.command()
@click.option("--force", is_flag=True, help="Overwrite the file if it exists.")
@click.option("--project", help="Name of the project; the folder's name when absent.")
@click.option("--account", default=PLACEHOLDER_ACCOUNT, help="AWS account id of the target.")
@click.option("--region", help="AWS region of the target; AWS_REGION, or us-east-1, when absent.")
@pass_invocation
def command(invocation: Invocation, force: bool, project: str | None, account: str, region: str | None) -> None:
    """Write a commented capctl.yaml.

    It names every key with its default. The target is called `dev`, or what `--target` says.
    """
    from lifecycle.config.example import example, write_example

    path, target = invocation.config_path, invocation.target_name or "dev"
    _require_own(path)
    project = project or _name_of(path.absolute().parent.name)
    region = region or os.environ.get("AWS_REGION") or "us-east-1"
    write_example(path, example(project=project, target=target, account=account, region=region), overwrite=force)
    if os.environ.get("CAPCTL_CONFIG") == str(path):
        invocation.terminal.note(f"CAPCTL_CONFIG says where: `{path}`")
    if account == PLACEHOLDER_ACCOUNT:
        invocation.terminal.warn(f"Write your account id in place of {PLACEHOLDER_ACCOUNT} in `{path}`")
    invocation.emit("capctl.init/1", {"config": str(path), "project": project, "target": target}, str(path))


def _require_own(path: Path) -> None:
    from lifecycle.rehearsal.stage_folders import rehearsal_of

    if identifier := rehearsal_of(path):
        raise UsageError(
            "config-exists",
            f"`{path}` belongs to rehearsal {identifier}, and `init` never writes there",
            hint="Name another file with `--config`, or unset CAPCTL_CONFIG",
        )


def _name_of(folder: str) -> str:
    """A project name made from a folder's."""
    name = re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-0123456789")[:30].rstrip("-")
    return name if len(name) > 1 else "project"
