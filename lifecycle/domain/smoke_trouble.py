"""Why a smoke job does not succeed, and whether that says anything of its release."""

from dataclasses import dataclass

from lifecycle.domain.job import JobRecord, JobState, Obstacle, QueueState, contract, state_text
from lifecycle.domain.job_account import job_account
from lifecycle.domain.measures import duration_text
from lifecycle.errors import CapctlError, Inconclusive, TimedOut

_NOTHING_PROVEN = "nothing was proven either way and the release stays"
# How Batch begins what it says of an attempt whose host AWS took away.
_RECLAIMED = "Host EC2"
# What Batch says of an attempt that took longer than `release.timeout_s`. The container is told to end, so its exit code says nothing.
_ATTEMPT_TIMED_OUT = "attempt duration exceeded timeout"
_MORE_HOSTS = (
    "Run the command again later, allow more instance types in `release.instance_types`, or set `release.spot: false`"
)
_WHERE_HOSTS_STAY = (
    "Check in EC2 that hosts of the release start, reach AWS from their subnets and join; if none starts, wait for capacity. Then run the "
    "command again"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Seconds since the wait began: in all, of them without a running attempt, and those of the attempt that runs."""

    total_s: float
    waited_s: float
    running_s: float


def longest_s(timeout_s: int) -> int:
    """How long a smoke may take in all: `timeout_s` of waiting for hosts and starts, and as much of running."""
    return 2 * timeout_s


def trouble_of(job: JobRecord) -> CapctlError | None:
    """Why the job will not succeed; None while it may. The last attempt decides: Batch retries those before it for a reason.

    It is a verdict, or `Inconclusive("no-capacity" | "smoke-interrupted")` where the end says nothing of the release.
    """
    if job.state.needs_host and job.obstacle is Obstacle.MISCONFIGURED:
        return _verdict(job)
    if job.state is not JobState.FAILED:
        return None
    if _ATTEMPT_TIMED_OUT in job.status_reason or job.obstacle is Obstacle.MISCONFIGURED:
        return _verdict(job)
    if job.obstacle is Obstacle.CAPACITY:
        return _without_host(job)
    if job.is_ending:
        return Inconclusive(
            "smoke-interrupted",
            f"Smoke job `{job.id}` was ended by somebody: {job.status_reason or 'Batch gives no reason'}; {_NOTHING_PROVEN}",
            hint="Run the command again: it runs another job",
        )
    # The container says so when it is told to end, which a host does that is about to go.
    if job.exit_code == contract.ExitCode.INTERRUPTED:
        return Inconclusive(
            "smoke-interrupted",
            f"Smoke job `{job.id}` was told to end in {_each(job)}, exit {job.exit_code}; {_NOTHING_PROVEN}",
            hint="Run the command again; where AWS keeps taking hosts away, with `release.spot: false` or more `release.attempts`",
        )
    return _verdict(job)


def overdue(job: JobRecord, spent: Spent, timeout_s: int) -> CapctlError | None:
    """Why the job is waited for no longer; None while it is. One that runs for all its time is a verdict: it hangs."""
    if job.state.is_final:
        return None
    still = f"Smoke job `{job.id}` was still {job.state} after {timeout_s} s, the whole of `smoke.timeout_s`"
    if job.state is JobState.RUNNING and spent.running_s >= timeout_s:
        return TimedOut(
            "smoke-timed-out", still, hint=f"Read `capctl job logs {job.id}`, or allow more time", verdict=True
        )
    if job.state.needs_host and spent.waited_s >= timeout_s:
        return _got_no_host(job)
    if job.state is not JobState.RUNNING and spent.waited_s >= timeout_s:
        # One that still starts may wait for a slow download.
        return TimedOut(
            "smoke-timed-out",
            still,
            hint="Look how large the image is (`capctl image verify`) and how hosts reach the registry, or allow more time",
        )
    if spent.total_s >= longest_s(timeout_s):
        whole = duration_text(longest_s(timeout_s))
        return Inconclusive(
            "no-capacity",
            f"Smoke job `{job.id}` lost attempts until its {whole} were over: {_last_loss(job)}; {_NOTHING_PROVEN}",
            hint=_MORE_HOSTS,
        )
    return None


def _verdict(job: JobRecord) -> CapctlError:
    # Nothing is wrong with the queue of a job that got so far, or of which Batch itself says the reason.
    account = job_account(job, QueueState.VALID, now_ms=job.created_ms)
    # Whoever raises this ends the job, so that nobody has to cancel it.
    what = account.next.removeprefix("Cancel it, ").removeprefix("and ")
    return CapctlError(
        "smoke-failed",
        f"Smoke job `{job.id}` is {state_text(job)}",
        hint=what[:1].upper() + what[1:] or f"Read `capctl job logs {job.id}`",
        verdict=True,
    )


def _without_host(job: JobRecord) -> CapctlError:
    if not job.status_reason.startswith(_RECLAIMED):
        return _got_no_host(job)
    return Inconclusive(
        "no-capacity",
        f"Smoke job `{job.id}` lost its host in {_each(job)}: {job.status_reason}; {_NOTHING_PROVEN}",
        hint="Run the command again later, with more `release.attempts`, or with `release.spot: false`",
    )


def _got_no_host(job: JobRecord) -> CapctlError:
    return Inconclusive(
        "no-capacity",
        f"Smoke job `{job.id}` got no host in time: {job.status_reason or 'Batch gives no reason'}; {_NOTHING_PROVEN}",
        hint=_MORE_HOSTS if job.status_reason else _WHERE_HOSTS_STAY,
    )


def _each(job: JobRecord) -> str:
    if job.attempts <= 1:
        return "its only attempt"
    kinds = {_RECLAIMED if reason.startswith(_RECLAIMED) else reason for reason in job.attempt_reasons}
    return f"each of its {job.attempts} attempts" if len(kinds) <= 1 else f"the last of its {job.attempts} attempts"


def _last_loss(job: JobRecord) -> str:
    return next((reason for reason in reversed(job.attempt_reasons) if reason), "Batch gives no reason")
