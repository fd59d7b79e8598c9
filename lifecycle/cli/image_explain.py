"""`capctl image explain`."""

from __future__ import annotations

import click

from lifecycle.cli import image_documents
from lifecycle.cli.context import Invocation, pass_invocation


@click.command()
@click.argument("image", required=False)
@click.option(
    "--depth", type=click.IntRange(min=1), help="Names of folders at most N deep; else as deep as the bytes are."
)
@click.option("--top", type=click.IntRange(min=1), default=10, show_default=True, help="At most N rows of each list.")
@pass_invocation
def command(invocation: Invocation, image: str | None, depth: int | None, top: int) -> None:
    """Show what IMAGE costs: its layers with what made them, folders, files, packages, models, and what is wasted.

    IMAGE is a tag, or a digest, of which the first 12 digits are enough; without it, the pushed image of the working tree's code. With
    `-o json` packages, models and waste are whole whatever `--top` is.
    """
    from lifecycle.cli.image_text import explanation_text
    from lifecycle.workflows.explain_image import explain_image

    found = explain_image(invocation.app, invocation.app.target, image, top=top, depth=depth)
    document = image_documents.image_explanation(found)
    invocation.emit("capctl.image-explanation/1", document, lambda: explanation_text(found, top=top))
