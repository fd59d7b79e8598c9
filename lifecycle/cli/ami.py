"""`capctl ami`."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import click

from lifecycle.cli.context import Invocation, dry_run_option, pass_invocation
from lifecycle.cli.render import table
from lifecycle.domain.ami import AmiStatus

if TYPE_CHECKING:
    from lifecycle.domain.ami import AmiRecord
    from lifecycle.workflows.verify_ami import AmiReport


@click.group()
def command() -> None:
    """Bake and check AMIs."""


@command.command()
@click.option("--force", is_flag=True, help="Bake even when an AMI of the same content is verified.")
@dry_run_option
@pass_invocation
def bake(invocation: Invocation, force: bool, dry_run: bool) -> None:
    """Bake the locked model set into an AMI and verify it; prints the AMI's id.

    Does nothing when a verified AMI of the same content exists.
    """
    from lifecycle.workflows.bake import bake
    from lifecycle.workflows.list_amis import ami_document

    carry_out = partial(invocation.execute, dry_run=dry_run)
    baked = bake(invocation.app, invocation.app.target, invocation.run, force=force, carry_out=carry_out)
    if baked:
        invocation.emit("capctl.ami/1", {**ami_document(baked.ami), "baked": baked.is_changed}, baked.ami.id)


@command.command("ls")
@click.option("--status", type=click.Choice([status.value for status in AmiStatus]), help="Only AMIs of this status.")
@pass_invocation
def list_(invocation: Invocation, status: str | None) -> None:
    """List the project's AMIs, newest first."""
    from lifecycle.workflows.list_amis import ami_document, list_amis

    amis = list_amis(invocation.app, invocation.app.target, status=AmiStatus(status) if status else None)
    invocation.emit("capctl.ami-list/1", {"amis": [ami_document(ami) for ami in amis]}, lambda: _list(amis))


@command.command()
@click.argument("ami")
@pass_invocation
def show(invocation: Invocation, ami: str) -> None:
    """Show what AMI is and what went into it."""
    from lifecycle.domain.ami import parse_ami_id
    from lifecycle.workflows.list_amis import ami_document

    document = ami_document(invocation.app.amis.get(parse_ami_id(ami)))
    invocation.emit("capctl.ami/1", document, lambda: _fields(document))


@command.command()
@click.argument("ami")
@pass_invocation
def verify(invocation: Invocation, ami: str) -> None:
    """Check AMI: state, tags, metadata access, and what its instance read back from the disk before the snapshot.

    Says what was not checked, too. Fails when a check does not pass.
    """
    from lifecycle.domain.ami import parse_ami_id
    from lifecycle.workflows.verify_ami import NOT_CHECKED, rejection, verify_ami

    report = verify_ami(invocation.app, invocation.app.target, parse_ami_id(ami))
    failure = rejection(report)
    document = {
        "id": report.ami.id,
        "ok": failure is None,
        "checks": [asdict(check) for check in report.checks],
        "not_checked": list(NOT_CHECKED),
    }
    invocation.emit("capctl.ami-verification/1", document, lambda: _checks(report, NOT_CHECKED), failure=failure)


def _list(amis: tuple[AmiRecord, ...]) -> str:
    if not amis:
        return ""
    rows = [(ami.id, ami.status or "-", ami.state, f"{ami.size_gib} GiB", ami.created, ami.name) for ami in amis]
    return table(("ami", "status", "state", "size", "created", "name"), rows)


def _fields(document: dict[str, object]) -> str:
    shown = {key: ", ".join(value) if isinstance(value, list) else value for key, value in document.items()}
    return "\n".join(f"{key:<13} {'-' if value is None else value}" for key, value in shown.items())


def _checks(report: AmiReport, not_checked: tuple[str, ...]) -> str:
    rows = [("ok" if check.ok else "failed", check.name, check.expected, check.found) for check in report.checks]
    return table(("", "check", "expected", "found"), [*rows, *(("not checked", name, "", "") for name in not_checked)])
