"""`capctl init`."""

from __future__ import annotations

import os
import re

import click

from lifecycle.cli.context import Invocation, pass_invocation

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
    project = project or _name_of(path.absolute().parent.name)
    region = region or os.environ.get("AWS_REGION") or "us-east-1"
    write_example(path, example(project=project, target=target, account=account, region=region), overwrite=force)
    if account == PLACEHOLDER_ACCOUNT:
        invocation.terminal.warn(f"Write your account id in place of {PLACEHOLDER_ACCOUNT} in `{path}`")
    invocation.emit("capctl.init/1", {"config": str(path), "project": project, "target": target}, str(path))


def _name_of(folder: str) -> str:
    """A project name made from a folder's."""
    name = re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-0123456789")[:30].rstrip("-")
    return name if len(name) > 1 else "project"
