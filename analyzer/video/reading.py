"""From packets to sampled pictures, segment by segment; runs in the decoding child only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from analyzer.contract import SampleMode
from analyzer.sample import RateSampler
from analyzer.video import container as source
from analyzer.video import demux, shown
from analyzer.video.approach import Approach
from analyzer.video.clock import BACKWARD_S, steady, time_of
from analyzer.video.gaps import GapFinder
from analyzer.video.info import Position, SegmentSummary, VideoInfo
from analyzer.video.layout import Layout, Plane
from analyzer.video.messages import Message, Settings
from analyzer.video.order import DEPTH, Order
from analyzer.video.ring import Ring, Teller
from analyzer.video.segmenter import Segmenter

THREADS_MAX = 16
CORRUPT = "the decoder marked a frame as corrupt"
# Damage is told at the packet that has it, before any picture that suffers; otherwise it is concealed with what the other threads have
# ready by then.
_STRICT = {"err_detect": "explode"}
_PLANAR = {"yuv420p": False, "yuvj420p": True}
_FULL_RANGE = 2


class HandOver(Exception):
    """What follows is for another child, a `careful` one or not."""

    def __init__(self, *, careful: bool) -> None:
        super().__init__()
        self.careful = careful


class Reading:
    """One pass over the file, from the asked place to its end, or to where another child has to go on.

    What is told depends on the file and the place alone: not on the number of threads, nor on their timing.
    """

    def __init__(self, settings: Settings, teller: Teller) -> None:
        self._settings, self._teller = settings, teller
        self._position = Position(**settings.position) if settings.position else None
        self._approach: Approach | None = None
        self._sampler = RateSampler(settings.fps)
        self._keyframes_only = settings.mode == SampleMode.KEYFRAME
        # None until a frame tells how large pictures are.
        self._ring: Ring | None = None
        # None until the asked place is reached: what comes before it is decoded only so that what follows can be.
        self._segmenter: Segmenter | None = None
        self._has_begun = False
        # Whether a frame came out that is of the asked place or later.
        self._is_there = self._position is None
        self._careful = settings.careful
        self._order = Order(DEPTH if settings.careful else 0)
        # Packets that went into the decoder and have not come out as frames.
        self._owed = 0
        self._frames = 0
        self._first_error = ""
        self._is_damaged = False

    def run(self) -> None:
        """Raises: HandOver; InputUnreadable, when nothing at all decodes, or a frame is larger than the limit."""
        with source.open_video(Path(self._settings.path), name=self._settings.name) as self._head:
            stream = self._head.stream
            self._set_up(stream.codec_context)
            self._time_base = Fraction(stream.time_base)
            if self._position:
                length = Fraction(self._settings.segment_ms, 1000) / self._time_base
                self._position = self._position.past(length) if self._settings.skip_segment else self._position
                self._approach = Approach(self._position, self._teller.beat)
            rate = stream.average_rate or stream.guessed_rate
            self._frame_duration = 1 / (Fraction(rate) * self._time_base) if rate else Fraction(0)
            self._origin_pts = self._position.origin_pts if self._position else stream.start_time
            packets = demux.packets(self._head.container, stream, Path(self._settings.path), self._lost)
            clock = self._time_base, self._frame_duration, self._end_pts()
            watched = self._watched(shown.soon(steady(packets, *clock), *clock))
            for packet in self._approach.packets(watched, self._begin) if self._approach else watched:
                self._read(stream, packet)
                self._teller.beat()
            # What is still in the decoder after the demuxer lost its place comes out here.
            self._decode(stream, None)
            if self._owed and not self._careful:
                # PyAV keeps silent of an error behind a frame, and what comes after it is lost.
                raise HandOver(careful=True)
            for raw in self._order.rest():
                self._take(raw)
        if self._position is None and not self._frames:
            raise source.nothing_decodes(self._settings.name, self._first_error)
        for summary in self._segmenter.finish() if self._segmenter else ():
            self._tell(summary)

    def _end_pts(self) -> Fraction | None:
        """Where the container says that the video ends."""
        if self._head.duration_ms is None or self._origin_pts is None:
            return None
        return self._origin_pts + Fraction(self._head.duration_ms, 1000) / self._time_base

    def _set_up(self, context: Any) -> None:
        context.thread_count = 1 if self._careful else min(THREADS_MAX, len(os.sched_getaffinity(0)))
        if not self._careful:
            context.options = {**context.options, **_STRICT}

    def _lost(self, error: str | None) -> None:
        if error:
            self._count(error)
        self._teller.beat()

    def _watched(self, packets: Iterator[Any]) -> Iterator[Any]:
        """The packets; where some are missing is noted in the segment that is being read."""
        finder = GapFinder(self._time_base)
        for packet in packets:
            gap = finder.read(packet)
            if gap and self._segmenter:
                self._segmenter.gap(gap.start_pts, gap.end_pts)
            yield packet

    def _begin(self, position: Position) -> None:
        self._keyframe_pts = position.keyframe_pts
        self._segmenter = Segmenter(position, self._time_base, self._settings.segment_ms)
        self._begun = {"position": asdict(position), "start_ms": self._segmenter.start_ms}
        self._expected_pts = Fraction(position.start_pts)

    def _read(self, stream: Any, packet: Any) -> None:
        pts = time_of(packet)
        if self._segmenter is None and self._position is None and pts is not None:
            origin_pts = self._origin_pts
            # The container may take its start from a packet whose time lies.
            if origin_pts is None or (not packet.is_discard and origin_pts - pts > BACKWARD_S / self._time_base):
                origin_pts = pts
            self._begin(Position(segment=0, start_pts=origin_pts, origin_pts=origin_pts))
        if self._segmenter and pts is not None:
            if packet.is_keyframe:
                self._segmenter.keyframe(pts)
            elif pts >= self._segmenter.latest_pts and not self._keyframes_only:
                self._segmenter.between_keyframes(pts)
        if self._keyframes_only and packet.size and not packet.is_keyframe:
            if self._segmenter and pts is not None:
                self._segmenter.read_to(pts + Fraction(packet.duration or 0))
            return
        self._decode(stream, packet)

    def _decode(self, stream: Any, packet: Any) -> None:
        errors: list[str] = []
        self._owed += packet is not None and packet.size > 0 and not packet.is_discard
        for raw in source.pictures(stream, packet, errors):
            self._owed -= 1
            for earliest in self._order.put(raw):
                self._take(earliest)
        for error in errors:
            self._meet_damage()
            # Its packet gives no frame, and is not missed.
            self._owed -= 1
            self._count(error)

    def _take(self, raw: Any) -> None:
        ring = self._ring = self._ring or self._open(raw)
        time = raw.dts if raw.pts is None else raw.pts
        if raw.is_corrupt and (self._position is None or time is None or time >= self._position.keyframe_pts):
            self._meet_damage()
        if self._segmenter is None:
            if time is not None and self._origin_pts is not None:
                self._sampler.takes((time - self._origin_pts) * self._time_base)
            return
        self._tell_begun()
        pts = self._expected_pts if time is None else Fraction(time)
        pts_s = max(Fraction(0), (pts - self._segmenter.origin_pts) * self._time_base)
        is_taken = self._sampler.takes(pts_s)
        # Behind the first of them, one whose time lies belongs where it comes out, as it does without a break.
        self._is_there = self._is_there or pts >= self._segmenter.first_pts
        if not self._is_there:
            return
        self._expected_pts = pts + (raw.duration or self._frame_duration)
        self._frames += 1
        for summary in self._segmenter.frame(pts, self._expected_pts):
            self._tell(summary)
        # A damaged frame is mostly a whole picture with a few wrong blocks, so people are still found in it.
        if raw.is_corrupt:
            self._first_error = self._first_error or CORRUPT
            self._segmenter.damaged(CORRUPT)
        if is_taken:
            source.limit_pixels(raw.width, raw.height, self._settings.name)
            self._segmenter.sampled()
            slot, planes = ring.take()
            matrix, full_range = _write(raw, planes, source.clockwise(raw) // 90)
            self._teller.tell(
                Message.FRAME,
                slot=slot,
                segment=self._segmenter.segment,
                pts_ms=round(1000 * pts_s),
                matrix=matrix,
                full_range=full_range,
            )

    def _open(self, raw: Any) -> Ring:
        known = self._settings.info
        info = VideoInfo(**known) if known else self._head.describe(raw)
        layout = Layout(info.width, info.height)
        ring = Ring(self._settings.memory, layout, self._settings.ring_bytes, on_wait=self._teller.flush)
        self._teller.tell(Message.OPENED, info=asdict(info), slots=ring.slots, slot_bytes=ring.slot_bytes)
        return ring

    def _meet_damage(self) -> None:
        """Raises: HandOver, in a child that is not careful; what lies before the keyframe of the asked place does not matter."""
        if not self._approach or self._approach.matters:
            if not self._careful:
                raise HandOver(careful=True)
            self._is_damaged = True

    def _count(self, error: str) -> None:
        self._first_error = self._first_error or error
        if self._segmenter:
            self._segmenter.error(error)

    def _tell_begun(self) -> None:
        if not self._has_begun:
            self._has_begun = True
            self._teller.tell(Message.BEGUN, **self._begun)

    def _tell(self, summary: SegmentSummary) -> None:
        # Also where no frame came out: what lies before has to be told as left out.
        self._tell_begun()
        self._teller.tell(Message.SEGMENT, summary=asdict(summary))
        following = summary.following
        # Where nothing was damaged, the other child was wrong about this file, and would be again; and where the next segment is decoded
        # from the same keyframe as this one, it would meet the same damage.
        if self._is_damaged and following and following.decode_pts != self._keyframe_pts:
            raise HandOver(careful=False)


def _write(raw: Any, planes: tuple[Plane, Plane, Plane], quarter_turns: int) -> tuple[int, bool]:
    """Put the upright picture into `planes`; returns the number of its colour matrix and whether its luma has the full range."""
    height, width = planes[0].shape
    stored = (height, width) if quarter_turns % 2 else (width, height)
    matrix = int(raw.colorspace)
    if raw.format.name not in _PLANAR or (raw.width, raw.height) != stored:
        raw = raw.reformat(width=stored[0], height=stored[1], format="yuv420p")
    for plane, target in zip(raw.planes, planes, strict=True):
        rows, columns = target.shape[::-1] if quarter_turns % 2 else target.shape
        pixels = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:rows, :columns]
        target[:] = np.rot90(pixels, -quarter_turns) if quarter_turns else pixels
    return matrix, _PLANAR[raw.format.name] or int(raw.color_range) == _FULL_RANGE
