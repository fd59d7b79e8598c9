"""`capctl drift`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lifecycle.cli import status_documents
from lifecycle.cli.context import Invocation, pass_invocation
from lifecycle.cli.render import table
from lifecycle.domain.digest import brief
from lifecycle.domain.measures import counted

if TYPE_CHECKING:
    from lifecycle.workflows.drift import Drift


@click.command()
@pass_invocation
def command(invocation: Invocation) -> None:
    """Compare what was deployed with what there is.

    Looks at the pointer, the stack, the queues, compute environments, launch templates and job definitions of each release, its AMI, its
    image, the instances that run, and channel `stable`. Changes nothing. A fault ends it with exit code 1, and 3 says that something could
    not be looked at; notices, such as a newer verified AMI, are no faults.
    """
    from lifecycle.workflows.drift import drift_failure, find_drift

    app = invocation.app
    with app.ui.step("compare the releases with what there is"):
        drift = find_drift(app, app.target)
    invocation.emit(
        "capctl.drift/1", status_documents.drift(drift), lambda: _text(drift), failure=drift_failure(drift, app.target)
    )


def _text(drift: Drift) -> str:
    looked_at = f"{counted(len(drift.release_ids), 'release')} looked at"
    if not drift.differences:
        return f"no drift, {looked_at}"
    rows = [
        (one.severity, brief(one.what), brief(one.expected), brief(one.found), brief(one.next))
        for one in drift.differences
    ]
    shown = table(("", "what", "expected", "found", "next"), rows, prose=("what", "expected", "found", "next"))
    return f"{shown}\n{looked_at}"
