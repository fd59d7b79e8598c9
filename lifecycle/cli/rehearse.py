"""`capctl rehearse`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lifecycle.cli.context import Invocation, pass_invocation
from lifecycle.cli.render import table
from lifecycle.rehearsal.scene_names import PARTS, SCENES

if TYPE_CHECKING:
    from lifecycle.rehearsal.report import Report


def _parts(_ctx: click.Context, _option: click.Parameter, text: str) -> frozenset[str]:
    chosen = frozenset(part.strip() for part in text.split(",") if part.strip())
    if unknown := sorted(chosen - set(PARTS)):
        raise click.BadParameter(f"`{unknown[0]}` is not one of {', '.join(PARTS)}")
    return chosen


@click.command()
@click.option("--scene", type=click.Choice(sorted(SCENES)), default="release", show_default=True, help="What to play.")
@click.option(
    "--report",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write report.md and report.json into this folder.",
)
@click.option("--keep", is_flag=True, help="Leave it up and print the `export` lines to use it by hand.")
@click.option("--down", is_flag=True, help="End every rehearsal that was kept or killed.")
@click.option(
    "--without",
    metavar="PARTS",
    default="",
    callback=_parts,
    help=f"Stand-ins for these parts, though they could run here; comma-separated: {', '.join(PARTS)}.",
)
@pass_invocation
def command(
    invocation: Invocation, scene: str, report: Path | None, keep: bool, down: bool, without: frozenset[str]
) -> None:
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
    outcome = perform(scene, ui, keep=keep, without=without, report_folder=report)
    invocation.emit(
        "capctl.rehearsal/1",
        outcome.document(),
        lambda: outcome.exports() or _table(outcome.report),
        failure=outcome.failure,
    )


def _table(report: Report) -> str:
    rows = [(row.name, f"{row.seconds:.1f}", row.kind, row.result) for row in report.steps]
    return "\n".join((table(("step", "seconds", "kind", "result"), rows), *report.footnotes(), report.verdict()))
