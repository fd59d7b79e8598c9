"""`capctl image diff`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lifecycle.cli import image_documents
from lifecycle.cli.context import Invocation, pass_invocation
from lifecycle.cli.render import table

if TYPE_CHECKING:
    from lifecycle.domain.image_difference import ComparedImages, ImageDifference, ValueChange


@click.command()
@click.argument("a")
@click.argument("b", required=False)
@click.option("--top", type=click.IntRange(min=1), default=20, show_default=True, help="At most N files, the largest.")
@pass_invocation
def command(invocation: Invocation, a: str, b: str | None, top: int) -> None:
    """Compare image A with image B: layers, settings, packages, and the files that a container sees.

    Each is a tag, or a digest, of which the first 12 digits are enough; without B, compares A with the pushed image of the working tree's
    code. With `-o json` all files are told whatever `--top` is. The exit code is 0 either way.
    """
    from lifecycle.workflows.diff_images import diff_images

    found = diff_images(invocation.app, invocation.app.target, a, b)
    invocation.emit("capctl.image-diff/1", image_documents.image_diff(found), lambda: _difference(found, top))


def _difference(images: ComparedImages, top: int) -> str:
    from lifecycle.domain.digest import brief
    from lifecycle.domain.image_difference import sums_text
    from lifecycle.domain.measures import counted, size_text

    found = images.found
    sizes = " -> ".join(
        f"{counted(one.files, 'file')}, {size_text(one.seen_bytes)}" for one in (found.before, found.after)
    )
    lines = [
        f"{brief(images.before.digest)} -> {brief(images.after.digest)}",
        _layers(found),
        *(brief(_value(change)) for change in found.settings),
        *(f"package {_value(change)}" for change in found.packages),
        f"files {sums_text(found.files) or 'the same'} ({sizes})",
        *_files(found, top),
    ]
    return "\n".join(lines)


def _layers(found: ImageDifference) -> str:
    from lifecycle.domain.measures import size_text

    if not (found.only_before or found.only_after):
        return f"layers the same ({found.shared_layers})"
    fetched = f"{size_text(found.download_bytes)} of {size_text(found.after.compressed_bytes)}"
    rows = [
        (kind, layer.number, size_text(layer.unpacked_bytes), size_text(layer.compressed_bytes), layer.made_by or "-")
        for kind, layers in (("removed", found.only_before), ("added", found.only_after))
        for layer in layers
    ]
    shown = table(("", "layer", "size", "compressed", "made by"), rows, prose=("made by",))
    return f"layers {found.shared_layers} shared; a host that has A downloads {fetched}\n{shown}"


def _value(change: ValueChange) -> str:
    return f"{change.name} {change.before or '-'} -> {change.after or '-'}"


def _files(found: ImageDifference, top: int) -> list[str]:
    from lifecycle.domain.image_difference import change_text
    from lifecycle.domain.measures import size_text

    if not found.files:
        return []
    largest = sorted(found.files, key=lambda change: (-change.size_bytes, change.path))
    shown, rest = sorted(largest[:top], key=lambda change: change.path), largest[top:]
    lines = [table(("", "path", "size"), [(change.change, change.path, change_text(change)) for change in shown])]
    if rest:
        lines.append(f"and {len(rest)} more, {size_text(sum(change.size_bytes for change in rest))}")
    return lines
