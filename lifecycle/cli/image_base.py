"""`capctl image base`."""

from __future__ import annotations

import click

from lifecycle.cli import documents
from lifecycle.cli.context import Invocation, dry_run_option, pass_invocation


@click.command()
@dry_run_option
@pass_invocation
def command(invocation: Invocation, dry_run: bool) -> None:
    """Build the base image from the locked requirements and push it.

    Does nothing when the registry has the base image of this lock. Prints the image by digest.
    """
    from lifecycle.workflows.build_base import base_image, plan_build_base

    plan = plan_build_base(invocation.app)
    if invocation.execute(plan, dry_run=dry_run):
        image = base_image(invocation.app)
        document = documents.image_base(image, changed=bool(plan.steps))
        invocation.emit("capctl.image-base/1", document, str(image.ref))
