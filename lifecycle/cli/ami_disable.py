"""`capctl ami disable`."""

from __future__ import annotations

import click

from lifecycle.cli import ami_documents
from lifecycle.cli.context import Invocation, dry_run_option, pass_invocation, reason_option, yes_option


@click.command()
@click.argument("ami")
@click.option("--undo", is_flag=True, help="Enable the AMI again and verify it.")
@click.option("--force", is_flag=True, help="Withdraw the AMI from whoever uses it.")
@reason_option
@dry_run_option
@yes_option
@pass_invocation
def command(invocation: Invocation, ami: str, undo: bool, force: bool, dry_run: bool) -> None:
    """Let nobody start AMI any more; prints its status, and who lost a grant.

    Every grant on it and on its snapshots is taken away. Refused while anything of the account uses it or a channel names it, and where
    that cannot be read; `--force` says who will feel it and what was not read, and goes on.
    Jobs that run finish; hosts that are still to start from it do not.
    """
    from lifecycle.workflows.disable_ami import WithdrawAmi, plan_disable, plan_enable
    from lifecycle.workflows.lookups import ami_of

    app, ami_id = invocation.app, ami_of(invocation.app, ami)
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
