"""`capctl ami share`."""

from __future__ import annotations

import click

from lifecycle.cli import ami_documents
from lifecycle.cli.context import Invocation, dry_run_option, pass_invocation, reason_option, yes_option


@click.command()
@click.argument("ami")
@click.option("--with", "accounts", metavar="ACCOUNT", multiple=True, help="AWS account id; repeatable.")
@click.option(
    "--with-organization",
    "organizations",
    metavar="ARN",
    multiple=True,
    help="Every account of an organisation; repeatable.",
)
@click.option(
    "--with-unit", "units", metavar="ARN", multiple=True, help="Every account of an organisational unit; repeatable."
)
@click.option("--revoke", is_flag=True, help="Revoke their access instead.")
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
    """Grant other accounts launch permission on a verified AMI and access to its snapshots; prints who has it now, one per line.

    AMI is an id or a channel. Organisations and organisational units get launch permission only: EC2 shares snapshots with accounts alone.
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
