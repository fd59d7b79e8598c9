"""`capctl config`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lifecycle.cli import documents
from lifecycle.cli.context import Invocation, pass_invocation
from lifecycle.cli.groups import NounGroup
from lifecycle.cli.render import table

if TYPE_CHECKING:
    from lifecycle.config.origins import Setting


@click.group(cls=NounGroup)
def command() -> None:
    """Show and check the configuration."""


@command.command()
@click.option("--origins", is_flag=True, help="Say where each value came from.")
@pass_invocation
def show(invocation: Invocation, origins: bool) -> None:
    """Print every value in effect for the target.

    Highest first: CAPCTL_* variable (`smoke.timeout_s` is CAPCTL_SMOKE__TIMEOUT_S), target section, `defaults` section, default
    of capctl.
    """
    from lifecycle.config.load import resolve

    found = resolve(invocation.config_path, invocation.target_name, environment=os.environ)
    invocation.emit(
        "capctl.config-values/1",
        documents.config_values(found.target.name, found.settings),
        lambda: _table(found.settings, invocation.config_path if origins else None),
    )


def _table(settings: tuple[Setting, ...], path: Path | None) -> str:
    """With `path`, the configuration file, the origins too; the file is called by its name there."""
    if path:
        rows = ((each.name, each.shown, each.origin.replace(f"{path}:", f"{path.name}:")) for each in settings)
        return table(("key", "value", "origin"), rows)
    return table(("key", "value"), ((each.name, each.shown) for each in settings))


@command.command()
@pass_invocation
def check(invocation: Invocation) -> None:
    """Name every mistake in the configuration, with line and column; warns of files that it names and that are missing."""
    from lifecycle.config.load import check

    path = invocation.config_path
    accounts = check(path, environment=os.environ)
    warnings = _warnings(path, accounts)
    for warning in warnings:
        invocation.terminal.warn(warning)
    invocation.emit(
        "capctl.config-check/1",
        documents.config_check(path, targets=[*accounts], warnings=warnings),
        f"{path}: no mistakes; targets: {', '.join(accounts)}",
    )


def _warnings(path: Path, accounts: dict[str, str]) -> list[str]:
    from lifecycle.cli.init import PLACEHOLDER_ACCOUNT
    from lifecycle.config.files import missing_files
    from lifecycle.config.load import load_target

    unset = [target for target, account in accounts.items() if account == PLACEHOLDER_ACCOUNT]
    placeholders = [
        f"Target `{target}` has the placeholder account {PLACEHOLDER_ACCOUNT} in `{path}`" for target in unset
    ]
    return [*placeholders, *missing_files(load_target(path, name, environment=os.environ) for name in accounts)]


@command.command()
def schema() -> None:
    """Print the JSON Schema of capctl.yaml, for editors."""
    import json

    from lifecycle.config.schema_document import schema_document

    click.echo(json.dumps(schema_document(), indent=2, ensure_ascii=False))
