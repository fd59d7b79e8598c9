"""Smoke: what counts as proof."""

import json
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analyzer.contract import ExitCode
from lifecycle.config.target import Target
from lifecycle.domain.digest import digest_of
from lifecycle.domain.job import JobRecord, JobState, Obstacle
from lifecycle.domain.smoke import (
    SmokeReport,
    check_analysis,
    check_document,
    check_rows,
    check_thumbnails,
    check_vectors,
    thumbnail_names,
)
from lifecycle.domain.timeline import Point
from lifecycle.errors import CapctlError, Inconclusive, Interrupted
from lifecycle.errors import ExitCode as ExitStatus
from lifecycle.workflows.execute import execute
from lifecycle.workflows.smoke import Smoke, plan_smoke
from tests.failures import failure
from tests.fakes.jobs import FakeJobs
from tests.fakes.ports import FakePorts
from tests.fakes.releases import make_release, result_document
from tests.fakes.runs import RUN
from tests.fakes.stack import OUTPUTS, FakeStack, deployed
from tests.fakes.targets import make_target

RELEASE = make_release()
VIDEO = f"s3://{OUTPUTS.bucket}/videos/face.mp4"


def make_ports(document: dict[str, Any] | None, counted: dict[str, int] | None = None) -> FakePorts:
    stack = FakeStack()
    stack.add_release(RELEASE)
    ports = FakePorts(stack=stack)
    ports.objects.write(VIDEO, b"a face")
    ports.jobs.leaves = document
    ports.results.counted = counted or {}
    return ports


def target(folder: Path, **smoke: Any) -> Target:
    return make_target(
        folder,
        smoke={"video_url": VIDEO, "timeout_s": 100} | smoke,
    )


def smoke(ports: FakePorts, where: Target) -> SmokeReport:
    return execute(plan_smoke(ports, where, RUN, release_id=RELEASE.id), ports, RUN).of(Smoke)


def test_every_check_is_named_in_the_report(tmp_path: Path) -> None:
    rows = {"analysis_jobs": 1, "analysis_tracks": 1}
    report = smoke(make_ports(result_document(), rows), target(tmp_path, database_url="postgresql://db/x"))
    assert report.ok
    names = [check.name for check in report.checks]
    assert names == ["job", "image", "host-ami", "status", "frames", "tracks", "model-set", "models-read-only", "rows"]
    assert report.seconds == 1.5


def test_ami_that_is_gone_when_its_smoke_job_has_passed_is_a_warning(tmp_path: Path) -> None:
    ports = make_ports(result_document())
    done = execute(plan_smoke(ports, target(tmp_path), RUN, release_id=RELEASE.id), ports, RUN)
    assert done.of(Smoke).ok
    assert [failure.code for _, failure in done.failures] == ["ami-missing"]


def test_rows_are_not_counted_without_a_database(tmp_path: Path) -> None:
    report = smoke(make_ports(result_document()), target(tmp_path))
    assert "rows" not in {check.name for check in report.checks}


def test_log_is_shown_while_the_job_runs(tmp_path: Path) -> None:
    ports = make_ports(result_document())
    smoke(ports, target(tmp_path))
    details = [line for line in ports.ui.lines if line.startswith("detail")]
    assert details == ["detail: analysis begins", "detail: analysis ends"]


def test_present_phase_has_a_line_and_the_job_that_fails_marks_its_own(tmp_path: Path) -> None:
    ports = make_ports(result_document())
    ports.jobs.course = (JobState.RUNNABLE, JobState.RUNNABLE, JobState.STARTING, JobState.RUNNING, JobState.FAILED)
    ports.jobs.outcome = {"exit_code": 1}
    with pytest.raises(CapctlError) as failed:
        smoke(ports, target(tmp_path))
    lines = [line for line in ports.ui.lines if "job job-1" in line]
    assert lines == ["✓ wait for a host for job job-1", "✓ start the container of job job-1", "✗ run job job-1"]
    points = [str(mark.point) for mark in failed.value.evidence["timeline"].marks]
    assert points == ["submitted", "runnable", "starting", "running", "done"]


def test_lost_attempt_is_told_while_the_next_one_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ports = make_ports(result_document())
    ports.jobs.course = (JobState.RUNNING, JobState.RUNNABLE, JobState.RUNNING, JobState.SUCCEEDED)
    reclaimed, get = "Host EC2 (instance i-0abc) terminated.", ports.jobs.get

    def look(job_id: str) -> JobRecord:
        job = get(job_id)
        is_lost = ports.clock.monotonic() > 0
        return replace(job, attempts=1, attempt_reasons=(reclaimed,)) if is_lost else job

    monkeypatch.setattr(ports.jobs, "get", look)
    assert smoke(ports, target(tmp_path)).ok
    assert f"Job job-1 lost an attempt and is begun anew: {reclaimed}" in ports.ui.lines


