"""Decoding as the pipeline sees it: through the watched child, with real files."""

from __future__ import annotations

import contextlib
import os
import signal
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import av
import numpy as np
import pytest

from analyzer.contract import SampleMode
from analyzer.coverage import Coverage
from analyzer.errors import ExitCode, InputUnreadable
from analyzer.geometry import Box
from analyzer.video import container as source
from analyzer.video.decoder import Decoder, Event, Opened, Sampling
from analyzer.video.gaps import GapFinder
from analyzer.video.info import Position, SegmentSummary, VideoInfo
from analyzer.video.messages import Settings
from analyzer.video.planes import Frame
from analyzer.video.reading import HandOver
from analyzer.video.reading import Reading as ChildReading
from analyzer.video.watched import Watch
from tests.fakes import videos

ClipMaker = Callable[..., Path]


@dataclass
class Reading:
    """What a decoder gave; pictures are copies, reduced."""

    info: VideoInfo | None = None
    times: list[int] = field(default_factory=list)
    pictures: list[np.ndarray] = field(default_factory=list)
    segments: list[SegmentSummary] = field(default_factory=list)

    @property
    def coverage(self) -> Coverage:
        coverage = Coverage()
        for each in self.segments:
            coverage.add(each)
        return coverage


def collect(events: Iterable[Event], on_frame: Callable[[Frame], None] = lambda _: None) -> Reading:
    reading = Reading()
    for event in events:
        match event:
            case Opened(info=info):
                reading.info = info
            case Frame():
                reading.times.append(event.pts_ms)
                reading.pictures.append(event.picture(64))
                on_frame(event)
                event.release()
            case SegmentSummary():
                reading.segments.append(event)
    return reading


def read(path: Path, fps: float = 10, mode: SampleMode = SampleMode.FPS, segment_ms: int = 30_000) -> Reading:
    return collect(Decoder(path, Sampling(mode=mode, fps=fps), name=path.name, segment_ms=segment_ms))


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


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_decoder_that_dies_or_hangs_is_started_again_and_nothing_is_seen_twice(
    number: signal.Signals, make_clip: ClipMaker
) -> None:
    path = make_clip(frame_count=60, noise=30)
    whole = read(path, segment_ms=2000)
    # Two slots only, so that the child has not read everything before the signal comes.
    decoder = Decoder(path, Sampling(fps=10), name="clip", segment_ms=2000, watch=Watch(ring_bytes=1, silence_s=0.5))
    hit: list[int] = []

    def strike(frame: Frame) -> None:
        if frame.pts_ms == 3000 and not hit:
            hit.append(decoder.child_pid)
            os.kill(decoder.child_pid, number)

    reading = collect(decoder, strike)
    assert hit
    assert decoder.child_pid != hit[0]
    assert (reading.times, reading.segments) == (whole.times, whole.segments)


def test_a_segment_that_ends_two_decoders_is_left_out(make_clip: ClipMaker) -> None:
    path = make_clip(frame_count=60, noise=30)
    decoder = Decoder(path, Sampling(fps=10), name="clip", segment_ms=2000, watch=Watch(ring_bytes=1))
    hit: set[int] = set()

    def strike(frame: Frame) -> None:
        if 2000 <= frame.pts_ms < 4000 and len(hit) < 2 and decoder.child_pid not in hit:
            hit.add(decoder.child_pid)
            os.kill(decoder.child_pid, signal.SIGSEGV)

    reading = collect(decoder, strike)
    skipped = reading.segments[1]
    assert [each.segment for each in reading.segments] == [0, 1, 2]
    assert (skipped.start_ms, skipped.end_ms, skipped.reason) == (2000, 4000, "the decoder died of signal 11")
    assert [ms for ms in reading.times if ms >= 4000] == list(range(4000, 6000, 100))
    assert not reading.coverage.is_complete(6000)


def test_a_segment_in_which_four_attempts_died_is_left_out(make_clip: ClipMaker) -> None:
    path = make_clip(frame_count=60)
    following = read(path, segment_ms=2000).segments[0].following
    fewer, decoder = (
        Decoder(path, Sampling(), name="clip", position=following, start_ms=2000, deaths=deaths, segment_ms=2000)
        for deaths in (3, 4)
    )
    assert not any(each.skipped for each in collect(fewer).segments)
    reading = collect(decoder)
    assert [(each.segment, each.skipped) for each in reading.segments] == [(1, True), (2, False)]
    assert reading.times == [4000, 4500, 5000, 5500]


def _kill_from(decoder: Decoder, ms: int) -> Iterator[Event]:
    """Every child dies before it says anything, once a frame of `ms` or later was seen."""
    for event in decoder:
        yield event
        if isinstance(event, Frame) and event.pts_ms >= ms:
            decoder._settings = replace(decoder._settings, memory_limit_bytes=1 << 20)
            os.kill(decoder.child_pid, signal.SIGKILL)


