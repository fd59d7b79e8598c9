"""End a job that nobody wants any more."""

from dataclasses import dataclass

from lifecycle.domain.job import JobState, state_text
from lifecycle.domain.permissions import END_JOBS, READ_JOB, READ_STATE
from lifecycle.domain.plan import Plan
from lifecycle.domain.run import Run
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.workflows.jobs import release_of

PERMISSIONS = {"job cancel": (*READ_JOB, *READ_STATE)}


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelJob:
    """End a job in whatever state it is; it is not tried again."""

    ports: Ports
    job_id: str
    reason: str
    permissions: tuple[str, ...] = END_JOBS

    def describe(self) -> str:
        return f"cancel job {self.job_id}"

    def apply(self) -> JobState:
        self.ports.jobs.cancel(self.job_id, reason=self.reason)
        return self.ports.jobs.get(self.job_id).state

    def verify(self, _: JobState) -> None:
        job = self.ports.jobs.get(self.job_id)
        if not job.state.is_final and not job.is_ending:
            raise CapctlError(
                "job-not-cancelled",
                f"Job `{self.job_id}` is {job.state} after it was cancelled",
                hint="Run `capctl job cancel` again",
                may_pass=True,
            )


def plan_cancel_job(ports: Ports, run: Run, job_id: str) -> Plan:
    """One step, or none when the job has ended. Raises `CapctlError("job-missing")`, and `"job-foreign"` for a job that no release of the
    target runs."""
    job = ports.jobs.get(job_id)
    release = release_of(ports, job)
    if release is None:
        raise CapctlError(
            "job-foreign",
            f"Job `{job_id}` is in queue `{job.queue_arn}`, which is of no release of the target",
            hint="Choose the target with `--target`, or end the job in Batch's console",
        )
    title = f"cancel job {job_id}"
    if job.state.is_final:
        return Plan(title=title, because=f"it has ended: {state_text(job)}")
    reason = run.reason or f"cancelled by {run.user}"
    because = f"it is {job.state} on release {release}, as `{job.name}`"
    return Plan(title=title, because=because, steps=(CancelJob(ports=ports, job_id=job_id, reason=reason),))
