"""`capctl status`."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from lifecycle.cli import status_documents
from lifecycle.cli.context import Invocation, pass_invocation
from lifecycle.cli.render import table, time_text, without_folders
from lifecycle.domain.digest import brief
from lifecycle.domain.measures import age_text
from lifecycle.domain.moments import told_moment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from lifecycle.domain.release import Pointer
    from lifecycle.workflows.status import ReleaseStatus, Status


@click.command()
@pass_invocation
def command(invocation: Invocation) -> None:
    """Show the pointer, the releases with their queues and jobs, and the last changes made from here."""
    from lifecycle.workflows.status import read_status

    app = invocation.app
    with app.ui.step("read the releases, their queues and their jobs"):
        status = read_status(app)
    invocation.emit("capctl.status/1", status_documents.status(status), lambda: _text(status, app.clock.now()))


def _text(status: Status, now: datetime) -> str:
    parts = ["\n".join([f"pointer: {_pointer(status.pointer)}", *_deployment(status)]), *_releases(status, now)]
    if status.journal:
        rows = [(time_text(e.at), e.user, brief(e.outcome), brief(without_folders(e.step))) for e in status.journal]
        parts.append(table(("at", "by", "outcome", "step"), rows, prose=("outcome", "step")))
    return "\n\n".join(parts)


def _pointer(pointer: Pointer | None) -> str:
    if pointer is None:
        return "none"
    why = f": {pointer.reason}" if pointer.reason else ""
    return f"{pointer.release_id}, moved {time_text(pointer.moved_at)} by {pointer.moved_by}{why}"


def _deployment(status: Status) -> Iterator[str]:
    """What is under way; else what the last deployment came to, unless that is what the pointer says."""
    from lifecycle.domain.deployment import Outcome

    standing = status.standing
    last, holder = standing.last, standing.holder
    if running := standing.running:
        yield f"{running.name} runs: {running.stage} since {time_text(running.stages[-1][1])}"
    elif holder:
        yield f"turn: {holder}"
    if last and last is not standing.running and last.outcome is not Outcome.PROMOTED:
        yield without_folders(": ".join(filter(None, (last.told, last.why))))
    if status.next:
        yield status.next


def _releases(status: Status, now: datetime) -> Iterator[str]:
    """What takes jobs and how many there are, then what it consists of: one table would be too wide."""
    if not status.releases:
        yield "no releases"
        return
    header = ("release", "role", "age", "queue", "waiting", "running", "succeeded", "failed")
    yield "\n".join([table(header, [_state(each, now) for each in status.releases]), *_notes(status)])
    rows = [
        (
            each.deployed.id,
            each.deployed.ami_id or "-",
            brief(each.deployed.image.digest) or "-",
            brief(each.deployed.model_set) or "-",
            each.image_tag or "-",
        )
        for each in status.releases
    ]
    yield table(("release", "ami", "image", "models", "tag"), rows, prose=("tag",))


def _state(each: ReleaseStatus, now: datetime) -> tuple[object, ...]:
    made, jobs = told_moment(each.recorded.created), each.jobs
    more = "" if jobs is None or jobs.is_complete else "+"
    counts = (
        tuple(f"{number}{more}" for number in (jobs.waiting, jobs.running, jobs.succeeded, jobs.failed))
        if jobs
        else ("-",) * 4
    )
    state = "DISABLED" if each.is_disabled else each.state
    return (each.deployed.id, each.role, age_text(max(now - made, timedelta()) if made else None), state, *counts)


def _notes(status: Status) -> Iterator[str]:
    last = status.standing.last
    for each in status.releases:
        if each.role == "candidate" and each.deployed.id != (last.release_id if last else ""):
            # What shall become of the last deployment's own stands above.
            pair = f"--ami {each.deployed.ami_id} --image {brief(each.deployed.image.digest)}"
            yield f"{each.deployed.id} is unfinished: `capctl deploy {pair}` goes on with it"
        if each.jobs and not each.jobs.is_complete:
            yield f"{each.deployed.id} has {each.jobs.total}+ jobs: the numbers are of its newest {each.jobs.total}"
        if not each.takes_jobs:
            why = f": {each.reason}" if each.reason and not each.is_disabled else ""
            yield f"{each.deployed.id} takes no jobs{why}; `capctl drift` says what to do"
