"""How a smoke job that does not succeed ends: a verdict, nothing proven, or too late; and what it says."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from lifecycle.adapters.aws.job_records import job_record
from lifecycle.domain.job import JobRecord, JobState
from lifecycle.domain.smoke_trouble import Spent, longest_s, overdue, trouble_of
from lifecycle.errors import CapctlError, ExitCode
from lifecycle.workflows.execute import execute
from lifecycle.workflows.smoke import plan_smoke
from tests.fakes.ports import FakePorts
from tests.fakes.releases import make_release
from tests.fakes.runs import RUN
from tests.fakes.stack import OUTPUTS, FakeStack
from tests.fakes.targets import make_target

LIMIT_S = 100
EXITED = "Essential container in task exited"
RECLAIMED = "Host EC2 (instance i-0abc) terminated."
TIMED_OUT = "Job attempt duration exceeded timeout"
PULL = "CannotPullContainerError: pull access denied"
CANCELLED = "Canceled by JobStateTimeLimit action due to reason: "
Attempt = dict[str, Any]


def attempt(status_reason: str = EXITED, *, exit_code: int | None = None, reason: str = "") -> Attempt:
    """An attempt as DescribeJobs tells of it."""
    container = {
        name: value for name, value in (("exitCode", exit_code), ("reason", reason)) if value not in {None, ""}
    }
    return {"statusReason": status_reason, "container": container, "startedAt": 1, "stoppedAt": 2}


def described(status: str, *attempts: Attempt, reason: str = "", ended: bool = False) -> JobRecord:
    """A job with these attempts; of one that has failed the last is told at the top, too."""
    last = attempts[-1] if attempts and status == "FAILED" else {}
    return job_record(
        {
            "jobId": "1",
            "jobName": "smoke",
            "jobQueue": "q",
            "jobDefinition": "d",
            "status": status,
            "statusReason": reason or last.get("statusReason", ""),
            "container": last.get("container", {}),
            "attempts": [*attempts],
            "isTerminated": ended,
        }
    )


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way of a job to nothing. `waited_s` and `running_s` are at the last look; `verdict` says something of the release."""

    job: JobRecord
    exit_code: ExitCode
    code: str
    verdict: bool = False
    said: str = ""
    hint: str
    waited_s: float = 0
    running_s: float = 0
    before_s: float = field(default=0)


WAYS = {
    "misconfigured, waiting": Way(
        job=described("RUNNABLE", reason="MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - no GPU"),
        exit_code=ExitCode.FAILED,
        code="smoke-failed",
        verdict=True,
        said="RUNNABLE: MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
        hint="Deploy with other `release.instance_types`",
    ),
    "misconfigured, cancelled by the queue": Way(
        job=described("FAILED", reason=f"{CANCELLED}MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE", ended=True),
        exit_code=ExitCode.FAILED,
        code="smoke-failed",
        verdict=True,
        hint="",
    ),
    "no capacity until the limit": Way(
        job=described("RUNNABLE", reason="CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"),
        waited_s=LIMIT_S,
        exit_code=ExitCode.INCONCLUSIVE,
        code="no-capacity",
        said="got no host in time: CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
        hint="release.instance_types",
    ),
    "no capacity, cancelled by the queue": Way(
        job=described("FAILED", reason=f"{CANCELLED}CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY", ended=True),
        exit_code=ExitCode.INCONCLUSIVE,
        code="no-capacity",
        hint="release.instance_types",
    ),
    "runnable without a reason until the limit": Way(
        job=described("RUNNABLE"),
        waited_s=LIMIT_S,
        exit_code=ExitCode.INCONCLUSIVE,
        code="no-capacity",
        said="Batch gives no reason",
        hint="Check in EC2 that hosts of the release start",
    ),
    "submitted until the limit": Way(
        job=described("SUBMITTED"), waited_s=LIMIT_S, exit_code=ExitCode.INCONCLUSIVE, code="no-capacity", hint="EC2"
    ),
    "starting until the limit": Way(
        job=described("STARTING"),
        waited_s=LIMIT_S,
        exit_code=ExitCode.TIMED_OUT,
        code="smoke-timed-out",
        said="still STARTING after 100 s",
        hint="image verify",
    ),
    "in an unknown state until the limit": Way(
        job=described("PAUSED"),
        waited_s=LIMIT_S,
        exit_code=ExitCode.TIMED_OUT,
        code="smoke-timed-out",
        hint="more time",
    ),
    "running until the limit": Way(
        job=described("RUNNING"),
        running_s=LIMIT_S,
        exit_code=ExitCode.TIMED_OUT,
        code="smoke-timed-out",
        verdict=True,
        said="still RUNNING after 100 s",
        hint="capctl job logs 1",
    ),
    "running again when all time is over": Way(
        job=described("RUNNING", attempt(RECLAIMED)),
        running_s=LIMIT_S / 2,
        before_s=longest_s(LIMIT_S) - LIMIT_S / 2,
        exit_code=ExitCode.INCONCLUSIVE,
        code="no-capacity",
        said=RECLAIMED,
        hint="release.spot",
    ),
    "attempt timed out by Batch": Way(
        job=described("FAILED", attempt(TIMED_OUT, exit_code=75), ended=True),
        exit_code=ExitCode.FAILED,
        code="smoke-failed",
        verdict=True,
        hint="release.timeout_s",
    ),
    "out of memory": Way(
        job=described(
            "FAILED", attempt(exit_code=137, reason="OutOfMemoryError: Container killed due to memory usage")
        ),
        exit_code=ExitCode.FAILED,
        code="smoke-failed",
        verdict=True,
        said="FAILED, exit 137: OutOfMemoryError",
        hint="release.memory_mib",
    ),
    "exit 1": Way(
        job=described("FAILED", attempt(exit_code=1)),
        exit_code=ExitCode.FAILED,
        code="smoke-failed",
        verdict=True,
        said="is FAILED, exit 1",
        hint="capctl job logs 1",
    ),
    "exit 75 in every attempt": Way(
        job=described("FAILED", *[attempt(exit_code=75)] * 4),
        exit_code=ExitCode.INCONCLUSIVE,
        code="smoke-interrupted",
        said="was told to end in each of its 4 attempts, exit 75",
        hint="release.attempts",
    ),
    "image not pulled in any attempt": Way(
        job=described("FAILED", *[attempt("Task failed to start", reason=PULL)] * 4),
        exit_code=ExitCode.FAILED,
        code="smoke-failed",
        verdict=True,
        said=PULL,
        hint="capctl image verify",
    ),
    "host reclaimed in every attempt": Way(
        job=described("FAILED", *[attempt(RECLAIMED, exit_code=75)] * 3),
        exit_code=ExitCode.INCONCLUSIVE,
        code="no-capacity",
        said="lost its host in each of its 3 attempts",
        hint="release.attempts",
    ),
    "host reclaimed in the only attempt": Way(
        job=described("FAILED", attempt(RECLAIMED)),
        exit_code=ExitCode.INCONCLUSIVE,
        code="no-capacity",
        said="lost its host in its only attempt",
        hint="release.spot",
    ),
    "host reclaimed after another reason": Way(
        job=described("FAILED", attempt("Task failed to start", reason=PULL), attempt(RECLAIMED)),
        exit_code=ExitCode.INCONCLUSIVE,
        code="no-capacity",
        said="lost its host in the last of its 2 attempts",
        hint="release.spot",
    ),
    "exit 1 after a reclaim": Way(
        job=described("FAILED", attempt(RECLAIMED), attempt(exit_code=1)),
        exit_code=ExitCode.FAILED,
        code="smoke-failed",
        verdict=True,
        said="is FAILED, exit 1",
        hint="capctl job logs 1",
    ),
    "ended by somebody": Way(
        job=described("FAILED", attempt("wrong queue", exit_code=75), ended=True),
        exit_code=ExitCode.INCONCLUSIVE,
        code="smoke-interrupted",
        said="was ended by somebody: wrong queue",
        hint="another job",
    ),
}


