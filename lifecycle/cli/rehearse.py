"""`capctl rehearse`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lifecycle.cli.context import Invocation, pass_invocation
from lifecycle.cli.render import table
from lifecycle.rehearsal.scene_names import SCENES

if TYPE_CHECKING:
    from lifecycle.rehearsal.report import Report


@click.command()
@click.option("--scene", type=click.Choice(sorted(SCENES)), default="release", show_default=True, help="What to play.")
@click.option(
    "--report",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write report.md and report.json into this folder.",
)
@click.option("--keep", is_flag=True, help="Leave it up and print the `export` lines to use it by hand.")
@click.option("--down", is_flag=True, help="End every rehearsal that was kept or killed.")
@pass_invocation
def command(invocation: Invocation, scene: str, report: Path | None, keep: bool, down: bool) -> None:
    """Run the whole life of a release on this machine.

    No AWS account is needed. The AWS API is emulated on loopback; Packer, the container engine, the registry, Pulumi, PostgreSQL, the
    networks and the video are real. A part that this machine cannot run is replaced by a stand-in, and the table says so.
    """
    from lifecycle.rehearsal.perform import end_all, perform

    ui = invocation.terminal
    if down:
        ended = end_all(ui)
        invocation.emit("capctl.rehearsal-down/1", {"ended": ended}, "\n".join(ended) or "No rehearsal was up")
        return
    outcome = perform(scene, ui, keep=keep, report_folder=report)
    invocation.emit(
        "capctl.rehearsal/1",
        outcome.report.document(),
        lambda: outcome.exports or _table(outcome.report),
        failure=outcome.failure,
    )


def _table(report: Report) -> str:
    rows = [(row.name, f"{row.seconds:.1f}", row.kind, row.result) for row in report.steps]
    return f"{table(('step', 'seconds', 'kind', 'result'), rows)}\n{report.verdict()}"
