"""`capctl rehearse`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lifecycle.cli.context import Invocation, pass_invocation
from lifecycle.cli.render import table
from lifecycle.errors import UsageError
from lifecycle.rehearsal.scenes import MAIN, SCENES
from lifecycle.rehearsal.standins import PARTS

if TYPE_CHECKING:
    from lifecycle.rehearsal.report import Report


def _parts(_ctx: click.Context, _option: click.Parameter, text: str) -> frozenset[str]:
    chosen = frozenset(part.strip() for part in text.split(",") if part.strip())
    if unknown := sorted(chosen - set(PARTS)):
        raise click.BadParameter(f"`{unknown[0]}` is not one of {', '.join(PARTS)}")
    return chosen


_ALL = "all"


@click.command()
@click.option(
    "--report",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write report.md and report.json into this folder.",
)
@click.option(
    "--scene",
    type=click.Choice(tuple(SCENES)),
    default=MAIN,
    help="What is played: " + "; ".join(f"`{name}`, {plays}" for name, plays in SCENES.items()) + ".",
)
@click.option("--keep", is_flag=True, help="Leave it up and print the `export` lines to use it by hand.")
@click.option(
    "--down",
    metavar="[ID]",
    is_flag=False,
    flag_value=_ALL,
    help="End the rehearsal ID, or every one that was kept or killed; print the lines that take this shell off it.",
)
@click.option(
    "--without",
    metavar="PARTS",
    default="",
    callback=_parts,
    help=f"Stand-ins for these parts, though they could run here; comma-separated: {', '.join(PARTS)}.",
)
@pass_invocation
def command(
    invocation: Invocation, report: Path | None, scene: str, keep: bool, down: str | None, without: frozenset[str]
) -> None:
    """Run the whole life of a release, or another scene, on this machine.

    No AWS account is needed. The AWS API is emulated on loopback; Packer, the container engine, the registry, Pulumi, PostgreSQL, the
    networks and the video are real. A part that this machine cannot run is replaced by a stand-in, and the table says so.
    """
    try:
        from lifecycle.rehearsal.perform import end, perform
    except ModuleNotFoundError as missing:
        raise UsageError(
            "extra-missing",
            f"The rehearsal needs the Python package `{missing.name}`",
            hint="Run it from a checkout of capctl, after `make setup`",
        ) from missing
    from lifecycle.rehearsal.shell import leave_lines

    ui = invocation.terminal
    if down:
        ended = end(ui, None if down == _ALL else down)
        invocation.emit("capctl.rehearsal-down/1", {"ended": ended}, lambda: leave_lines(os.environ))
        return
    outcome = perform(ui, scene=scene, keep=keep, without=without, report_folder=report)
    invocation.emit(
        "capctl.rehearsal/1",
        outcome.document(),
        lambda: outcome.exports() or _table(outcome.report, rows_seen=_rows_seen(invocation)),
        failure=outcome.failure,
    )


def _table(report: Report, *, rows_seen: bool) -> str:
    rows = [(row.name, f"{row.seconds:.1f}", row.kind, row.result) for row in report.steps]
    top = () if rows_seen else (table(("step", "seconds", "kind", "result"), rows),)
    return "\n".join((*top, *report.footnotes(), report.verdict()))


def _rows_seen(invocation: Invocation) -> bool:
    """Whether the steps were shown, one by one, where the result goes too: one terminal, or one file."""
    try:
        return invocation.verbosity >= 0 and os.path.sameopenfile(sys.stdout.fileno(), sys.stderr.fileno())
    except (OSError, ValueError):  # a stream is closed, or is no file
        return False
