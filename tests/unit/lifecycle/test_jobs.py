"""Jobs: which are submitted to the active release, and how their logs are followed."""

import math
from pathlib import Path

import pytest

from lifecycle.domain.job import JobRecord, JobState
from lifecycle.domain.layout import RESULT_FOLDERS, VIDEO_FOLDERS
from lifecycle.errors import CapctlError, UsageError
from lifecycle.ports.jobs import LogLine
from lifecycle.workflows.jobs import follow_log, job_failure, list_jobs, show_log, submit_job
from lifecycle.workflows.lookups import active_pointer
from lifecycle.workflows.smoke_video import smoke_video
from pulumi_stack.components import roles
from tests.fakes.batch_jobs import Attempt
from tests.fakes.batch_retries import RECLAIMED
from tests.fakes.ports import FakePorts
from tests.fakes.runs import RUN
from tests.fakes.targets import make_target
from tests.unit.lifecycle.rollback_parts import BUCKET, NEW, OLD, VIDEO, two_promoted


@pytest.fixture
def ports() -> FakePorts:
    return two_promoted()


def submit(
    ports: FakePorts, folder: Path, video_url: str = VIDEO, environment: dict[str, str] | None = None
) -> JobRecord:
    return submit_job(
        ports, make_target(folder), RUN, video_url=video_url, session_id=None, environment=environment or {}
    )


def test_job_goes_to_the_active_release(ports: FakePorts, tmp_path: Path) -> None:
    target = make_target(tmp_path)
    job = submit_job(
        ports,
        target,
        RUN,
        video_url=VIDEO,
        session_id="a.b:1",
        environment={"SAMPLE_FPS": "1"},
    )
    (request,) = ports.jobs.requests
    assert request.queue_arn == active_pointer(ports).job_queue_arn
    assert request.name == "vision-a.b:1"
    # By the project a role is bound to end those of its own.
    assert request.tags == {"capctl:project": "vision", "capctl:release": NEW.id, "capctl:run": RUN.id}
    assert request.environment == {
        "VIDEO_URL": VIDEO,
        "SESSION_ID": "a.b:1",
        "RESULT_URL": f"s3://{target.bucket}/results/a.b:1",
        "SAMPLE_FPS": "1",
    }
    assert [listed.id for listed in list_jobs(ports)] == [job.id]
    assert [listed.id for listed in list_jobs(ports, release_id=NEW.id)] == [job.id]
    assert list_jobs(ports, release_id=OLD.id) == ()


def test_job_on_a_video_that_does_not_exist_is_not_submitted(ports: FakePorts, tmp_path: Path) -> None:
    with pytest.raises(CapctlError) as failed:
        submit(ports, tmp_path, f"{VIDEO}x")
    assert failed.value.code == "video-missing"
    assert ports.jobs.requests == []


@pytest.mark.parametrize(
    ("video_url", "environment"),
    [("ftp://v/a.mp4", {}), (VIDEO, {"SAMPLE_FPS": "many"})],
)
def test_job_that_the_container_would_refuse_is_not_submitted(
    ports: FakePorts, tmp_path: Path, video_url: str, environment: dict[str, str]
) -> None:
    with pytest.raises(UsageError) as failed:
        submit(ports, tmp_path, video_url, environment)
    assert failed.value.code == "job-invalid"
    assert ports.jobs.requests == []


@pytest.mark.parametrize("video_url", ["s3://elsewhere/videos/a", f"s3://{BUCKET}/models/a", f"s3://{BUCKET}/videosx"])
def test_video_that_the_job_role_may_not_read_is_refused(ports: FakePorts, tmp_path: Path, video_url: str) -> None:
    target = make_target(tmp_path, smoke={"video_url": video_url})
    for refused in (
        lambda: submit_job(ports, target, RUN, video_url=video_url, session_id=None, environment={}),
        lambda: smoke_video(target),
    ):
        with pytest.raises(UsageError) as failed:
            refused()
        assert failed.value.code == "video-out-of-reach"
        assert f"s3://{target.bucket}/videos/" in failed.value.hint


def test_folders_of_jobs_are_those_that_their_role_may_read_and_write() -> None:
    assert (roles.VIDEO_FOLDERS, roles.RESULT_FOLDERS) == (VIDEO_FOLDERS, RESULT_FOLDERS)


def test_job_before_the_first_deploy_is_refused(tmp_path: Path) -> None:
    ports = FakePorts()
    with pytest.raises(CapctlError) as failed:
        submit(ports, tmp_path)
    assert failed.value.code == "pointer-missing"


def test_followed_log_ends_with_the_job_and_repeats_no_line(ports: FakePorts, tmp_path: Path) -> None:
    ports.jobs.course = (JobState.RUNNING, JobState.RUNNING, JobState.RUNNING, JobState.SUCCEEDED)
    job = submit(ports, tmp_path)
    shown: list[str] = []
    follow_log(ports, job.id, lambda line: shown.append(line.message))
    assert shown == ["analysis begins", "analysis ends"]


def test_followed_log_tells_each_attempt_from_its_first_line_to_its_last(ports: FakePorts, tmp_path: Path) -> None:
    ports.jobs.course = (Attempt(runs_s=60, end=RECLAIMED), Attempt(runs_s=60))
    job = submit(ports, tmp_path)
    shown: list[str] = []

    def show(line: LogLine) -> None:
        shown.append(line.message)
        if len(shown) == 1:
            # After this look and before the next one.
            ports.jobs.batch.jobs[job.id].write("host is lost")

    assert follow_log(ports, job.id, show).state is JobState.SUCCEEDED
    assert shown == ["analysis begins", "host is lost", "analysis begins", "analysis ends"]


def test_job_that_never_started_has_no_log_and_says_why(ports: FakePorts, tmp_path: Path) -> None:
    why = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - no GPU"
    ports.jobs.course = (Attempt(waits_s=math.inf),)
    waiting = submit(ports, tmp_path)
    show_log(ports, waiting.id, lambda _: None)
    assert ports.ui.lines[-1].startswith(f"Job `{waiting.id}` has no log yet, it waits for a host; `capctl job show")
    ports.jobs.course, ports.jobs.outcome = (JobState.FAILED,), {"status_reason": why, "log_stream": ""}
    refused = submit(ports, tmp_path)
    failed = follow_log(ports, refused.id, lambda _: None)
    assert "has no log, it has failed: no instance type of the release has" in ports.ui.lines[-1]
    error = job_failure(failed)
    assert error
    assert "its log says more" not in error.hint
    assert f"`capctl job show {refused.id}`" in error.hint


def test_job_with_a_log_is_followed_without_a_word_of_it(ports: FakePorts, tmp_path: Path) -> None:
    ports.jobs.course = (JobState.RUNNING, JobState.FAILED)
    job = submit(ports, tmp_path)
    ports.ui.lines.clear()
    failed = follow_log(ports, job.id, lambda _: None)
    error = job_failure(failed)
    assert error
    assert (error.hint, ports.ui.lines) == ("The end of its log says more", [])
