"""Videos that are cut off or damaged: what can be read of them, the same each time, and what is missing."""

from __future__ import annotations

import contextlib
import os
import sys
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from unittest.mock import Mock

import av
import pytest

from analyzer.errors import InputUnreadable
from analyzer.video.decoder import Decoder, Event, Sampling
from analyzer.video.info import Position, SegmentSummary
from analyzer.video.messages import Message, Settings
from analyzer.video.planes import Frame
from analyzer.video.reading import HandOver
from analyzer.video.reading import Reading as ChildReading
from tests.fakes import videos
from tests.fakes.videos import Recipe
from tests.unit.analyzer.readings import ClipMaker, collect, read


def _truncated(path: Path) -> bytes:
    content = path.read_bytes()
    return content[: len(content) * 6 // 10]


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


def _spoil(path: Path, index: int) -> None:
    """Overwrite one packet, the `index`th in the order of the file, but for its length and kind."""
    with av.open(str(path)) as container:
        place, size = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size][index]
    content = bytearray(path.read_bytes())
    content[place + 5 : place + size] = b"\xff" * (size - 5)
    path.write_bytes(content)


@contextlib.contextmanager
def _child(
    path: Path, monkeypatch: pytest.MonkeyPatch, teller: Mock, position: Position | None = None
) -> Iterator[ChildReading]:
    """What a child does that decodes with several threads."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8))
    settings = Settings(
        path=str(path),
        name="clip",
        mode="fps",
        fps=1,
        segment_ms=30_000,
        ring_bytes=1 << 20,
        memory=os.memfd_create("frames"),
        memory_limit_bytes=1 << 30,
        position=asdict(position) if position else None,
    )
    # What the parent gives back comes from standard input; here it gives nothing back.
    read_end, write_end = os.pipe()
    with os.fdopen(read_end) as stdin, os.fdopen(write_end, "w"):
        monkeypatch.setattr(sys, "stdin", stdin)
        yield ChildReading(settings, teller)
    os.close(settings.memory)


def test_damage_that_shows_when_the_decoder_is_emptied_is_for_a_careful_child(
    make_clip: ClipMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_clip(noise=60)
    _spoil(path, -3)
    with _child(path, monkeypatch, Mock()) as child, pytest.raises(HandOver) as caught:
        child.run()
    assert caught.value.careful
    coverage = read(path).coverage
    assert (coverage.frames, coverage.errors) == (19, 1)


@pytest.mark.parametrize(
    ("gop", "damaged", "matters"),
    # The place is the 48th picture, and the errors of several threads show some pictures later. With one keyframe, between that and the
    # place; with more of them, before that at the place.
    [(999, 10, True), (24, 26, False)],
)
def test_damage_between_the_keyframe_and_the_asked_place_matters_and_earlier_damage_does_not(
    gop: int, damaged: int, matters: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "clip"
    options = {"preset": "ultrafast", "g": str(gop)}
    path.write_bytes(videos.write(Recipe(container="mp4", frames=72, options=options)))
    _spoil(path, damaged)
    position = Position(segment=1, start_pts=48 * 512, origin_pts=0, decode_pts=0 if matters else None)
    teller = Mock()
    with _child(path, monkeypatch, teller, position) as child:
        if matters:
            with pytest.raises(HandOver):
                child.run()
        else:
            child.run()
    assert [call.args[0] for call in teller.tell.call_args_list] == [
        Message.OPENED,
        *([] if matters else [Message.BEGUN, Message.FRAME, Message.SEGMENT]),
    ]
