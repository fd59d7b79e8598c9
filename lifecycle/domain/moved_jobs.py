"""Jobs that wait on a release, and go to another one instead: which may, and by what the move is known in Batch."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from lifecycle.domain.job import JobRecord, JobState, Purpose
from lifecycle.domain.tags import Tag

# How the reason begins with which a move cancels a job; the id of the release that shall have it follows.
MOVING = "capctl moves it to release "
_MOVING = re.compile(rf"{MOVING}(\S+)")
# For a week Batch knows a job that has ended. The one in the place of a cancelled one ends after it, but may be forgotten before: on
# what was cancelled longer ago nobody can say whether it ran since.
REMEMBERED_MS = 6 * 24 * 3600 * 1000


def moving_reason(release_id: str) -> str:
    """With which reason a job is cancelled that goes to that release."""
    return f"{MOVING}{release_id}"


def meant_for(job: JobRecord) -> str:
    """The id of the release for which a move cancelled the job; "" for a job that no move cancelled."""
    found = _MOVING.fullmatch(job.status_reason) if job.state is JobState.FAILED else None
    return found[1] if found else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedTo:
    """The release for which a job was cancelled, and the id of the job there in its place; "" where none is known."""

    release_id: str
    job_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Staying:
    """A job that is not moved, and why."""

    job: JobRecord
    why: str

    def __str__(self) -> str:
        return f"{self.job.id} `{self.job.name}` stays: {self.why}"


def why_stays(
    job: JobRecord,
    *,
    definition_arn: str,
    special: Collection[str],
    waits_for: Collection[str],
    needed_by: str,
    owner: str,
    project: str,
) -> str:
    """Why a job that waits is not moved from a release of `project` whose job definition is `definition_arn`; "" for one that is.

    `special` are the settings that it was submitted with and that nobody can submit again as they were; `waits_for` and `needed_by` are
    jobs that wait for each other. `owner` is the project that its tag names, "" without one: a role that may cancel and submit jobs of its
    project only would be refused, at worst between the two.
    """
    if job.purpose is Purpose.SMOKE:
        return "it is a smoke job, which proves that release"
    if job.definition_arn != definition_arn:
        return "it has another job definition than the release's"
    if special:
        return f"it was submitted with settings of its own: {', '.join(sorted(special))}"
    if waits_for:
        return "it waits for other jobs, and Batch cancels it only when they have ended"
    if needed_by:
        return f"job {needed_by} waits for it, and would fail with it"
    if owner != project:
        tag = f"{Tag.PROJECT}={project}"
        return f"it lacks the tag `{tag}`: give it that with `aws batch tag-resource`, and have it set by whoever submits such jobs"
    return ""
