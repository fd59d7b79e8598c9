"""`capctl deploy`."""

from __future__ import annotations

import click

from lifecycle.cli import documents
from lifecycle.cli.context import Invocation, dry_run_option, pass_invocation, reason_option, yes_option


@click.command()
@click.option("--ami", help="AMI id or channel; the newest verified one that is not superseded when absent.")
@click.option(
    "--image",
    help="Image by tag, or by digest, of which the first 12 digits are enough; the pushed image of the working tree's code when absent.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with the last deployment, which was killed or came to no verdict: with its release, whatever the code is by now.",
)
@reason_option
@dry_run_option
@yes_option
@pass_invocation
def command(invocation: Invocation, ami: str | None, image: str | None, resume: bool, dry_run: bool) -> None:
    """Create a release, run a real job on it, move the pointer to it.

    When the job fails its checks the release is removed and the pointer stays where it was; when jobs fail, or dead letters come, while
    the promoted release is watched, the pointer goes back: exit code 7. Without capacity nothing is decided: exit code 3. That, and any
    other trouble that says nothing about the release, leaves it for the same command, or `--resume`, to go on. One deploys at a time.
    """
    from lifecycle.workflows.deploy import plan_deploy
    from lifecycle.workflows.lookups import active_pointer
    from lifecycle.workflows.move_pointer import MovePointer
    from lifecycle.workflows.resume import plan_resume
    from lifecycle.workflows.smoke import Smoke
    from lifecycle.workflows.wanted_release import Wanted

    if resume and (ami or image):
        raise click.UsageError(
            "Give `--resume`, which goes on with the release of the last deployment, or `--ami` and `--image`."
        )
    app = invocation.app
    with app.ui.step("read the AMI, the image and the releases"):
        if resume:
            plan = plan_resume(app, app.target, invocation.run)
        else:
            plan = plan_deploy(app, app.target, invocation.run, Wanted(ami=ami, image=image))
    if done := invocation.execute(plan, dry_run=dry_run, ask=True):
        pointer = done.find(MovePointer) or active_pointer(app)
        document = documents.deployment(pointer, done, report=done.find(Smoke))
        invocation.emit("capctl.deployment/1", document, pointer.release_id)
