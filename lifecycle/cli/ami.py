"""`capctl ami`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from lifecycle.cli import (
    ami_channels,
    ami_copy,
    ami_deprecate,
    ami_disable,
    ami_documents,
    ami_promote,
    ami_share,
)
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
    """Show what AMI, an id or a channel, is and what went into it."""
    from lifecycle.workflows.list_amis import show_ami
    from lifecycle.workflows.lookups import ami_of

    found = show_ami(invocation.app, ami_of(invocation.app, ami))
    invocation.emit("capctl.ami/1", ami_documents.ami(found), lambda: _details(found))


@command.command()
@click.argument("ami")
@click.option("--boot", is_flag=True, help="Start an instance of AMI that reads its disk again, and end it.")
@pass_invocation
def verify(invocation: Invocation, ami: str, boot: bool) -> None:
    """Check AMI, an id or a channel: state, tags, metadata access, and what its instance read back from the disk before the snapshot.

    With --boot an instance of AMI checks its own disk too; it costs some minutes of that instance, and the level that was proven is
    stored on AMI. Says what was not checked, too. Fails when a check does not pass.
    """
    from lifecycle.workflows.lookups import ami_of
    from lifecycle.workflows.verify_ami import ami_rejection, verify_ami, verify_by_boot

    app, ami_id = invocation.app, ami_of(invocation.app, ami)
    if boot:
        report = verify_by_boot(app, app.target, invocation.run, ami_id, carry_out=invocation.execute)
    else:
        report = verify_ami(app, app.target, app.amis, ami_id)
    document = ami_documents.ami_verification(report, not_checked=report.not_checked)
    table = partial(check_table, report.checks, not_checked=report.not_checked)
    invocation.emit("capctl.ami-verification/1", document, table, failure=ami_rejection(report))


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
        ("verified", ami.tags.get(Tag.VERIFIED)),
        ("git commit", ami.tags.get(Tag.GIT)),
        ("run", ami.tags.get(Tag.RUN)),
    )
    return brief(fields(pairs))


command.add_command(ami_channels.command)
command.add_command(ami_copy.command, "copy")
command.add_command(ami_deprecate.command, "deprecate")
command.add_command(ami_disable.command, "disable")
command.add_command(ami_promote.command)
command.add_command(ami_share.command, "share")
