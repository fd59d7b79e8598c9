"""Children that die or hang in the middle of a video: started again, and left behind with the segment that ends them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest

from analyzer.errors import DependencyDown, InputUnreadable
from analyzer.video import watched
from analyzer.video.decoder import Decoder, Event, Sampling
from analyzer.video.info import Position
from analyzer.video.messages import Message
from analyzer.video.planes import Frame
from analyzer.video.watched import Watch, WatchedChild
from tests.fakes import videos
from tests.unit.analyzer.readings import ClipMaker, collect, read


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


@pytest.mark.parametrize("last_word", [Message.FRAME, Message.SEGMENT])
def test_a_time_that_lies_hides_nothing_of_later_segments(
    last_word: Message, make_clip: ClipMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, children = WatchedChild.messages, []

    def lie(child: WatchedChild) -> Iterator[dict[str, Any]]:
        children.append(child)
        is_lie = False
        for message in whole(child):
            is_lie = is_lie or message.get("pts_ms") == 1900
            yield {**message, "pts_ms": 9_999_999} if message.get("pts_ms") == 1900 else message
            if len(children) == 1 and is_lie and message["message"] == last_word:
                yield {"message": Message.AGAIN, "careful": False}
                return

    monkeypatch.setattr(WatchedChild, "messages", lie)
    assert read(make_clip(frame_count=60), segment_ms=2000).times == [
        *range(0, 1900, 100),
        9_999_999,
        *range(2000, 6000, 100),
    ]
    assert len(children) == 2


def test_a_video_without_its_first_keyframe_is_read_again_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "clip"
    path.write_bytes(videos.write(replace(videos.CONTAINERS["avi"], first_keyframe=False)))
    whole = read(path, fps=24, segment_ms=900)
    assert whole.times[0] < 100
    decoder = Decoder(path, Sampling(fps=24), name="clip", segment_ms=900, watch=Watch(ring_bytes=1))
    hit: list[int] = []

    def strike(_: Frame) -> None:
        if not hit:
            hit.append(decoder.child_pid)
            os.kill(decoder.child_pid, signal.SIGKILL)

    reading = collect(decoder, strike)
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


def test_a_left_out_segment_is_told_where_nothing_behind_it_decodes(make_clip: ClipMaker) -> None:
    path = make_clip(frame_count=60)
    whole = read(path, segment_ms=2000)
    path.write_bytes(_spoiled(path, from_s=2))
    position, info = whole.segments[0].following, whole.info
    decoder = Decoder(
        path, Sampling(), name="clip", position=position, start_ms=2000, info=info, deaths=4, segment_ms=2000
    )
    segments = collect(decoder).segments
    assert [(each.segment, each.start_ms, each.frames, each.skipped) for each in segments] == [
        (1, 2000, 0, True), (2, 4000, 0, False)
    ]  # fmt: skip


def _spoiled(path: Path, *, from_s: float) -> bytes:
    """The content, with packets from then on of which nothing decodes, though they look like what they were."""
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            if packet.pts is not None and packet.pts * packet.time_base >= from_s:
                at, end = packet.pos, packet.pos + packet.size
                while at < end:
                    # Its length in four bytes and its type in one stay.
                    length = int.from_bytes(content[at : at + 4], "big")
                    content[at + 5 : at + 4 + length] = b"\xff" * (length - 1)
                    at += 4 + length
    return bytes(content)


def test_a_file_that_was_cut_off_meanwhile_still_has_a_last_segment(make_clip: ClipMaker) -> None:
    path = make_clip(frame_count=60)
    info = read(path).info
    position = Position(segment=7, start_pts=2**40, origin_pts=0)
    reading = collect(Decoder(path, Sampling(), name="clip", position=position, start_ms=4000, info=info))
    assert [(each.segment, each.following, each.reason) for each in reading.segments] == [
        (7, None, "the file ends before it")
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


def test_decoders_that_somebody_kills_are_no_fault_of_the_video(
    make_clip: ClipMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_: list[str], **options: Any) -> subprocess.Popen[bytes]:
        return subprocess_popen(["sh", "-c", "kill -KILL $$"], **options)

    subprocess_popen = subprocess.Popen
    monkeypatch.setattr(watched.subprocess, "Popen", start)
    with pytest.raises(DependencyDown) as caught:
        collect(Decoder(make_clip(), Sampling(), name="clip"))
    assert caught.value.code == "decoder-killed"


def test_a_video_whose_rest_cannot_be_reached_ends_there(make_clip: ClipMaker) -> None:
    clip = make_clip(frame_count=60, noise=30)
    # Two slots only, so that the child has not said everything before it dies.
    decoder = Decoder(clip, Sampling(fps=10), name="clip", segment_ms=2000, watch=Watch(ring_bytes=1))
    reading = collect(_kill_from(decoder, ms=2000))
    assert [(each.segment, each.start_ms, each.end_ms, each.skipped) for each in reading.segments] == [
        (0, 0, 2000, False), (1, 2000, 6000, True)
    ]  # fmt: skip


def test_a_child_that_dies_behind_the_last_segment_is_not_followed_by_another(
    make_clip: ClipMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, whole = make_clip(frame_count=60), WatchedChild.messages

    def cut_off(child: WatchedChild) -> Iterator[dict[str, Any]]:
        yield from (message for message in whole(child) if message["message"] != Message.END)
        child.ended_well = False

    expected = read(path, segment_ms=2000)
    monkeypatch.setattr(WatchedChild, "messages", cut_off)
    assert read(path, segment_ms=2000).segments == expected.segments


def test_closing_a_decoder_ends_its_child(make_clip: ClipMaker) -> None:
    decoder = Decoder(make_clip(frame_count=60), Sampling(fps=10), name="clip", watch=Watch(ring_bytes=1))
    for event in decoder:
        if isinstance(event, Frame):
            decoder.close()
            event.release()
    with pytest.raises(ProcessLookupError):
        os.kill(decoder.child_pid, 0)
