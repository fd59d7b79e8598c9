from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from analyzer.errors import ExitCode, InputUnreadable
from analyzer.sample import RateSampler
from analyzer.video import Coverage, Frame, frames, probe

ClipMaker = Callable[..., Path]


def read(path: Path, fps: float = 10) -> tuple[list[Frame], Coverage]:
    coverage = Coverage()
    info = probe(path, name=path.name)
    return list(frames(path, info, RateSampler(fps).takes, coverage, name=path.name)), coverage


def test_probe_tells_the_container_facts(make_clip: ClipMaker) -> None:
    info = probe(make_clip(), name="clip")
    assert (info.codec, info.width, info.height, info.rotation) == ("h264", 160, 120, 0)
    assert (info.duration_ms, info.fps) == (2000, 10.0)


def test_sampler_takes_the_first_frame_of_each_cell() -> None:
    sampler = RateSampler(2)
    taken = [ms for ms in range(0, 2000, 40) if sampler.takes(Fraction(ms, 1000))]
    assert taken == [0, 520, 1000, 1520]


def test_sampler_follows_time_across_a_gap() -> None:
    sampler = RateSampler(2)
    times = [0, 100, 200, 5100, 5200, 5600]
    assert [ms for ms in times if sampler.takes(Fraction(ms, 1000))] == [0, 5100, 5600]


def test_variable_frame_rate_keeps_true_times(make_clip: ClipMaker) -> None:
    path = make_clip("vfr.mkv", frame_count=6, pts=[0, 1, 2, 30, 31, 60])
    taken, coverage = read(path, fps=1)
    assert [frame.pts_ms for frame in taken] == [0, 3000, 6000]
    assert (coverage.frames, coverage.errors) == (6, 0)


@pytest.mark.parametrize(("turn", "size"), [(90, (120, 160)), (180, (160, 120)), (270, (120, 160))])
def test_rotation_is_applied_once(turn: int, size: tuple[int, int], make_clip: ClipMaker) -> None:
    path = make_clip(turn_cw=turn)
    info = probe(path, name="clip")
    assert (info.rotation, info.width, info.height) == (turn, *size)
    picture = read(path)[0][0].pixels
    assert picture.shape == (size[1], size[0], 3)
    # Stored upside is blue (BGR channel 0): turned clockwise it comes to lie right, below, left.
    halves = {
        90: picture[:, picture.shape[1] // 2 :],
        180: picture[picture.shape[0] // 2 :],
        270: picture[:, : picture.shape[1] // 2],
    }
    assert halves[turn].mean(axis=(0, 1))[0] > 200


def _truncated(path: Path) -> bytes:
    content = path.read_bytes()
    return content[: len(content) * 6 // 10]


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
    with pytest.raises(InputUnreadable) as caught:
        read(path)
    assert (caught.value.code, caught.value.exit_code) == (code, ExitCode.INPUT)


def test_audio_only_has_no_video_stream(audio_only: Path) -> None:
    with pytest.raises(InputUnreadable) as caught:
        probe(audio_only, name="sound")
    assert caught.value.code == "input-no-video-stream"


def test_folder_and_absent_file_are_typed_errors(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(InputUnreadable):
            probe(path, name="clip")


def test_truncated_video_is_read_as_far_as_it_goes(make_clip: ClipMaker) -> None:
    path = make_clip(frame_count=60, noise=60)
    path.write_bytes(_truncated(path))
    taken, coverage = read(path)
    assert 20 < coverage.frames < 60
    assert len(taken) == coverage.frames
    assert coverage.total_ms == 6000
    assert 2000 < coverage.decoded_ms < 5500
    assert not coverage.complete


def test_damaged_packets_are_counted_and_skipped(make_clip: ClipMaker) -> None:
    path = make_clip(frame_count=60, noise=60)
    content = bytearray(path.read_bytes())
    middle = (content.index(b"mdat") + len(content)) // 2
    length = len(content) // 10
    content[middle : middle + length] = b"\xff" * length
    path.write_bytes(content)
    taken, coverage = read(path)
    assert coverage.errors > 0
    assert coverage.first_error
    assert 45 < coverage.frames < 60
    assert taken[-1].pts_ms == 5900, "reading goes on after the damage"
    assert not coverage.complete


def test_video_whose_frames_never_decode_is_unreadable(make_clip: ClipMaker) -> None:
    content = bytearray(make_clip().read_bytes())
    start = content.index(b"mdat") + 4
    content[start:] = b"\xff" * (len(content) - start)
    path = make_clip()
    path.write_bytes(content)
    with pytest.raises(InputUnreadable) as caught:
        probe(path, name="clip")
    assert caught.value.code == "input-undecodable"


@pytest.mark.parametrize(("limit", "code"), [("MAX_PIXELS", "input-too-large"), ("MAX_DURATION_S", "input-too-long")])
def test_video_over_a_limit_is_refused(
    limit: str, code: str, make_clip: ClipMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"analyzer.video.{limit}", 1)
    with pytest.raises(InputUnreadable) as caught:
        probe(make_clip(), name="clip")
    assert caught.value.code == code
