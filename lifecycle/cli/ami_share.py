"""`capctl ami share`."""

from __future__ import annotations

import click

from lifecycle.cli import ami_documents
from lifecycle.cli.context import Invocation, dry_run_option, pass_invocation, reason_option, yes_option


@click.command()
@click.argument("ami")
@click.option("--with", "accounts", metavar="ACCOUNT", multiple=True, help="An AWS account id; may be repeated.")
@click.option("--with-organization", "organizations", metavar="ARN", multiple=True, help="Every account of it.")
@click.option("--with-unit", "units", metavar="ARN", multiple=True, help="Every account of an organisational unit.")
@click.option("--revoke", is_flag=True, help="No longer share the AMI with them.")
@reason_option
@dry_run_option
@yes_option
@pass_invocation
def command(
    invocation: Invocation,
    ami: str,
    accounts: tuple[str, ...],
    organizations: tuple[str, ...],
    units: tuple[str, ...],
    revoke: bool,
    dry_run: bool,
) -> None:
    """Let other accounts start the verified AMI and copy its snapshots; prints whom it is shared with, one a line.

    Organisations and their units get the AMI only: EC2 shares snapshots with accounts.
    """
    from lifecycle.workflows.lookups import ami_of
    from lifecycle.workflows.share_ami import parse_grants, plan_revoke, plan_share

    app, ami_id = invocation.app, ami_of(invocation.app, ami)
    grants = parse_grants(app.target, accounts=accounts, organizations=organizations, units=units)
    plan = (plan_revoke if revoke else plan_share)(app, app.target, ami_id, grants)
    if invocation.execute(plan, dry_run=dry_run, ask=True):
        given = app.amis.grants(ami_id)
        document = ami_documents.ami_share(ami_id, given, changed=bool(plan.steps))
        invocation.emit("capctl.ami-share/1", document, "\n".join(sorted(map(str, given))))
