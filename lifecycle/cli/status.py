"""`capctl status`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from lifecycle.cli.context import Invocation, pass_invocation
from lifecycle.cli.render import table

if TYPE_CHECKING:
    from lifecycle.workflows.status import ReleaseStatus, Status


@click.command()
@pass_invocation
def command(invocation: Invocation) -> None:
    """Show the pointer, the releases, their queues and the last changes made from here."""
    from lifecycle.workflows.status import read_status

    status = read_status(invocation.app)
    invocation.emit("capctl.status/1", _document(status), lambda: _text(status))


def _document(status: Status) -> dict[str, Any]:
    return {
        "pointer": asdict(status.pointer) if status.pointer else None,
        "releases": [_release_document(release) for release in status.releases],
        "journal": [asdict(entry) for entry in status.journal],
    }


def _release_document(status: ReleaseStatus) -> dict[str, Any]:
    release = status.deployed
    return {
        "id": release.id,
        "role": status.role,
        "ami": release.ami_id,
        "image": str(release.image),
        "model_set": release.model_set,
        "queue": {"arn": release.job_queue_arn, "state": status.queue_state, "reason": status.queue_reason},
        "compute_environment_arn": release.compute_environment_arn,
        "job_definition_arn": release.job_definition_arn,
    }


def _text(status: Status) -> str:
    pointer = status.pointer
    moved = f"{pointer.release_id}, moved {pointer.moved_at} by {pointer.moved_by}" if pointer else "none"
    if pointer and pointer.reason:
        moved += f": {pointer.reason}"
    rows = [
        (s.deployed.id, s.role, s.deployed.ami_id, s.deployed.image.digest[:19], s.queue_state) for s in status.releases
    ]
    releases = table(("release", "role", "ami", "image", "queue"), rows) if rows else "no releases"
    parts = [f"pointer: {moved}", releases]
    if status.journal:
        parts.append(
            table(("at", "by", "step", "outcome"), [(e.at, e.user, e.step, e.outcome) for e in status.journal])
        )
    return "\n\n".join(parts)