def test_a_last_segment_that_is_left_out_ends_with_the_video(make_clip: ClipMaker) -> None:
    path = make_clip(frame_count=60)
    info = read(path).info
    position = Position(segment=7, start_pts=2**40, origin_pts=0)
    reading = collect(Decoder(path, Sampling(), name="clip", position=position, start_ms=4000, info=info, deaths=4))
    assert [(each.segment, each.start_ms, each.end_ms, each.following) for each in reading.segments] == [
        (7, 4000, 6000, None)
    ]


@pytest.mark.parametrize(("position", "deaths"), [(None, 0), (Position(segment=3, start_pts=9, origin_pts=0), 7)])
def test_a_video_that_ends_every_decoder_is_unreadable(
    position: Position | None, deaths: int, make_clip: ClipMaker
) -> None:
    # Too little to load the libraries with, whatever the video is.
    watch = Watch(memory_bytes=1 << 20)
    decoder = Decoder(make_clip(), Sampling(), name="clip", position=position, deaths=deaths, watch=watch)
    with pytest.raises(InputUnreadable) as caught:
        collect(decoder)
    assert caught.value.code == "input-ends-decoder"


def test_a_video_whose_rest_cannot_be_reached_ends_there(make_clip: ClipMaker) -> None:
    clip = make_clip(frame_count=60, noise=30)
    # Two slots only, so that the child has not said everything before it dies.
    decoder = Decoder(clip, Sampling(fps=10), name="clip", segment_ms=2000, watch=Watch(ring_bytes=1))
    reading = collect(_kill_from(decoder, ms=2000))
    assert [(each.segment, each.start_ms, each.end_ms, each.skipped) for each in reading.segments] == [
        (0, 0, 2000, False), (1, 2000, 6000, True)
    ]  # fmt: skip


def test_closing_a_decoder_ends_its_child(make_clip: ClipMaker) -> None:
    decoder = Decoder(make_clip(frame_count=60), Sampling(fps=10), name="clip", watch=Watch(ring_bytes=1))
    for event in decoder:
        if isinstance(event, Frame):
            decoder.close()
            event.release()
    with pytest.raises(ProcessLookupError):
        os.kill(decoder.child_pid, 0)


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


def test_truncated_video_is_read_as_far_as_it_goes(make_clip: ClipMaker) -> None:
    path = make_clip(frame_count=60, noise=60)
    path.write_bytes(_truncated(path))
    reading = read(path)
    coverage = reading.coverage
    assert 20 < coverage.frames < 60
    assert len(reading.times) == coverage.frames
    assert 2000 < coverage.decoded_ms < 5500
    assert reading.info is not None
    assert reading.info.duration_ms == 6000
    assert not coverage.is_complete(6000)


def test_damaged_packets_are_counted_and_skipped(make_clip: ClipMaker) -> None:
    path = make_clip(frame_count=60, noise=60)
    content = bytearray(path.read_bytes())
    middle = (content.index(b"mdat") + len(content)) // 2
    length = len(content) // 10
    content[middle : middle + length] = b"\xff" * length
    path.write_bytes(content)
    reading = read(path)
    coverage = reading.coverage
    assert coverage.errors > 0
    assert coverage.first_error
    assert 45 < coverage.frames < 60
    assert reading.times[-1] == 5900, "reading goes on after the damage"
    assert not coverage.is_complete(6000)


def test_video_whose_frames_never_decode_is_unreadable(make_clip: ClipMaker) -> None:
    content = bytearray(make_clip().read_bytes())
    start = content.index(b"mdat") + 4
    content[start:] = b"\xff" * (len(content) - start)
    path = make_clip()
    path.write_bytes(content)
    with pytest.raises(InputUnreadable) as caught:
        read(path)
    assert caught.value.code == "input-undecodable"


@pytest.mark.parametrize(("limit", "code"), [("MAX_PIXELS", "input-too-large"), ("MAX_DURATION_S", "input-too-long")])
def test_video_over_a_limit_is_refused(
    limit: str, code: str, make_clip: ClipMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"analyzer.video.container.{limit}", 1)
    with pytest.raises(InputUnreadable) as caught, source.open_video(make_clip(), name="clip"):
        pass
    assert caught.value.code == code


def _digests(events: Iterable[Event]) -> tuple[list[tuple[int, int]], list[SegmentSummary]]:
    seen: list[tuple[int, int]] = []

    def look(frame: Frame) -> None:
        seen.append((frame.pts_ms, zlib.crc32(b"".join(plane.tobytes() for plane in frame.planes))))

    return seen, collect(events, look).segments


def _by_one_thread(path: Path) -> list[tuple[int, int]]:
    """Times in ms and digests of what a single thread decodes, in the order of the times."""
    frames = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for packet in container.demux(stream):
            with contextlib.suppress(av.error.FFmpegError):
                frames += stream.decode(packet)
        return sorted(
            (round(1000 * (frame.pts - stream.start_time) * stream.time_base), zlib.crc32(frame.to_ndarray().tobytes()))
            for frame in frames
        )


