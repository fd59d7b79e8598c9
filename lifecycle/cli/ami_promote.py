"""`capctl ami promote`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from lifecycle.cli import ami_documents
from lifecycle.cli.context import Invocation, dry_run_option, pass_invocation, reason_option, yes_option_unless


def _asks_nothing(options: Mapping[str, Any]) -> bool:
    from lifecycle.domain.channel import CANDIDATE

    # It moves unasked with every bake.
    return bool(options["dry_run"]) or options["channel"] == CANDIDATE


@click.command("promote")
@click.argument("ami", required=False)
@click.option("--to", "channel", required=True, metavar="CHANNEL", help="Channel to move, such as `stable`.")
@click.option("--rollback", is_flag=True, help="Point the channel back at the AMI that it named before.")
@reason_option
@dry_run_option
@yes_option_unless(_asks_nothing)
@pass_invocation
def command(invocation: Invocation, ami: str | None, channel: str, rollback: bool, dry_run: bool) -> None:
    """Point a channel at AMI, an id or another channel; prints the AMI's id.

    `candidate` takes verified AMIs. Every other channel takes AMIs on which a smoke job has passed: the AMI that it names becomes
    `promoted`, and an AMI that no such channel names any more becomes `superseded`. A second rollback in a row is refused: promote the
    AMI by its id instead.
    """
    from lifecycle.domain.channel import CANDIDATE, parse_channel
    from lifecycle.workflows.list_channels import channel_state
    from lifecycle.workflows.promote_ami import plan_channel_rollback, plan_promote

    app, run, name = invocation.app, invocation.run, parse_channel(channel)
    if bool(ami) == rollback:
        raise click.UsageError("Give AMI, or `--rollback`, and not both.")
    plan = (
        plan_promote(app, app.target, run, ami=ami, channel=name)
        if ami
        else plan_channel_rollback(app, app.target, run, channel=name)
    )
    if invocation.execute(plan, dry_run=dry_run, ask=name != CANDIDATE):
        state = channel_state(app, app.target, name)
        document = ami_documents.ami_promotion(state, changed=bool(plan.steps))
        invocation.emit("capctl.ami-promotion/1", document, state.entry.ami_id)
