"""Batches, with a decoder that has room for few frames."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import cast

import numpy as np
import pytest

from analyzer.backends.base import Detection, Pixels
from analyzer.backends.null import NullDetector
from analyzer.contract import SampleMode
from analyzer.metrics import Metrics
from analyzer.pipeline.feed import BATCH_FRAMES, Feed
from analyzer.scene import CutDetector
from analyzer.video.decoder import Decoder, Event, Opened
from analyzer.video.info import SegmentSummary, VideoInfo
from tests.fakes.frames import frame_of

INFO = VideoInfo(
    container="mp4",
    codec="h264",
    size_bytes=1,
    width=60,
    height=40,
    rotation=0,
    duration_ms=None,
    fps=None,
    variable_rate=False,
)
PICTURE = np.full((40, 60, 3), 90, np.uint8)
FRAMES = 4 * BATCH_FRAMES


class _Small:
    """Gives the next frame once one of `slots` is free, as the ring of a decoder does; says so when none ever comes."""

    held_bytes = 0

    def __init__(self, slots: int) -> None:
        self._slots, self._free = slots, threading.Semaphore(slots)

    def __iter__(self) -> Iterator[Event]:
        yield Opened(info=INFO, slots=self._slots)
        for number in range(FRAMES):
            if not self._free.acquire(timeout=2):
                raise AssertionError("everybody waits for everybody")
            frame = frame_of(PICTURE, number)
            frame.release = self._free.release
            yield frame
        yield SegmentSummary(
            segment=0,
            start_ms=0,
            end_ms=FRAMES,
            frames=FRAMES,
            sampled_frames=FRAMES,
            errors=0,
            first_error="",
            decoded_ms=FRAMES,
            following=None,
        )

    def close(self) -> None:
        """Nothing runs."""


class _Counting(NullDetector):
    def __init__(self) -> None:
        self.batches: list[int] = []

    def detect(self, pictures: list[Pixels]) -> list[list[Detection]]:
        self.batches.append(len(pictures))
        return super().detect(pictures)


@pytest.mark.parametrize(("slots", "batch"), [(2, 1), (7, 2), (100, BATCH_FRAMES)])
def test_batches_are_as_large_as_the_memory_of_frames_allows(slots: int, batch: int) -> None:
    detector = _Counting()
    feed = Feed(cast(Decoder, _Small(slots)), detector, CutDetector(), SampleMode.FPS, Metrics())
    times = []
    try:
        for item in feed:
            if frame := getattr(item, "frame", None):
                times.append(frame.pts_ms)
                frame.release()
    finally:
        feed.close()
    assert times == list(range(FRAMES))
    assert detector.batches == [batch] * (FRAMES // batch)
