"""`capctl history`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lifecycle.cli import release_documents
from lifecycle.cli.context import Invocation, pass_invocation
from lifecycle.cli.render import table, time_text
from lifecycle.domain.measures import duration_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.workflows.history import Event

_ENDS = ("promoted", "rolled-back")


@click.command()
@click.option(
    "-n", "--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="How many of the last events."
)
@pass_invocation
def command(invocation: Invocation, limit: int) -> None:
    """Show what was deployed and rolled back when, by whom, and what became of it.

    From every machine: the target's own table keeps it. With `-v` also the AMI and the image of each release, which `capctl deploy` takes
    when the release is gone.
    """
    from lifecycle.workflows.history import read_history

    app = invocation.app
    with app.ui.step("read the last deployments"):
        events = read_history(app, count=limit)
    invocation.emit(
        "capctl.history/1",
        release_documents.history(events),
        lambda: _text(events, in_detail=invocation.verbosity > 0),
        nothing="Nothing was deployed yet",
    )


def _text(events: Sequence[Event], *, in_detail: bool) -> str:
    rows = [
        (
            time_text(event.at),
            event.what,
            event.release_id,
            _outcome(event),
            duration_text(event.seconds) if event.seconds is not None else "-",
            event.by,
            event.why or "-",
            *((event.ami_id or "-", event.image.rpartition("@")[2] or "-") if in_detail else ()),
        )
        for event in events
    ]
    header = ("at", "what", "release", "outcome", "took", "by", "why", *(("ami", "image") if in_detail else ()))
    return table(header, rows, prose=("by", "why")) if rows else ""


def _outcome(event: Event) -> str:
    """With where a deployment is, or ended, unless it came to an end that leaves nothing to do."""
    if event.what == "rollback":
        return "rolled back to"
    words = event.outcome.replace("-", " ")
    return words if event.outcome in _ENDS or not event.stage else f"{words} at {event.stage}"
