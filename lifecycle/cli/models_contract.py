"""`capctl models contract`."""

from __future__ import annotations

import click

from lifecycle.cli import documents
from lifecycle.cli.context import Invocation, dry_run_option, pass_invocation


@click.command()
@click.option(
    "--mount",
    metavar="FOLDER",
    help="Where containers see the runtime, below /opt, /srv or /mnt; as the file says, or else /opt/runtime.",
)
@dry_run_option
@pass_invocation
def command(invocation: Invocation, mount: str | None, dry_run: bool) -> None:
    """Write what runtime/ of the source holds into the file of `image.base.runtime_contract`; prints the file's digest.

    runtime/ holds site-packages/, compiled by the base's Python, and perhaps lib/. Write the contract first, then lock the models.
    """
    from lifecycle.workflows.write_contract import plan_contract, written_contract

    app = invocation.app
    plan = plan_contract(app, mount=mount)
    if invocation.execute(plan, dry_run=dry_run):
        written = written_contract(app)
        document = documents.models_contract(written, changed=bool(plan.steps))
        invocation.emit("capctl.models-contract/1", document, written.digest)
