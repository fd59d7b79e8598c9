"""`capctl ami verify`."""

from __future__ import annotations

from functools import partial

import click

from lifecycle.cli import ami_documents
from lifecycle.cli.context import Invocation, dry_run_option, pass_invocation
from lifecycle.cli.render import check_table


@click.command()
@click.argument("ami")
@click.option("--boot", is_flag=True, help="Start an instance of AMI that reads its disk again, and end it.")
@dry_run_option
@pass_invocation
def command(invocation: Invocation, ami: str, boot: bool, dry_run: bool) -> None:
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
