"""`capctl ami disable`."""

from __future__ import annotations

import click

from lifecycle.cli import ami_documents
from lifecycle.cli.context import Invocation, dry_run_option, pass_invocation, reason_option, yes_option_unless


@click.command()
@click.argument("ami")
@click.option("--undo", is_flag=True, help="Enable the AMI again and verify it; what was revoked stays revoked.")
@click.option("--force", is_flag=True, help="Disable it even while it is in use.")
@reason_option
@dry_run_option
@yes_option_unless(lambda options: options["dry_run"] or options["undo"])
@pass_invocation
def command(invocation: Invocation, ami: str, undo: bool, force: bool, dry_run: bool) -> None:
    """Disable AMI, an id or a channel, so that nobody can launch it; prints its status, and who lost access.

    All launch permissions and all grants on its snapshots are revoked. Refused while anything in the account uses the AMI or a channel
    names it, and when that cannot be read; `--force` says who is affected and what could not be read, and goes on.
    Running jobs finish; no new host can start from the AMI.
    """
    from lifecycle.workflows.disable_ami import WithdrawAmi, plan_disable, plan_enable
    from lifecycle.workflows.lookups import ami_of

    app = invocation.app
    with app.ui.step("read the AMI and everything that may use it"):
        ami_id = ami_of(app, ami)
        plan = (
            plan_enable(app, app.target, invocation.run, ami_id)
            if undo
            else plan_disable(app, app.target, invocation.run, ami_id, force=force)
        )
    if done := invocation.execute(plan, dry_run=dry_run, ask=not undo):
        found, withdrawal = app.amis.get(ami_id), done.find(WithdrawAmi)
        taken_from = withdrawal.taken if withdrawal else ()
        document = ami_documents.ami_disable(found, taken_from=taken_from, changed=bool(plan.steps))
        invocation.emit("capctl.ami-disable/1", document, str(withdrawal or found.status))
