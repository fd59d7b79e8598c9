"""Decoding as the pipeline sees it: through the watched child, with real files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from analyzer.contract import SampleMode
from analyzer.errors import ExitCode, InputUnreadable
from analyzer.geometry import Box
from analyzer.video import container as source
from analyzer.video.decoder import Decoder, Sampling
from analyzer.video.planes import Frame
from tests.unit.analyzer.readings import ClipMaker, collect, read


def test_a_video_is_read_with_its_facts_and_the_sampled_frames(make_clip: ClipMaker) -> None:
    reading = read(make_clip(), fps=2)
    assert reading.info is not None
    assert (reading.info.codec, reading.info.width, reading.info.height, reading.info.rotation) == ("h264", 160, 120, 0)
    assert (reading.info.duration_ms, reading.info.fps, reading.info.variable_rate) == (2000, 10.0, False)
    assert reading.times == [0, 500, 1000, 1500]
    assert (reading.coverage.frames, reading.coverage.sampled_frames, reading.coverage.decoded_ms) == (20, 4, 2000)
    assert reading.coverage.is_complete(2000)


def test_variable_frame_rate_keeps_true_times(make_clip: ClipMaker) -> None:
    reading = read(make_clip("vfr.mkv", frame_count=6, pts=[0, 1, 2, 30, 31, 60]), fps=1)
    assert reading.times == [0, 3000, 6000]
    assert (reading.coverage.frames, reading.coverage.errors) == (6, 0)


def test_keyframe_mode_decodes_keyframes_only(make_clip: ClipMaker) -> None:
    reading = read(make_clip(frame_count=60), fps=10, mode=SampleMode.KEYFRAME)
    assert reading.times == list(range(0, 6000, 500))
    assert reading.coverage.frames == 12
    assert reading.coverage.is_complete(6000)


@pytest.mark.parametrize(("turn", "size"), [(90, (120, 160)), (180, (160, 120)), (270, (120, 160))])
def test_rotation_is_applied_once(turn: int, size: tuple[int, int], make_clip: ClipMaker) -> None:
    reading = read(make_clip(turn_cw=turn))
    assert reading.info is not None
    assert (reading.info.rotation, reading.info.width, reading.info.height) == (turn, *size)
    picture = reading.pictures[0]
    assert picture.shape[0] > picture.shape[1] or turn == 180
    # Stored upside is blue (BGR channel 0): turned clockwise it comes to lie right, below, left.
    halves = {
        90: picture[:, picture.shape[1] // 2 + 1 :],
        180: picture[picture.shape[0] // 2 + 1 :],
        270: picture[:, : picture.shape[1] // 2 - 1],
    }
    assert halves[turn].mean(axis=(0, 1))[0] > 200


@pytest.mark.parametrize(
    ("pixel_format", "size"),
    [("yuv420p", (160, 120)), ("yuvj420p", (65, 49)), ("yuv444p10le", (160, 120))],
)
def test_pictures_have_the_colours_that_ffmpeg_makes_of_them(
    pixel_format: str, size: tuple[int, int], make_clip: ClipMaker
) -> None:
    path = make_clip("clip.mkv", frame_count=2, size=size, noise=20, pixel_format=pixel_format)
    cuts: list[np.ndarray] = []

    def cut(frame: Frame) -> None:
        assert (frame.width, frame.height) == size
        for box in (Box(0, 0, *size), Box(11, 7, 30, 21)):
            found = frame.cut(box, 999)
            assert found is not None
            cuts.append(found)

    collect(Decoder(path, Sampling(fps=10), name="clip"), cut)
    with av.open(str(path)) as container:
        expected = [frame.to_ndarray(format="bgr24").astype(int) for frame in container.decode(video=0)]
    for whole, part, want in zip(cuts[::2], cuts[1::2], expected, strict=True):
        assert whole.shape == want.shape
        # Chroma is interpolated between its samples in one way here and in another there.
        assert np.abs(whole.astype(int) - want).mean() < 4
        assert np.abs(part.astype(int) - want[7:28, 11:41]).mean() < 5


def test_segments_begin_at_keyframes_and_a_later_start_gives_the_same_frames(make_clip: ClipMaker) -> None:
    path = make_clip(frame_count=100, noise=30, b_frames=2)
    whole = read(path, fps=4, segment_ms=1700)
    assert [(each.start_ms, each.end_ms) for each in whole.segments] == [
        (0, 2000), (2000, 4000), (4000, 6000), (6000, 8000), (8000, 10000)
    ]  # fmt: skip
    assert whole.coverage.is_complete(10_000)
    for before, after in zip(whole.segments, whole.segments[1:], strict=False):
        position = before.following
        assert position is not None
        part = collect(
            Decoder(path, Sampling(fps=4), name="clip", position=position, start_ms=after.start_ms, segment_ms=1700)
        )
        assert part.segments == whole.segments[after.segment :]
        later = [index for index, ms in enumerate(whole.times) if ms >= after.start_ms]
        assert part.times == [whole.times[index] for index in later]
        assert all(np.array_equal(part.pictures[n], whole.pictures[index]) for n, index in enumerate(later))


def _no_index(path: Path) -> bytes:
    return path.read_bytes().replace(b"moov", b"xxxx")


POISON: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "empty": (lambda _: b"", "input-empty"),
    "text": (lambda _: b"not a video\n" * 100, "input-not-a-video"),
    "garbage": (lambda _: np.random.default_rng(1).bytes(20_000), "input-not-a-video"),
    "index missing": (_no_index, "input-not-a-video"),
    "playlist": (lambda _: b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", "input-not-a-video"),
    "concatenation": (lambda path: f"ffconcat version 1.0\nfile '{path}'\n".encode(), "input-not-a-video"),
    "picture": (lambda _: b"\x89PNG\r\n\x1a\n" + b"\0" * 100, "input-not-a-video"),
}


@pytest.mark.parametrize("kind", POISON)
def test_poison_ends_in_a_typed_error(kind: str, make_clip: ClipMaker, tmp_path: Path) -> None:
    content, code = POISON[kind]
    path = tmp_path / "input.bin"
    path.write_bytes(content(make_clip()))
    with pytest.raises(InputUnreadable) as caught, source.open_video(path, name="clip"):
        pass
    assert (caught.value.code, caught.value.exit_code) == (code, ExitCode.INPUT)


def test_audio_only_has_no_video_stream(audio_only: Path) -> None:
    with pytest.raises(InputUnreadable) as caught, source.open_video(audio_only, name="sound"):
        pass
    assert caught.value.code == "input-no-video-stream"


def test_folder_and_absent_file_are_typed_errors(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(InputUnreadable), source.open_video(path, name="clip"):
            pass


@pytest.mark.parametrize(("limit", "code"), [("MAX_PIXELS", "input-too-large"), ("MAX_DURATION_S", "input-too-long")])
def test_video_over_a_limit_is_refused(
    limit: str, code: str, make_clip: ClipMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"analyzer.video.container.{limit}", 1)
    with pytest.raises(InputUnreadable) as caught, source.open_video(make_clip(), name="clip"):
        pass
    assert caught.value.code == code
