"""`capctl image policy`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lifecycle.cli import image_repository_documents
from lifecycle.cli.context import Invocation, pass_invocation
from lifecycle.cli.render import table

if TYPE_CHECKING:
    from lifecycle.workflows.image_policy import PolicyReport


@click.command()
@click.option("--preview", is_flag=True, help="Ask ECR what the policy would expire at this moment.")
@pass_invocation
def command(invocation: Invocation, preview: bool) -> None:
    """Show what ECR removes from the repository by itself, and whether the repository is set so.

    The rules come from `image.registry` in capctl.yaml; `capctl bootstrap` sets them.
    """
    from lifecycle.workflows.image_policy import report_on_policy

    app = invocation.app
    with app.ui.step("read the lifecycle policy" + (" and preview it" if preview else "")):
        report = report_on_policy(app, app.target, preview=preview)
    invocation.emit("capctl.image-policy/1", image_repository_documents.image_policy(report), lambda: _text(report))


def _text(report: PolicyReport) -> str:
    from lifecycle.domain.digest import brief
    from lifecycle.domain.lifecycle_policy import expiry_text
    from lifecycle.domain.measures import counted

    rules = [(rule.priority, rule.subject.replace("`", ""), rule.text) for rule in report.policy.rules]
    force = {
        True: "The repository has this policy",
        False: "The repository has another policy, or none: `capctl bootstrap` sets this one",
        None: "There is no repository yet: `capctl bootstrap` makes it",
    }[report.is_in_force]
    lines = [table(("rule", "selects", "of which"), rules), force]
    if report.expiring is not None:
        lines.append(f"At this moment {counted(len(report.expiring), 'image')} would expire")
        lines += [f"  {brief(expiry_text(image, report.needs))}" for image in report.expiring]
    return "\n".join(lines)