def outcome(way: Way) -> CapctlError | None:
    spent = Spent(total_s=way.before_s + way.waited_s + way.running_s, waited_s=way.waited_s, running_s=way.running_s)
    return trouble_of(way.job) or overdue(way.job, spent, LIMIT_S)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_every_way_to_nothing_has_its_outcome(way: Way) -> None:
    found = outcome(way)
    assert found is not None
    assert (found.exit_code, found.code, found.is_verdict) == (way.exit_code, way.code, way.verdict)
    assert way.said in found.message
    assert way.hint in found.hint
    assert found.hint
    assert ("the release stays" in found.message) == (found.exit_code is ExitCode.INCONCLUSIVE)


@pytest.mark.parametrize("way", [way for way in WAYS.values() if not way.job.state.is_final], ids=lambda way: way.code)
def test_what_still_may_come_is_waited_for(way: Way) -> None:
    early = replace(way, waited_s=max(way.waited_s - 1, 0), running_s=max(way.running_s - 1, 0))
    if "MISCONFIGURATION" not in way.job.status_reason:
        assert outcome(early) is None


@pytest.mark.parametrize("state", ["RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED"])
def test_job_that_goes_on_after_a_reclaim_is_no_trouble(state: str) -> None:
    assert trouble_of(described(state, attempt(RECLAIMED), reason=RECLAIMED)) is None


def test_smoke_that_loses_hosts_for_ever_ends_when_the_plan_said(tmp_path: Path) -> None:
    release, stack = make_release(), FakeStack()
    stack.add_release(release)
    ports, video = FakePorts(stack=stack), f"s3://{OUTPUTS.bucket}/videos/face.mp4"
    ports.objects.write(video, b"a face")
    ports.jobs.course = (JobState.RUNNABLE, *[JobState.RUNNING] * 60, JobState.STARTING) * 20
    target = make_target(tmp_path, smoke={"video_url": video, "timeout_s": LIMIT_S})
    plan = plan_smoke(ports, target, RUN, release_id=release.id)
    assert "for 3m20s at most" in plan.render()
    with pytest.raises(CapctlError, match="lost attempts until its 3m20s were over") as failed:
        execute(plan, ports, RUN)
    assert (failed.value.code, failed.value.exit_code) == ("no-capacity", ExitCode.INCONCLUSIVE)
    assert list(ports.jobs.cancelled) == ["job-1"]
    assert ports.clock.monotonic() == pytest.approx(longest_s(LIMIT_S), abs=6)
    assert [str(mark.point) for mark in failed.value.evidence["timeline"].marks][:3] == [
        "submitted",
        "runnable",
        "running",
    ]
