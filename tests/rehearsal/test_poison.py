"""Videos that are damaged, odd or lying, through the whole job: a typed end, or a result that tells what was seen."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from analyzer import job
from analyzer.contract import JobRequest, Location, ModelSettings
from analyzer.errors import AnalyzerError, ExitCode, InputUnreadable
from analyzer.progress import Progress
from analyzer.schemas import analysis_schema
from analyzer.video import container
from tests.fakes import videos
from tests.fakes.videos import CONTAINERS, FPS, FRAMES, Recipe

pytestmark = pytest.mark.rehearsal

AT_MOST_S = 30
RECOVERED = 0.99


@dataclass
class Clips:
    """Clips by recipe, each written once."""

    written: dict[str, bytes] = field(default_factory=dict)

    def of(self, name: str) -> bytes:
        if name not in self.written:
            self.written[name] = videos.write(CONTAINERS[name])
        return self.written[name]


@pytest.fixture(scope="module")
def clips() -> Clips:
    return Clips()


def analyse(path: Path, tmp_path: Path, *, fps: float = 60) -> dict[str, Any]:
    """The result document; it follows the schema, and came in time."""
    request = JobRequest(
        video=Location.parse(str(path), name="x"),
        session_id="poison",
        result=Location.parse(str(tmp_path / "out"), name="x"),
        model_root=tmp_path / "root",
        backend="null",
        models=ModelSettings(),
        sample_fps=fps,
    )
    begin_s = time.monotonic()
    try:
        job.run(request, Progress(io.StringIO(), session_id="poison"))
    finally:
        assert time.monotonic() - begin_s < AT_MOST_S
    document: dict[str, Any] = json.loads((tmp_path / "out" / "result.json").read_text())
    jsonschema.validate(document, analysis_schema(), cls=jsonschema.Draft202012Validator)
    coverage = document["coverage"]
    seen_all = not coverage["errors"] and not coverage["skipped"]
    short = coverage["total_ms"] is not None and coverage["decoded_ms"] < coverage["total_ms"] - 500
    assert document["status"] == ("succeeded" if seen_all and not short else "partial")
    return document


def frames_by_ffmpeg(path: Path) -> int:
    """How many frames the program `ffmpeg` gets out of a file, damaged ones included."""
    told = subprocess.run(
        [
            *("ffmpeg", "-v", "quiet", "-nostdin", "-threads", "1", "-err_detect", "ignore_err", "-i", str(path)),
            *("-map", "0:v:0", "-fps_mode", "passthrough", "-f", "framecrc", "-"),
        ],
        capture_output=True,
        check=False,
    )
    return sum(not line.startswith(b"#") for line in told.stdout.splitlines())


def put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


DAMAGE: dict[str, tuple[Callable[[bytes], bytes], tuple[str, ...]]] = {
    "cut off": (videos.cut_off, ("mp4, index first", "mkv", "avi", "mpegts", "bare h264")),
    "scattered": (
        lambda content: videos.scatter(content, seed=3),
        ("mp4, index first", "mp4, index last", "mkv", "mpegts", "avi", "mjpeg", "mpeg", "webm", "hevc"),
    ),
    "burst": (videos.burst, ("mp4, index first", "mkv", "mpegts", "mpeg", "bare h264")),
}


@pytest.mark.parametrize(
    ("damage", "name"), [(damage, name) for damage, (_, names) in DAMAGE.items() for name in names]
)
def test_of_a_damaged_file_every_frame_is_seen_that_ffmpeg_sees(
    damage: str, name: str, clips: Clips, tmp_path: Path
) -> None:
    whole = clips.of(name)
    path = put(tmp_path / "input", DAMAGE[damage][0](whole))
    expected = frames_by_ffmpeg(path)
    assert 0 < expected <= FRAMES
    document = analyse(path, tmp_path)
    coverage = document["coverage"]
    assert coverage["frames"] >= RECOVERED * expected
    # Two frames at one time are looked at once.
    assert coverage["sampled_frames"] >= coverage["frames"] - 1
    if damage == "cut off":
        # What is missing at the end shows in the duration where the container knows it, or in what did not decode.
        assert coverage["decoded_ms"] <= 1000 * (expected + 1) // FPS
        assert (
            document["status"] == "partial" or coverage["total_ms"] in (None, coverage["decoded_ms"]) or name == "avi"
        )


@pytest.mark.parametrize("are_cut_out", [True, False])
@pytest.mark.parametrize("options", [{"preset": "ultrafast"}, {"preset": "veryfast", "bf": "2"}])
def test_clusters_that_are_lost_make_the_result_partial(
    options: dict[str, str], are_cut_out: bool, tmp_path: Path
) -> None:
    # Where nothing is left of them, it must be a keyframe that follows.
    limit_ms = 499 if are_cut_out else 399
    whole = videos.write(Recipe(frames=96, options=options, muxing={"cluster_time_limit": str(limit_ms)}))
    clusters = [each.start() for each in re.finditer(b"\x1f\x43\xb6\x75", whole)]
    left = b"" if are_cut_out else bytes(clusters[6] - clusters[4])
    path = put(tmp_path / "input", whole[: clusters[4]] + left + whole[clusters[6] :])
    document = analyse(path, tmp_path)
    coverage = document["coverage"]
    assert (document["status"], coverage["errors"], len(coverage["skipped"])) == ("partial", 0, 1)
    part = coverage["skipped"][0]
    assert part["start_ms"] == pytest.approx(4 * limit_ms, abs=500)
    missing_ms = 1000 * (96 - coverage["frames"]) / FPS
    assert part["end_ms"] - part["start_ms"] == pytest.approx(missing_ms, abs=2000 / FPS)


@pytest.mark.parametrize("name", ["mp4, fragments", "hevc", "webm", "mpeg", "flv", "bare h264"])
def test_whole_files_of_all_kinds_are_seen_wholly(name: str, clips: Clips, tmp_path: Path) -> None:
    document = analyse(put(tmp_path / "input", clips.of(name)), tmp_path)
    assert (document["coverage"]["frames"], document["status"]) == (FRAMES, "succeeded")
    assert document["coverage"]["decoded_ms"] == pytest.approx(2000, abs=45)


def with_an_early_cluster(clips: Clips) -> bytes:
    """Matroska in which the third cluster is said to begin at zero."""
    content = bytearray(clips.of("mkv"))
    head = [each.start() for each in re.finditer(b"\x1f\x43\xb6\x75", content)][2]
    place = content.index(b"\xe7", head + 12)
    length = content[place + 1] & 0x7F
    assert any(content[place + 2 : place + 2 + length])
    content[place + 2 : place + 2 + length] = bytes(length)
    return bytes(content)


def resized(_: Clips) -> bytes:
    """A stream whose pictures become larger in the middle."""
    small = Recipe(container="h264", frames=24)
    return videos.write(small) + videos.write(replace(small, size=(240, 200)))


# No keyframe where the pause ends.
_PAUSED = {"preset": "ultrafast", "g": "72"}

# What is odd, and how many of its frames are seen in how many milliseconds.
ODD: dict[str, tuple[Callable[[Clips], bytes], int, int]] = {
    "one pixel": (
        lambda _: videos.write(Recipe(codec="ffv1", size=(1, 1), pixels="yuv444p", options={}, frames=3)),
        3,
        125,
    ),
    "8K": (
        lambda _: videos.write(Recipe(codec="mjpeg", size=(8192, 4320), pixels="yuvj420p", options={}, frames=1)),
        1,
        42,
    ),
    "no duration": (lambda _: videos.write(Recipe(), piped=True), 48, 2000),
    "size changes": (resized, 48, 2000),
    "times far from zero": (lambda _: videos.write(Recipe(times=lambda index: index + 2**30)), 48, 2000),
    "times that wrap": (
        lambda _: videos.write(
            Recipe(container="mpegts", times=lambda index: index + (2**33 - 90_000) * FPS // 90_000)
        ),
        48,
        2000,
    ),
    # The container says that it lasts two seconds.
    "two recordings, one behind the other": (lambda clips: 2 * clips.of("mpegts"), 96, 2000),
    "one frame long after the rest": (
        lambda _: videos.write(Recipe(frames=9, times=lambda index: index + (index == 8) * 240)),
        9,
        10_375,
    ),
    "pauses": (
        lambda _: videos.write(Recipe(frames=72, times=lambda index: index + index // 36 * 48, options=_PAUSED)),
        72,
        5000,
    ),
    "a cluster whose time lies": (with_an_early_cluster, 48, 2000),
    "a time that lies": (lambda clips: videos.with_a_late_time(clips.of("flv"), index=20), 48, 2000),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_videos_are_seen_with_their_times(name: str, clips: Clips, tmp_path: Path) -> None:
    make, frames, ends_ms = ODD[name]
    document = analyse(put(tmp_path / "input", make(clips)), tmp_path)
    coverage = document["coverage"]
    assert (coverage["frames"], coverage["errors"]) == (frames, 0)
    assert (coverage["sampled_frames"], coverage["skipped"]) == (frames, [])
    assert coverage["decoded_ms"] == pytest.approx(ends_ms, abs=45)


def test_a_video_without_its_first_keyframe_is_seen_from_the_next_one_on(tmp_path: Path) -> None:
    path = put(tmp_path / "input", videos.write(Recipe(first_keyframe=False)))
    expected = frames_by_ffmpeg(path)
    assert analyse(path, tmp_path)["coverage"]["frames"] >= RECOVERED * expected > 0


# What a head can be, and how it is refused.
HEADS: dict[str, tuple[Callable[[Clips], bytes], str]] = {
    "nothing but zeros": (lambda _: bytes(4096), "input-not-a-video"),
    "one byte": (lambda _: b"\0", "input-not-a-video"),
    "mp4, cut off before its index": (
        lambda clips: videos.cut_off(clips.of("mp4, index last")),
        "input-not-a-video",
    ),
    "mkv, its head only": (lambda clips: clips.of("mkv")[:300], "input-not-a-video"),
    "more streams than anybody needs": (lambda _: videos.write_many_streams(33), "input-too-large"),
    "a day": (
        lambda _: videos.write(Recipe(frames=2, times=lambda index: index * 24 * 3600 * FPS)),
        "input-too-long",
    ),
    "pictures for a wall": (
        lambda _: videos.write(Recipe(codec="mjpeg", size=(16000, 2400), pixels="yuvj420p", options={}, frames=1)),
        "input-too-large",
    ),
    "manifest": (
        lambda _: b'<?xml version="1.0"?><MPD><BaseURL>file:///etc/passwd</BaseURL></MPD>',
        "input-not-a-video",
    ),
    "drawing": (lambda _: b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', "input-not-a-video"),
    "subtitles": (lambda _: b"1\n00:00:00,000 --> 00:00:09,000\nwords\n", "input-not-a-video"),
}


@pytest.mark.parametrize("name", HEADS)
def test_heads_that_are_no_video_are_refused(name: str, clips: Clips, tmp_path: Path) -> None:
    make, code = HEADS[name]
    path = put(tmp_path / "input", make(clips))
    with pytest.raises(InputUnreadable) as caught, container.open_video(path, name="clip"):
        pass
    assert (caught.value.code, caught.value.exit_code) == (code, ExitCode.INPUT)
    assert caught.value.hint


def test_what_is_no_file_is_refused_without_being_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(InputUnreadable) as caught, container.open_video(path, name="clip"):
            pass
        assert caught.value.code == "input-not-a-file"


def test_the_cover_picture_of_music_is_no_video(audio_with_cover: Path) -> None:
    with pytest.raises(InputUnreadable) as caught, container.open_video(audio_with_cover, name="song"):
        pass
    assert caught.value.code == "input-no-video-stream"


@pytest.fixture
def audio_with_cover(tmp_path: Path) -> Path:
    path = tmp_path / "song.mkv"
    subprocess.run(
        [
            *("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=duration=1"),
            *("-f", "lavfi", "-i", "color=size=64x64:duration=0.04:rate=25"),
            *("-map", "0", "-map", "1", "-c:v", "mjpeg", "-disposition:v", "attached_pic", "-f", "mp4", str(path)),
        ],
        check=True,
    )
    return path


def test_a_head_that_lies_about_its_pictures_is_not_believed(clips: Clips, tmp_path: Path) -> None:
    size = (160).to_bytes(2, "big") + (120).to_bytes(2, "big")
    content = clips.of("mp4, index last")
    assert size in content
    lying = content.replace(size, (8000).to_bytes(2, "big") + (16).to_bytes(2, "big"))
    document = analyse(put(tmp_path / "input", lying), tmp_path, fps=2)
    assert (document["video"]["width"], document["video"]["height"]) == (160, 120)
    assert document["coverage"]["frames"] == FRAMES


@pytest.mark.parametrize("name", ["-i", "a b\n;$(touch x)'\"", "%s-%d.mp4", "x" * 255, "concat:a|b", "é\udce9"])
def test_names_of_files_mean_nothing(name: str, clips: Clips, tmp_path: Path) -> None:
    path = put(tmp_path / name, clips.of("mkv")) if len(os.fsencode(name)) <= 255 else tmp_path / name
    with container.open_video(path, name=name) as head:
        assert head.duration_ms == 2000


def test_names_that_no_file_can_have_are_refused(tmp_path: Path) -> None:
    for name, code in ((tmp_path / ("x" * 256), "path-invalid"), (tmp_path / "a\0b", "location-invalid")):
        with pytest.raises(AnalyzerError) as caught:
            analyse(name, tmp_path)
        assert caught.value.code == code