def test_want_of_capacity_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ports = make_ports(result_document())
    ports.jobs.course = (JobState.RUNNABLE,) * 9 + (JobState.SUCCEEDED,)
    get, why = ports.jobs.get, "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"

    def look(job_id: str) -> JobRecord:
        job = get(job_id)
        is_waiting = job.state is JobState.RUNNABLE
        return replace(job, obstacle=Obstacle.CAPACITY, status_reason=why) if is_waiting else job

    monkeypatch.setattr(ports.jobs, "get", look)
    assert smoke(ports, target(tmp_path)).ok
    assert ports.ui.lines.count(f"Job job-1 waits on: {why}") == 1


def test_job_that_a_killed_run_left_is_timed_by_the_clock_of_this_machine(tmp_path: Path) -> None:
    ports = make_ports(result_document())
    ports.jobs.course = (JobState.RUNNABLE, JobState.RUNNING)
    with pytest.raises(CapctlError):
        smoke(ports, target(tmp_path, timeout_s=10))
    ports.jobs.cancelled.clear()
    ports.jobs.course = (JobState.RUNNING, JobState.SUCCEEDED)
    left = ports.jobs.submit(ports.jobs.requests[0])
    report = smoke(ports, target(tmp_path))
    assert (report.job_id, len(ports.jobs.requests)) == (left, 2)
    (running,) = (mark for mark in report.timeline.marks if mark.point is Point.RUNNING)
    assert running.at_ms == pytest.approx(ports.clock.now().timestamp() * 1000, abs=2_000)


def interrupted(ports: FakePorts, where: Target, monkeypatch: pytest.MonkeyPatch) -> FakePorts:
    """A smoke that a signal ends while its job waits for a host."""

    def interrupt(*_: object) -> None:
        raise Interrupted("interrupted", "The command was interrupted by SIGINT")

    ports.jobs.course = (JobState.RUNNABLE,)
    with monkeypatch.context() as patch:
        patch.setattr(ports.clock, "sleep", interrupt)
        assert failure(lambda: smoke(ports, where)).exit_code == ExitStatus.INTERRUPTED
    return ports


def test_interrupted_smoke_ends_its_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ports = interrupted(make_ports(None), target(tmp_path), monkeypatch)
    assert [*ports.jobs.cancelled.values()] == ["capctl was interrupted"]


def test_interrupted_smoke_lets_the_job_of_another_run_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ports = interrupted(make_ports(None), target(tmp_path), monkeypatch)
    ports.jobs.cancelled.clear()
    ports.jobs.submit(ports.jobs.requests[0])
    interrupted(ports, target(tmp_path), monkeypatch)
    assert ports.jobs.cancelled == {}


def test_job_that_cannot_be_ended_is_told_and_hides_no_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = make_ports(None)

    def refuse(*_: object, **__: object) -> None:
        raise CapctlError("aws-unreachable", "AWS did not answer")

    monkeypatch.setattr(ports.jobs, "cancel", refuse)
    interrupted(ports, target(tmp_path), monkeypatch)
    assert any(line.endswith("was not ended, and runs on: AWS did not answer") for line in ports.ui.lines)


def test_looks_at_the_job_are_frequent_at_first_and_never_far_apart(tmp_path: Path) -> None:
    ports = make_ports(result_document())
    ports.jobs.course = (JobState.RUNNING,) * 300 + (JobState.SUCCEEDED,)
    smoke(ports, target(tmp_path, timeout_s=10_000))
    assert ports.clock.slept[:50] == [0.5] * 50
    assert ports.clock.slept[-1] == 5.0


@pytest.mark.parametrize(
    ("change", "min_frames", "failed"),
    [
        ({}, 1, {}),
        ({}, 7, {"frames": "6"}),
        ({"coverage": {"sampled_frames": 0}}, 1, {"frames": "0"}),
        ({"coverage": {"sampled_frames": True}}, 1, {"frames": "no number of frames"}),
        ({"coverage": None}, 1, {"frames": "no number of frames"}),
        ({"status": "partial"}, 1, {"status": "partial"}),
        (
            {"status": "partial", "coverage": {"sampled_frames": 3, "first_error": "Invalid data"}},
            1,
            {"status": "partial: Invalid data"},
        ),
        ({"status": None, "coverage": {}}, 1, {"status": "no status", "frames": "no number of frames"}),
        ({"status": None, "coverage": {}}, 0, {}),
    ],
)
def test_job_must_have_looked_at_frames_of_a_whole_video(
    change: dict[str, Any], min_frames: int, failed: dict[str, str]
) -> None:
    checks = check_analysis(result_document(**change), min_frames=min_frames)
    assert {check.name: check.found for check in checks if not check.ok} == failed


