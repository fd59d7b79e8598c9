"""`capctl ami`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from lifecycle.cli import ami_documents
from lifecycle.cli.ami_sweep import sweep
from lifecycle.cli.context import Invocation, NounGroup, dry_run_option, pass_invocation
from lifecycle.cli.render import check_table, fields, table, time_text
from lifecycle.domain.ami import AmiStatus
from lifecycle.domain.digest import brief

if TYPE_CHECKING:
    from lifecycle.domain.ami import AmiRecord


@click.group(cls=NounGroup)
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

    carry_out = partial(invocation.execute, dry_run=dry_run)
    baked = bake(invocation.app, invocation.app.target, invocation.run, force=force, carry_out=carry_out)
    if baked:
        document = ami_documents.ami_bake(baked.ami, changed=baked.is_changed)
        invocation.emit("capctl.ami-bake/1", document, baked.ami.id)


@command.command("ls")
@click.option("--status", type=click.Choice([status.value for status in AmiStatus]), help="Only AMIs of this status.")
@pass_invocation
def list_(invocation: Invocation, status: str | None) -> None:
    """List the project's AMIs, newest first."""
    from lifecycle.workflows.list_amis import list_amis

    amis = list_amis(invocation.app, invocation.app.target, status=AmiStatus(status) if status else None)
    invocation.emit("capctl.ami-list/1", ami_documents.ami_list(amis), lambda: _list(amis))


@command.command()
@click.argument("ami")
@pass_invocation
def show(invocation: Invocation, ami: str) -> None:
    """Show what AMI is and what went into it."""
    from lifecycle.domain.ami import parse_ami_id
    from lifecycle.workflows.list_amis import show_ami

    found = show_ami(invocation.app, parse_ami_id(ami))
    invocation.emit("capctl.ami/1", ami_documents.ami(found), lambda: _details(found))


@command.command()
@click.argument("ami")
@pass_invocation
def verify(invocation: Invocation, ami: str) -> None:
    """Check AMI: state, tags, metadata access, and what its instance read back from the disk before the snapshot.

    Says what was not checked, too. Fails when a check does not pass.
    """
    from lifecycle.domain.ami import parse_ami_id
    from lifecycle.workflows.verify_ami import NOT_CHECKED, ami_rejection, verify_ami

    report = verify_ami(invocation.app, invocation.app.target, parse_ami_id(ami))
    document = ami_documents.ami_verification(report, not_checked=NOT_CHECKED)
    invocation.emit(
        "capctl.ami-verification/1",
        document,
        lambda: check_table(report.checks, not_checked=NOT_CHECKED),
        failure=ami_rejection(report),
    )


def _list(amis: tuple[AmiRecord, ...]) -> str:
    if not amis:
        return ""
    rows = [
        (ami.id, ami.status or "-", ami.state, f"{ami.size_gib} GiB", time_text(ami.created), ami.name) for ami in amis
    ]
    return table(("ami", "status", "state", "size", "created", "name"), rows, prose=("name",))


def _details(ami: AmiRecord) -> str:
    from lifecycle.domain.ami import Tag

    pairs = (
        ("AMI", ami.id),
        ("name", ami.name),
        ("status", ami.status or "not baked by capctl"),
        ("state", f"{ami.state}: {ami.state_reason}" if ami.state_reason else ami.state),
        ("created", time_text(ami.created)),
        ("architecture", ami.architecture),
        ("size", f"{ami.size_gib} GiB"),
        ("snapshots", ami.snapshot_ids),
        ("IMDSv2 required", ami.imds_v2),
        ("model set", ami.tags.get(Tag.MODEL_SET)),
        ("base AMI", ami.tags.get(Tag.BASE_AMI)),
        ("recipe", ami.tags.get(Tag.RECIPE)),
        ("bake digest", ami.tags.get(Tag.BAKE_DIGEST)),
        ("evidence", ami.tags.get(Tag.EVIDENCE)),
        ("git commit", ami.tags.get(Tag.GIT)),
        ("run", ami.tags.get(Tag.RUN)),
    )
    return brief(fields(pairs))


command.add_command(sweep)
