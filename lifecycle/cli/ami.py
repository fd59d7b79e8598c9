"""`capctl ami`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from lifecycle.cli import (
    ami_channels,
    ami_copy,
    ami_deprecate,
    ami_diff,
    ami_disable,
    ami_documents,
    ami_promote,
    ami_prune,
    ami_share,
    ami_sweep,
    ami_text,
)
from lifecycle.cli.context import Invocation, NounGroup, dry_run_option, pass_invocation
from lifecycle.cli.render import check_table
from lifecycle.domain.ami_status import AmiStatus

if TYPE_CHECKING:
    from lifecycle.domain.usage import Unread


@click.group(cls=NounGroup)
def command() -> None:
    """Bake, verify, promote, copy, share and remove AMIs.

    Where a command takes AMI, give an AMI id or the name of a channel.
    """


@command.command()
@click.option("--force", is_flag=True, help="Bake even when a verified AMI of the same content exists.")
@click.option(
    "--from-status",
    type=click.Choice([status.value for status in (AmiStatus.VERIFIED, AmiStatus.SMOKE_PASSED, AmiStatus.PROMOTED)]),
    default=AmiStatus.VERIFIED.value,
    show_default=True,
    help="Status from which on an AMI of the same content is taken as it is; a lower one is verified again, and keeps its status.",
)
@dry_run_option
@pass_invocation
def bake(invocation: Invocation, force: bool, from_status: str, dry_run: bool) -> None:
    """Bake the locked model set into an AMI and verify it; prints the AMI's id.

    Bakes nothing when a verified AMI of the same content exists; with `ami.verify_boot`, an AMI that has not been verified by a boot is
    booted and verified first. `--dry-run` says what changed since the newest AMI that passed its checks.
    """
    from lifecycle.workflows.bake import bake

    carry_out = partial(invocation.execute, dry_run=dry_run)
    baked = bake(
        invocation.app,
        invocation.app.target,
        invocation.run,
        force=force,
        from_status=AmiStatus(from_status),
        carry_out=carry_out,
    )
    if baked:
        document = ami_documents.ami_bake(baked.ami, changed=baked.is_changed)
        invocation.emit("capctl.ami-bake/1", document, baked.ami.id)


@command.command("ls")
@click.option(
    "--status",
    type=click.Choice([status.value for status in AmiStatus]),
    help="Only AMIs of this status.",
)
@pass_invocation
def list_(invocation: Invocation, status: str | None) -> None:
    """List the project's AMIs in the target's region, newest first, with cost per month and the releases and channels that use them."""
    from lifecycle.workflows.list_amis import list_amis

    app = invocation.app
    with app.ui.step("read the AMIs, the releases and the channels"):
        found = list_amis(app, app.target, status=AmiStatus(status) if status else None)
    nothing = (
        f"Project `{app.target.project}` has no AMIs{f' that are `{status}`' if status else ''} in {app.target.region}"
    )
    table = partial(ami_text.ami_table, found)
    invocation.emit("capctl.ami-list/1", ami_documents.ami_list(found), table, nothing=nothing)
    _warn_unread(invocation, found.unread)


@command.command()
@click.argument("ami")
@pass_invocation
def show(invocation: Invocation, ami: str) -> None:
    """Show one AMI, an id or a channel: who made it from what, its model files, who uses it, who it is shared with, and what it costs.

    Reads everything in the account that may use it, so it takes longer than `capctl ami ls`.
    """
    from lifecycle.workflows.list_amis import show_ami
    from lifecycle.workflows.lookups import ami_of

    app = invocation.app
    with app.ui.step("read the AMI and everything that may use it"):
        found = show_ami(app, app.target, ami_of(app, ami))
    invocation.emit("capctl.ami/1", ami_documents.ami(found), lambda: ami_text.ami_details(found))
    _warn_unread(invocation, found.unread)


@command.command()
@click.argument("ami")
@click.option("--boot", is_flag=True, help="Start an instance of AMI that reads its disk again, and end it.")
@dry_run_option
@pass_invocation
def verify(invocation: Invocation, ami: str, boot: bool, dry_run: bool) -> None:
    """Check AMI, an id or a channel: state, tags, metadata access, and what its instance read back from the disk before the snapshot.

    With --boot an instance of AMI checks its own disk too, unless a check failed before; it costs some minutes of that instance, and
    what it comes to is stored on AMI: a candidate that passes is verified; one whose content is wrong is a candidate again, or, once
    promoted, is taken by nothing until it passes at that level.
    Says what was not checked, too. Fails when a check does not pass, or the last finding that was stored is a failure.
    """
    from lifecycle.workflows.lookups import ami_of
    from lifecycle.workflows.verify_ami import ami_rejection, verify_ami, verify_by_boot

    if dry_run and not boot:
        raise click.UsageError("Give `--dry-run` with `--boot` only: nothing else changes anything.")
    app, ami_id = invocation.app, ami_of(invocation.app, ami)
    if boot:
        carry_out = partial(invocation.execute, dry_run=dry_run)
        report = verify_by_boot(app, app.target, invocation.run, ami_id, carry_out=carry_out)
    else:
        report = verify_ami(app, app.target, app.amis, ami_id)
    if report:
        document = ami_documents.ami_verification(report, not_checked=report.not_checked)
        table = partial(check_table, report.checks, not_checked=report.not_checked)
        invocation.emit("capctl.ami-verification/1", document, table, failure=ami_rejection(report))


def _warn_unread(invocation: Invocation, unread: tuple[Unread, ...]) -> None:
    """Say on stderr of what it is not known whether it uses an AMI."""
    for one in unread:
        invocation.terminal.warn(f"What uses an AMI may be missing: {one}")


command.add_command(ami_channels.command)
command.add_command(ami_copy.command, "copy")
command.add_command(ami_deprecate.command, "deprecate")
command.add_command(ami_diff.diff)
command.add_command(ami_disable.command, "disable")
command.add_command(ami_promote.command)
command.add_command(ami_prune.command, "prune")
command.add_command(ami_share.command, "share")
command.add_command(ami_sweep.sweep)
