"""`capctl status`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lifecycle.cli import documents
from lifecycle.cli.context import Invocation, pass_invocation
from lifecycle.cli.render import table, time_text, without_folders
from lifecycle.domain.digest import brief

if TYPE_CHECKING:
    from lifecycle.domain.release import Pointer
    from lifecycle.workflows.status import Status


@click.command()
@pass_invocation
def command(invocation: Invocation) -> None:
    """Show the pointer, the releases, their queues and the last changes made from here."""
    from lifecycle.workflows.status import read_status

    with invocation.app.ui.step("read the releases and their queues"):
        status = read_status(invocation.app)
    invocation.emit("capctl.status/1", documents.status(status), lambda: _text(status))


def _text(status: Status) -> str:
    parts = [f"pointer: {_pointer(status.pointer)}", _releases(status)]
    if status.journal:
        rows = [(time_text(e.at), e.user, brief(e.outcome), brief(without_folders(e.step))) for e in status.journal]
        parts.append(table(("at", "by", "outcome", "step"), rows, prose=("outcome", "step")))
    return "\n\n".join(parts)


def _pointer(pointer: Pointer | None) -> str:
    if pointer is None:
        return "none"
    why = f": {pointer.reason}" if pointer.reason else ""
    return f"{pointer.release_id}, moved {time_text(pointer.moved_at)} by {pointer.moved_by}{why}"


def _releases(status: Status) -> str:
    if not status.releases:
        return "no releases"
    rows = [
        (
            s.deployed.id,
            s.role,
            s.deployed.ami_id,
            brief(s.deployed.image.digest),
            s.queue.state,
        )
        for s in status.releases
    ]
    unfinished = [s.deployed.id for s in status.releases if s.role == "candidate"]
    notes = [f"{release_id} is unfinished: run `capctl deploy` again" for release_id in unfinished]
    return "\n".join([table(("release", "role", "ami", "image", "queue"), rows), *notes])
