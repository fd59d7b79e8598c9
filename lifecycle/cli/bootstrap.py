"""`capctl bootstrap`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lifecycle.cli import documents
from lifecycle.cli.context import Invocation, dry_run_option, pass_invocation
from lifecycle.cli.render import fields

if TYPE_CHECKING:
    from lifecycle.ports.stack import BaseOutputs


@click.command()
@dry_run_option
@pass_invocation
def command(invocation: Invocation, dry_run: bool) -> None:
    """Create or update the base stack of the target.

    Bucket, image repository, tables, queues, log group and roles, and a network where `network.create` asks for one: what all
    releases share. Does nothing when all is there. While a deploy is under way it changes nothing (`deploy-locked`).
    """
    from lifecycle.workflows.bootstrap import ApplyBase, base_outputs, plan_bootstrap

    app = invocation.app
    with app.ui.step("compare the base stack with what is declared"):
        plan = plan_bootstrap(app, app.target, invocation.run)
    if done := invocation.execute(plan, dry_run=dry_run):
        outputs = done.find(ApplyBase) or base_outputs(app)
        invocation.emit("capctl.base/1", documents.base(outputs, changed=bool(plan.steps)), lambda: _text(outputs))


def _text(outputs: BaseOutputs) -> str:
    return fields(
        (
            ("bucket", outputs.bucket),
            ("repository", outputs.repository),
            ("table", outputs.table),
            ("log group", outputs.log_group),
            ("job role", outputs.job_role_arn),
            ("execution role", outputs.execution_role_arn),
            ("instance profile", outputs.instance_profile_arn),
            ("queue", outputs.queue_url),
            ("dead letters", outputs.dead_letters_url),
            ("tasks", outputs.tasks_table),
            *((("subnets", ", ".join(outputs.subnet_ids)),) if outputs.subnet_ids else ()),
            *((("security groups", ", ".join(outputs.security_group_ids)),) if outputs.security_group_ids else ()),
        )
    )
