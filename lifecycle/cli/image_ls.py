"""`capctl image ls`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from lifecycle.cli import image_repository_documents
from lifecycle.cli.context import Invocation, pass_invocation
from lifecycle.cli.render import table
from lifecycle.domain.digest import brief
from lifecycle.domain.measures import age_text, counted, size_text
from lifecycle.domain.usage import kinds_text

if TYPE_CHECKING:
    from lifecycle.domain.repository_image import ImageKind, RepositoryImage
    from lifecycle.workflows.list_images import ImageList, ListedImage


@click.command()
@click.option(
    "--all",
    "every",
    is_flag=True,
    help="Also images without a tag, indexes, signatures, and what others pushed; every tag is told.",
)
@pass_invocation
def command(invocation: Invocation, every: bool) -> None:
    """List the images of the target's repository, newest first: last pull, size, cost per month, and everything that needs them.

    The cost is of the layers that no other image has. A pull is known to the day.
    """
    from lifecycle.workflows.list_images import list_images

    app = invocation.app
    with app.ui.step("read the images and everything that may use them"):
        found = list_images(app, app.target, every=every)
    nothing = f"Repository `{app.target.repository_name}` has no {'images' if every else 'code or base images'}"
    document = image_repository_documents.images(found)
    invocation.emit("capctl.images/1", document, partial(_text, found, every=every), nothing=nothing)
    for one in found.unread:
        invocation.terminal.warn(f"What uses an image may be missing: {one}")


def image_name(image: RepositoryImage, kind: ImageKind) -> str:
    """Its tag, and how many more it has; of one without a tag its kind in brackets."""
    if not image.tags:
        return f"({kind})"
    return image.tags[0] if len(image.tags) == 1 else f"{image.tags[0]} +{len(image.tags) - 1}"


def _text(found: ImageList, *, every: bool) -> str:
    others = f"{counted(found.others, 'other image')}: `--all` lists them, too" if found.others else ""
    if not found.images:
        return others
    rows = [
        (
            brief(one.image.digest),
            (every and ", ".join(one.image.tags)) or image_name(one.image, one.kind),
            age_text(one.image.age(found.at)),
            age_text(found.at - one.image.pulled_at if one.image.pulled_at else None),
            "-" if one.image.size_bytes is None else size_text(one.image.size_bytes),
            one.freed.cost,
            _users(one, found),
        )
        for one in found.images
    ]
    head = ("digest", "tag", "pushed", "pulled", "size", "per month", "needed by")
    total = f"{found.cost} per month for the whole repository"
    return "\n".join(
        filter(None, (table(head, rows, prose=("tag", "needed by") if every else ("needed by",)), total, others))
    )


def _users(one: ListedImage, found: ImageList) -> str:
    """`?` stands for what may be missing."""
    kinds = kinds_text(one.uses)
    return "; ".join([*kinds, "?"] if found.unread else kinds) or "-"