def test_result_that_tells_nothing_of_frames_is_of_another_job_and_the_configuration_may_say_so(tmp_path: Path) -> None:
    document = result_document(status=None, coverage=None)
    with pytest.raises(CapctlError, match="failed `status`, `frames`") as failed:
        smoke(make_ports(document), target(tmp_path))
    assert (failed.value.code, failed.value.is_verdict) == ("smoke-failed", True)
    assert "set `smoke.min_frames: 0`" in failed.value.hint
    assert smoke(make_ports(document), target(tmp_path, min_frames=0)).ok


@pytest.mark.parametrize(
    ("change", "failed"),
    [
        ({"tracks": []}, {"tracks"}),
        ({"tracks": None}, {"tracks"}),
        ({"models": {"digest": digest_of(b"other"), "read_only": True, "mounts": []}}, {"model-set"}),
        ({"models": {"digest": RELEASE.model_set, "read_only": False}}, {"models-read-only"}),
        ({"models": {"digest": RELEASE.model_set, "read_only": None}}, {"models-read-only"}),
        ({"models": None}, {"model-set", "models-read-only"}),
    ],
)
def test_document_must_prove_the_work(change: dict[str, Any], failed: set[str]) -> None:
    checks = check_document(result_document(**change), deployed(RELEASE), min_tracks=1)
    assert {check.name for check in checks if not check.ok} == failed


@pytest.mark.parametrize(
    ("stored", "counted", "ok"),
    [
        ({"store": "postgres", "rows": {"t": 2}}, {"t": 2}, True),
        ({"store": "postgres", "rows": {"t": 2}}, {"t": 1}, False),
        ({"store": "postgres", "rows": {"t": 2}}, {}, False),
        ({"store": "postgres", "rows": {}}, {}, False),
        ({"store": "jsonl", "rows": {"t": 2}}, {"t": 2}, False),
        (None, {}, False),
    ],
)
def test_rows_must_be_in_the_database_as_claimed(stored: dict[str, Any], counted: dict[str, int], ok: bool) -> None:
    assert check_rows({"stored": stored}, counted).ok is ok


def vectors(dimension: object) -> dict[str, Any]:
    return {"backend": {"embedding": {"space": "s", "dimension": dimension}}}


@pytest.mark.parametrize(
    ("told", "stored", "wanted", "found"),
    [
        (vectors(176), {176}, None, None),
        (vectors(176), (), None, None),
        (vectors(176), {176}, 176, None),
        (vectors(176), {512}, None, "dimension 176, 512"),
        (vectors(176), {176, 512}, None, "dimension 176, 512"),
        (vectors(512), {512}, 176, "dimension 512"),
        (vectors(512), (), 176, "dimension 512"),
        ({}, {512}, 176, "dimension 512"),
        ({}, {176}, 176, None),
        ({"backend": None}, (), 176, "no dimension"),
        (vectors("176"), {176}, 176, None),
    ],
)
def test_vectors_must_have_the_dimension_that_is_wanted_or_told(
    told: dict[str, Any], stored: Collection[int], wanted: int | None, found: str | None
) -> None:
    (check,) = check_vectors(told, stored, dimension=wanted)
    assert check.ok is (found is None)
    assert check.found == (found or "dimension 176")
    assert "`smoke.vector_dimension`" in check.hint


def test_nothing_is_asked_of_vectors_of_which_nothing_is_known() -> None:
    assert check_vectors({}, {176}, dimension=None) == ()


def test_vectors_of_the_database_are_looked_at(tmp_path: Path) -> None:
    rows, database = {"analysis_jobs": 1, "analysis_tracks": 1}, "postgresql://db/x"
    ports = make_ports(result_document(**vectors(176)), rows)
    ports.results.dims = {512}
    with pytest.raises(CapctlError, match="failed `vectors`"):
        smoke(ports, target(tmp_path, database_url=database))
    assert smoke(ports, target(tmp_path)).ok
    ports.results.dims = {176}
    assert smoke(ports, target(tmp_path, database_url=database, vector_dimension=176)).ok


def thumbnails(*names: str) -> dict[str, Any]:
    return {"tracks": [{"track": 1, "thumbnails": {str(kind): name for kind, name in enumerate(names)}}]}


@pytest.mark.parametrize(
    ("sizes", "found"),
    [
        ({"thumbnails/a.jpg": 9, "thumbnails/b.jpg": 1, "result.json": 5}, "2"),
        ({"thumbnails/a.jpg": 9, "thumbnails/b.jpg": 0}, "not thumbnails/b.jpg"),
        ({}, "not thumbnails/a.jpg, thumbnails/b.jpg"),
    ],
)
def test_thumbnails_must_be_stored_as_named(sizes: dict[str, int], found: str) -> None:
    (check,) = check_thumbnails(thumbnail_names(thumbnails("thumbnails/a.jpg", "thumbnails/b.jpg")), sizes)
    assert (check.ok, check.found) == (found == "2", found)


