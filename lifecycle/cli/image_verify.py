"""`capctl image verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lifecycle.cli import documents
from lifecycle.cli.context import Invocation, pass_invocation

if TYPE_CHECKING:
    from lifecycle.domain.image_report import ImageReport


@click.command()
@click.argument("image", required=False)
@pass_invocation
def command(invocation: Invocation, image: str | None) -> None:
    """Check IMAGE: budgets, model files, secrets and whatever must not ship.

    IMAGE is a tag, or a digest, of which the first 12 digits are enough; without it, the pushed image of the working tree's code.
    """
    from lifecycle.domain.image_report import image_rejection
    from lifecycle.workflows.verify_image import verify_image

    report = verify_image(invocation.app, invocation.app.target, image, needs_lock=False)
    document = documents.image_report(report)
    invocation.emit("capctl.image-report/1", document, lambda: report_text(report), failure=image_rejection(report))


def report_text(report: ImageReport) -> str:
    """Sizes beside their budgets, what the image needs of its host, and the verdict."""
    from lifecycle.cli.render import table
    from lifecycle.domain.image_report import broken
    from lifecycle.domain.measures import size_text
    from lifecycle.domain.runtime import runtime_text

    sizes = (
        ("compressed", report.compressed_bytes, report.budgets.compressed_bytes),
        ("unpacked", report.unpacked_bytes, report.budgets.unpacked_bytes),
    )
    rows = [
        ("ok" if is_bytes <= most_bytes else "failed", name, size_text(is_bytes), size_text(most_bytes))
        for name, is_bytes, most_bytes in sizes
    ]
    verdict = "passes every rule" if report.ok else broken(report.violations)
    sizes_table = table(("", "size", "is", "at most"), rows)
    return "\n".join(filter(None, (str(report.ref), sizes_table, runtime_text(report.runtime), verdict)))
