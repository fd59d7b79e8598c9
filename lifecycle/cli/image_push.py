"""`capctl image push`."""

from __future__ import annotations

import click

from lifecycle.cli import documents
from lifecycle.cli.context import Invocation, dry_run_option, pass_invocation


@click.command()
@dry_run_option
@pass_invocation
def command(invocation: Invocation, dry_run: bool) -> None:
    """Push the code of the working tree as one layer on the base image; prints the image by digest.

    With `--dry-run` it tells the tree hash, the files that changed since the last push from here and the bytes to send.
    """
    from lifecycle.workflows.push_image import PushCode, plan_push_image, preview_push_image
    from lifecycle.workflows.source import told_source

    if dry_run:
        plan, preview = preview_push_image(invocation.app, invocation.app.target)
        invocation.print_plan(plan, documents.plan(plan, push=preview))
    elif done := invocation.execute(plan_push_image(invocation.app, invocation.app.target)):
        pushed = done.of(PushCode)
        invocation.emit("capctl.image/1", documents.image(pushed, told_source(invocation.app)), str(pushed.ref))
