"""`capctl smoke`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lifecycle.cli import smoke_documents
from lifecycle.cli.context import Invocation, dry_run_option, pass_invocation
from lifecycle.cli.ids import release_option
from lifecycle.cli.render import check_table, table, time_text
from lifecycle.domain.measures import duration_text, size_text

if TYPE_CHECKING:
    from lifecycle.domain.smoke import SmokeReport
    from lifecycle.domain.timeline import Timeline


@click.command()
@release_option
@dry_run_option
@pass_invocation
def command(invocation: Invocation, release_id: str | None, dry_run: bool) -> None:
    """Run a real job on a release and check what it did.

    Checks the image and the AMI that really ran, the frames looked at and the tracks found, the models as read inside the container, what
    it stored, and how long it worked beside the release before, and tells which part of the job's way took how long. Where
    `smoke.video_url` names no video the job gets a clip of capctl's own, which the command puts into the bucket. Without a host in time,
    or with all attempts lost to Spot, nothing is decided: exit code 3.
    """
    from lifecycle.workflows.smoke import Smoke, plan_smoke

    app = invocation.app
    plan = plan_smoke(app, app.target, invocation.run, release_id=release_id)
    if done := invocation.execute(plan, dry_run=dry_run):
        report = done.of(Smoke)
        invocation.emit("capctl.smoke/1", smoke_documents.smoke(report), lambda: _text(report))


def _text(report: SmokeReport) -> str:
    held = report.gpu_memory_peak_bytes
    told = "" if held is None else f"\n{size_text(held)} of GPU memory at most, on {report.instance_type}"
    return f"{check_table(report.checks)}\n\n{timeline_text(report.timeline)}{told}"


def timeline_text(found: Timeline) -> str:
    """A line per point of the way, with what led to it, then the slowest part."""
    first = found.marks[0].at_ms if found.marks else 0
    ways = [("", ""), *((duration_text(phase.seconds), phase.what) for phase in found.phases)]
    rows = [
        (mark.point, f"+{duration_text((mark.at_ms - first) / 1000)}", took, mark.source, what)
        for mark, (took, what) in zip(found.marks, ways, strict=False)
    ]
    lines = [table(("point", "at", "took", "says", "phase"), rows, prose=("phase",))]
    if found.slowest:
        lines.append(f"slowest: {found.slowest.line}")
    return "\n".join([f"submitted {time_text(first)}", *lines])