@pytest.mark.parametrize("tracks", [None, [], [{"track": 1}], [None], [{"thumbnails": []}]])
def test_nothing_is_asked_of_thumbnails_that_nobody_named(tracks: Any) -> None:
    assert check_thumbnails(thumbnail_names({"tracks": tracks}), {}) == ()


def test_thumbnails_are_looked_for_beside_the_result(tmp_path: Path) -> None:
    ports = make_ports(result_document(**thumbnails("thumbnails/track-0001-face.jpg")))
    with pytest.raises(CapctlError, match="failed `thumbnails`") as failed:
        smoke(ports, target(tmp_path))
    folder = ports.jobs.requests[0].environment["RESULT_URL"]
    # Another job's thumbnail is no proof.
    ports.objects.write(f"{folder}0/thumbnails/track-0001-face.jpg", b"a face")
    with pytest.raises(CapctlError, match="failed `thumbnails`"):
        smoke(ports, target(tmp_path))
    ports.objects.write(f"{folder}/thumbnails/track-0001-face.jpg", b"a face")
    assert smoke(ports, target(tmp_path)).ok
    assert "not thumbnails/track-0001-face.jpg" in str(failed.value.details)


@pytest.mark.parametrize(
    ("told", "peak"), [({"gpu_memory_peak_bytes": 3_000_000_000}, 3_000_000_000), ({}, None), (None, None)]
)
def test_gpu_memory_is_recorded_where_the_job_tells(tmp_path: Path, told: object, peak: int | None) -> None:
    ports = make_ports(result_document(resources=told, timings={"total_ms": 900}))
    report = smoke(ports, target(tmp_path))
    assert (report.gpu_memory_peak_bytes, report.instance_type) == (peak, "g5.xlarge")
    (kept,) = (data for uri, (data, _) in ports.objects.stored.items() if uri.endswith("/smoke.json"))
    assert json.loads(kept)["gpu_memory_peak_bytes"] == peak


def test_failed_check_names_itself_and_lists_all(tmp_path: Path) -> None:
    with pytest.raises(CapctlError) as failed:
        smoke(make_ports(result_document(tracks=[])), target(tmp_path))
    assert failed.value.code == "smoke-failed"
    assert "`tracks`" in failed.value.message
    assert "failed  tracks: expected at least 1, found 0" in failed.value.details
    assert failed.value.exit_code == 1


def test_job_without_a_result_fails(tmp_path: Path) -> None:
    with pytest.raises(CapctlError) as failed:
        smoke(make_ports(None), target(tmp_path))
    assert failed.value.code == "result-missing"


def test_unknown_host_does_not_hide_what_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeJobs, "host", lambda self, job: None)
    with pytest.raises(CapctlError, match="`host-ami`, `tracks`") as failed:
        smoke(make_ports(result_document(tracks=[])), target(tmp_path))
    assert (failed.value.code, failed.value.is_verdict) == ("smoke-failed", True)


def test_failed_job_is_told_by_its_exit_code_and_what_the_container_was_ended_by(tmp_path: Path) -> None:
    ports = make_ports(result_document())
    ports.jobs.course = (JobState.FAILED,)
    ports.jobs.outcome = {"exit_code": 65, "status_reason": "Essential container in task exited"}
    with pytest.raises(CapctlError) as failed:
        smoke(ports, target(tmp_path))
    assert failed.value.message == f"Smoke job `job-1` is FAILED, exit 65: {ExitCode(65).meaning}"


def test_lost_host_is_inconclusive(tmp_path: Path) -> None:
    ports = make_ports(result_document())
    ports.jobs.course = (JobState.FAILED,)
    ports.jobs.outcome = {"obstacle": Obstacle.CAPACITY}
    with pytest.raises(Inconclusive):
        smoke(ports, target(tmp_path))


def test_smoke_of_nothing_says_so(tmp_path: Path) -> None:
    with pytest.raises(CapctlError) as failed:
        plan_smoke(make_ports(None), target(tmp_path), RUN, release_id=None)
    assert failed.value.code == "pointer-missing"


def test_smoke_of_an_unknown_release_says_which_exist(tmp_path: Path) -> None:
    with pytest.raises(CapctlError, match=RELEASE.id) as failed:
        plan_smoke(make_ports(None), target(tmp_path), RUN, release_id="0123456789ab")
    assert failed.value.code == "release-missing"