@pytest.mark.parametrize(
    # In the first one a keyframe is lost, and the decoder mixes two groups of pictures.
    ("name", "seed", "places"),
    [("mp4, index last", 15, 21), ("mkv", 1, 6)],
)
def test_a_damaged_video_is_what_one_thread_makes_of_it_wherever_reading_begins(
    name: str, seed: int, places: int, tmp_path: Path
) -> None:
    path = tmp_path / "clip"
    path.write_bytes(videos.scatter(videos.write(videos.CONTAINERS[name]), seed=seed, places=places))
    seen, segments = _digests(Decoder(path, Sampling(fps=60), name=name))
    assert segments[0].errors > 1
    assert seen == _by_one_thread(path)
    assert len({ms for ms, _ in seen}) == segments[0].frames
    seen, segments = _digests(Decoder(path, Sampling(fps=60), name=name, segment_ms=1000))
    start_ms = segments[0].end_ms
    decoder = Decoder(
        path, Sampling(fps=60), name=name, segment_ms=1000, position=segments[0].following, start_ms=start_ms
    )
    assert _digests(decoder) == ([each for each in seen if each[0] >= start_ms], segments[1:])


def test_damage_that_shows_when_the_decoder_is_emptied_is_for_a_careful_child(
    make_clip: ClipMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8))
    path = make_clip(noise=60)
    with av.open(str(path)) as container:
        place, size = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size][-3]
    content = bytearray(path.read_bytes())
    content[place : place + size] = b"\xff" * size
    path.write_bytes(content)
    settings = Settings(
        path=str(path),
        name="clip",
        mode="fps",
        fps=1,
        segment_ms=30_000,
        ring_bytes=1 << 20,
        memory=os.memfd_create("frames"),
        memory_limit_bytes=1 << 30,
    )
    with pytest.raises(HandOver) as caught:
        ChildReading(settings, Mock()).run()
    assert caught.value.careful
    os.close(settings.memory)
    coverage = read(path).coverage
    assert (coverage.frames, coverage.errors) == (19, 1)


def _packets(times: Iterable[int], keys: int, duration: int, *, hole: int = 0) -> Iterator[SimpleNamespace]:
    """A byte per unit of time, as much again for sound, and `hole` bytes more in the middle."""
    for index, pts in enumerate(times):
        yield SimpleNamespace(
            pts=pts,
            dts=pts,
            duration=duration,
            pos=80 * index + (index >= 50) * hole,
            size=40,
            is_keyframe=index % keys == 0,
        )


def _reordered(start: int, end: int) -> list[int]:
    """Every third picture is stored before the two that are shown before it; of the last one these are lost."""
    times = [start, *(pts + shift for pts in range(start, end, 120) for shift in (120, 40, 80))]
    return [*times[:-2], end + 120]


def test_a_pause_in_a_group_of_pictures_is_a_gap_if_the_file_has_the_bytes() -> None:
    times = (*range(0, 2000, 40), *range(5000, 7000, 40))
    for hole, count in ((4400, 0), (4600, 1)):
        finder = GapFinder(Fraction(1, 1000))
        assert sum(finder.read(each) is not None for each in _packets(times, 60, 40, hole=hole)) == count


@pytest.mark.parametrize(
    ("times", "keys", "duration", "gaps"),
    [
        ((*range(0, 2000, 40), *range(5000, 7000, 40)), 50, 40, [(2000, 5000)]),
        # Packets that do not tell how long they last.
        ((*range(0, 2000, 40), *range(5000, 7000, 40)), 50, 0, [(2000, 5000)]),
        # Those that do.
        ((*range(0, 2000, 40), *range(5000, 7000, 40)), 50, 3040, []),
        # A pause that ends in the middle of a group of pictures.
        ((*range(0, 2000, 40), *range(5000, 7000, 40)), 60, 40, []),
        # Stored in another order than shown, with a picture missing on either side.
        ((*_reordered(0, 2000), *_reordered(5000, 7000)), 51, 40, [(2160, 5000)]),
        # A rate that changes all the time; slides; one picture long after the others; hardly a gap.
        ((*[pts + pts % 7 for pts in range(0, 2000, 40)], *range(5000, 7000, 40)), 50, 40, []),
        ([5000 * index for index in range(99)], 1, 40, []),
        ((*range(0, 2000, 40), 5000), 50, 40, []),
        ((*range(0, 2000, 40), *range(2400, 4400, 40)), 50, 40, []),
    ],
)
def test_only_a_hole_between_even_pictures_is_a_gap(
    times: Iterable[int], keys: int, duration: int, gaps: list[tuple[int, int]]
) -> None:
    finder = GapFinder(Fraction(1, 1000))
    found = [gap for packet in _packets(times, keys, duration) if (gap := finder.read(packet))]
    assert [(gap.start_pts, gap.end_pts) for gap in found] == gaps
