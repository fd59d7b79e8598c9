"""`capctl models`."""

from __future__ import annotations

import click

from lifecycle.cli import documents, models_contract
from lifecycle.cli.context import Invocation, dry_run_option, pass_invocation
from lifecycle.cli.groups import NounGroup


@click.group(cls=NounGroup)
def command() -> None:
    """Lock, check and upload the model set."""


@command.command()
@click.option("--check", is_flag=True, help="Write nothing; fail when the lock file is not up to date.")
@dry_run_option
@pass_invocation
def lock(invocation: Invocation, check: bool, dry_run: bool) -> None:
    """Write the lock file from the source folder or S3 prefix; prints the model set's digest.

    Licences and permitted uses that the file tells are kept. An unchanged lock file is not touched.
    """
    from lifecycle.workflows.lock_models import plan_lock, require_up_to_date
    from lifecycle.workflows.lookups import locked

    app = invocation.app
    if check:
        require_up_to_date(app)
        models = locked(app)
        invocation.emit("capctl.models-lock/1", documents.models_lock(models, changed=False), models.digest)
        return
    plan = plan_lock(app)
    if invocation.execute(plan, dry_run=dry_run):
        models = locked(app)
        invocation.emit("capctl.models-lock/1", documents.models_lock(models, changed=bool(plan.steps)), models.digest)


@command.command()
@pass_invocation
def verify(invocation: Invocation) -> None:
    """Read every file of the source and compare it with the lock file; prints the model set's digest."""
    from lifecycle.workflows.verify_models import models_rejection, verify_models

    report = verify_models(invocation.app)
    failure = models_rejection(report)
    document, text = documents.models_verification(report), "" if failure else report.models.digest
    invocation.emit("capctl.models-verification/1", document, text, failure=failure)


@command.command()
@dry_run_option
@pass_invocation
def push(invocation: Invocation, dry_run: bool) -> None:
    """Upload the locked files that the target's bucket lacks; prints the model set's digest."""
    from lifecycle.workflows.lookups import locked
    from lifecycle.workflows.push_models import plan_push

    app = invocation.app
    plan = plan_push(app, app.target)
    if invocation.execute(plan, dry_run=dry_run):
        models = locked(app)
        invocation.emit("capctl.models-push/1", documents.models_push(models, changed=bool(plan.steps)), models.digest)


command.add_command(models_contract.command, "contract")
