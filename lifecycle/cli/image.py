"""`capctl image`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lifecycle.cli import (
    documents,
    image_build,
    image_diff,
    image_explain,
    image_load,
    image_ls,
    image_policy,
    image_prune,
)
from lifecycle.cli.context import Invocation, NounGroup, dry_run_option, pass_invocation

if TYPE_CHECKING:
    from lifecycle.domain.image_report import ImageReport


@click.group(cls=NounGroup)
def command() -> None:
    """Build, push and check container images."""


@command.command()
@dry_run_option
@pass_invocation
def base(invocation: Invocation, dry_run: bool) -> None:
    """Build the base image from the locked requirements and push it.

    Does nothing when the registry has the base image of this lock. Prints the image by digest.
    """
    from lifecycle.workflows.build_base import base_image, plan_build_base

    plan = plan_build_base(invocation.app)
    if invocation.execute(plan, dry_run=dry_run):
        image = base_image(invocation.app)
        document = documents.image_base(image, changed=bool(plan.steps))
        invocation.emit("capctl.image-base/1", document, str(image.ref))


@command.command()
@dry_run_option
@pass_invocation
def push(invocation: Invocation, dry_run: bool) -> None:
    """Push the code of the working tree as one layer on the base image; prints the image by digest.

    With `--dry-run` it tells the tree hash, the files that changed since the last push from here and the bytes to send.
    """
    from lifecycle.workflows.push_image import PushCode, plan_push_image, preview_push_image
    from lifecycle.workflows.source import told_source

    if dry_run:
        plan, preview = preview_push_image(invocation.app, invocation.app.target)
        invocation.print_plan(plan, push=preview)
    elif done := invocation.execute(plan_push_image(invocation.app, invocation.app.target)):
        pushed = done.of(PushCode)
        invocation.emit("capctl.image/1", documents.image(pushed, told_source(invocation.app)), str(pushed.ref))


@command.command()
@click.argument("image", required=False)
@pass_invocation
def verify(invocation: Invocation, image: str | None) -> None:
    """Check IMAGE: budgets, model files, secrets and whatever must not ship.

    IMAGE is a digest, whole or as `status` shows it, or a tag; without it, the pushed image of the working tree's code.
    """
    from lifecycle.domain.image_report import image_rejection
    from lifecycle.workflows.verify_image import verify_image

    report = verify_image(invocation.app, invocation.app.target, image, needs_lock=False)
    document = documents.image_report(report)
    invocation.emit("capctl.image-report/1", document, lambda: _text(report), failure=image_rejection(report))


def _text(report: ImageReport) -> str:
    from lifecycle.cli.render import table
    from lifecycle.domain.image_report import broken
    from lifecycle.domain.measures import size_text

    sizes = (
        ("compressed", report.compressed_bytes, report.budgets.compressed_bytes),
        ("unpacked", report.unpacked_bytes, report.budgets.unpacked_bytes),
    )
    rows = [
        ("ok" if is_bytes <= most_bytes else "failed", name, size_text(is_bytes), size_text(most_bytes))
        for name, is_bytes, most_bytes in sizes
    ]
    verdict = "passes every rule" if report.ok else broken(report.violations)
    return "\n".join((str(report.ref), table(("", "size", "is", "at most"), rows), verdict))


command.add_command(image_build.command, "build")
command.add_command(image_load.command, "load")
command.add_command(image_diff.command, "diff")
command.add_command(image_explain.command, "explain")
command.add_command(image_ls.command, "ls")
command.add_command(image_prune.command, "prune")
command.add_command(image_policy.command, "policy")
