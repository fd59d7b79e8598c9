"""The video of a smoke job, and the clip that ships with capctl."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from lifecycle.config.target import Target
from lifecycle.domain.golden_clip import CLIP, CLIP_NAME, CLIP_SHA256
from lifecycle.errors import CapctlError
from lifecycle.workflows.execute import execute
from lifecycle.workflows.smoke import Smoke, plan_smoke
from lifecycle.workflows.smoke_video import smoke_video
from tests.dev import clip
from tests.fakes.ports import FakePorts
from tests.fakes.releases import make_release, result_document
from tests.fakes.runs import RUN
from tests.fakes.stack import OUTPUTS, FakeStack
from tests.fakes.targets import make_target

RELEASE = make_release()
CLIP_URI = f"s3://{OUTPUTS.bucket}/samples/{CLIP_NAME}"


@pytest.fixture
def ports() -> FakePorts:
    stack = FakeStack()
    stack.add_release(RELEASE)
    return FakePorts(stack=stack)


def target(folder: Path, **smoke: Any) -> Target:
    return make_target(folder, smoke={"timeout_s": 100} | smoke)


def frames(path: Path) -> list[Any]:
    import av

    with av.open(str(path)) as container:
        (stream,) = container.streams
        assert (stream.codec_context.name, "mp4" in container.format.name) == ("h264", True)
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]


def test_shipped_clip_is_small_and_named_by_its_content() -> None:
    data = CLIP.read_bytes()
    assert hashlib.sha256(data).hexdigest() == CLIP_SHA256
    assert len(data) < 200_000
    assert CLIP_SHA256[:12] in CLIP_NAME


def test_shipped_clip_shows_what_its_script_draws() -> None:
    import numpy as np

    shipped = frames(CLIP)
    assert len(shipped) == clip.FRAMES
    for number, frame in enumerate(shipped):
        assert np.abs(frame.astype(int) - clip.picture(number)).mean() < 4


def test_script_gives_the_same_bytes_each_time(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        clip.write_clip(tmp_path / name)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_analyzer_finds_the_face_of_the_clip() -> None:
    from analyzer.backends.opencv import OpenCvDetector

    found = OpenCvDetector().detect([clip.picture(number)[:, :, ::-1].copy() for number in (0, 15, 29)])
    assert all(found)


def test_clip_is_put_into_the_bucket_once_and_given_to_the_job(ports: FakePorts, tmp_path: Path) -> None:
    where = target(tmp_path)
    plan = plan_smoke(ports, where, RUN, release_id=RELEASE.id)
    assert f"1. put the generated clip at {CLIP_URI}" in plan.render()
    report = execute(plan, ports, RUN).of(Smoke)
    assert ports.objects.stored[CLIP_URI][0] == CLIP.read_bytes()
    assert ports.jobs.requests[0].environment["VIDEO_URL"] == report.video_url == CLIP_URI
    again = plan_smoke(ports, where, RUN, release_id=RELEASE.id)
    assert [type(step).__name__ for step in again.steps] == ["Smoke"]


def test_clip_that_somebody_replaced_is_put_there_again(ports: FakePorts, tmp_path: Path) -> None:
    ports.objects.write(CLIP_URI, b"a cat")
    plan = plan_smoke(ports, target(tmp_path), RUN, release_id=RELEASE.id)
    assert [type(step).__name__ for step in plan.steps] == ["StoreClip", "Smoke"]


@pytest.mark.parametrize(
    ("smoke", "least", "expected"),
    [
        ({}, 0, "at least 0 in the generated clip"),
        ({"min_tracks": 1}, 1, "at least 1 in the generated clip"),
        ({"video_url": f"s3://{OUTPUTS.bucket}/videos/a.mp4"}, 1, "at least 1"),
        ({"video_url": f"s3://{OUTPUTS.bucket}/videos/a.mp4", "min_tracks": 0}, 0, "at least 0"),
    ],
)
def test_tracks_that_must_be_found_are_those_of_the_video(
    ports: FakePorts, tmp_path: Path, smoke: dict[str, Any], least: int, expected: str
) -> None:
    where = target(tmp_path, **smoke)
    assert smoke_video(where).min_tracks == least
    ports.objects.write(f"s3://{OUTPUTS.bucket}/videos/a.mp4", b"a film")
    report = execute(plan_smoke(ports, where, RUN, release_id=RELEASE.id), ports, RUN).of(Smoke)
    (tracks,) = (check for check in report.checks if check.name == "tracks")
    assert tracks.expected == expected


def test_clip_without_a_person_to_the_detector_passes(ports: FakePorts, tmp_path: Path) -> None:
    ports.jobs.leaves = result_document(tracks=[])
    assert execute(plan_smoke(ports, target(tmp_path), RUN, release_id=RELEASE.id), ports, RUN).of(Smoke).ok


def test_missing_video_is_told_before_a_job_runs_and_says_nothing_of_the_release(
    ports: FakePorts, tmp_path: Path
) -> None:
    where = target(tmp_path, video_url=f"s3://{OUTPUTS.bucket}/videos/gone.mp4")
    with pytest.raises(CapctlError, match="gone") as failed:
        plan_smoke(ports, where, RUN, release_id=RELEASE.id)
    assert (failed.value.code, failed.value.is_verdict, ports.jobs.requests) == ("video-missing", False, [])
