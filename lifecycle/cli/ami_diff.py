"""`capctl ami diff`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lifecycle.cli import ami_documents
from lifecycle.cli.context import Invocation, pass_invocation
from lifecycle.cli.render import table

if TYPE_CHECKING:
    from lifecycle.domain.ami_difference import AmiDifference


@click.command()
@click.argument("a")
@click.argument("b", required=False)
@pass_invocation
def command(invocation: Invocation, a: str, b: str | None) -> None:
    """Compare AMI A with AMI B, each an id or a channel: the inputs and model files that differ.

    Without B, compares A with what a bake would make now of the lock file, the base AMI and the recipe. The exit code is 0 either way.
    """
    from lifecycle.workflows.diff_amis import diff_amis
    from lifecycle.workflows.lookups import ami_of

    app = invocation.app
    found = diff_amis(app, app.target, ami_of(app, a), ami_of(app, b) if b else None)
    invocation.emit("capctl.ami-diff/1", ami_documents.ami_diff(found), lambda: _difference(found))


def _difference(found: AmiDifference) -> str:
    from lifecycle.domain.ami_difference import change_text, sums_text
    from lifecycle.domain.digest import brief
    from lifecycle.domain.measures import counted, size_text

    before, after = found.before, found.after
    sizes = " -> ".join(f"{counted(len(one.files), 'file')}, {size_text(one.total_bytes)}" for one in (before, after))
    texts = [(brief(str(change)), change.decides) for change in found.inputs]
    rows = [(change.kind, change.path, change_text(change)) for change in found.files]
    lines = [
        f"{before.ami_id} -> {after.ami_id or 'what a bake would make now'}",
        *(text for text, decides in texts if decides),
        f"model files {sums_text(found.files) or 'the same'} ({sizes})",
        *([table(("", "path", "size"), rows)] if rows else ()),
        *(f"{text}, on which no bake depends" for text, decides in texts if not decides),
    ]
    return "\n".join(lines)
