"""`capctl image load`, and how a person runs what it loads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from lifecycle.cli import image_documents
from lifecycle.cli.context import Invocation, dry_run_option, pass_invocation

video_option = click.option(
    "--video",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Video for the `docker run` line that is printed; a placeholder without it.",
)


@click.command()
@click.argument("image", required=False)
@video_option
@dry_run_option
@pass_invocation
def command(invocation: Invocation, image: str | None, video: Path | None, dry_run: bool) -> None:
    """Load IMAGE into the container engine of this machine; prints its name there.

    IMAGE is a tag, or a digest, of which the first 12 digits are enough; without it, the code image of the working tree, which need not be
    pushed, though what a push would refuse is refused here, too. The line that runs it goes to stderr: the models of this machine, the
    variables of a job with the values of your shell, no network and no database; results go below `.capctl/by-hand`.
    """
    from lifecycle.workflows.load_image import image_id, local_code, plan_load, run_by_hand, stored_image

    app, target = invocation.app, invocation.app.target
    found = stored_image(app, target, image) if image is not None else local_code(app, target)
    plan = plan_load(app, found)
    if invocation.execute(plan, dry_run=dry_run):
        run = run_by_hand(app, target, found, video)
        document = image_documents.image_load(found, image_id(app, found), run=run, changed=bool(plan.steps))
        invocation.emit("capctl.image-load/1", document, found.name)
        tell_run(invocation, run)


def tell_run(invocation: Invocation, run: Sequence[str], *, first: str = "") -> None:
    """Say on stderr how to run it."""
    import shlex

    without = " (leave `--gpus all` out where there is no GPU)" if "--gpus" in run else ""
    invocation.terminal.note(f"Run it by hand{f', after {first}' if first else ''}{without}:")
    invocation.terminal.note(shlex.join(run))
