"""`capctl ami bake`."""

from __future__ import annotations

from functools import partial

import click

from lifecycle.cli import ami_documents
from lifecycle.cli.context import Invocation, dry_run_option, pass_invocation
from lifecycle.domain.ami_status import AmiStatus


@click.command()
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
def command(invocation: Invocation, force: bool, from_status: str, dry_run: bool) -> None:
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
