"""Frames on their way to the detector: batched, detected ahead of who asks, given out in order."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from analyzer.backends.base import Detection, Detector, Pixels
from analyzer.contract import SampleMode
from analyzer.metrics import Metrics
from analyzer.scene import CutDetector
from analyzer.video.decoder import Decoder, Opened
from analyzer.video.info import SegmentSummary
from analyzer.video.planes import Frame

BATCH_FRAMES = 8
# While one batch is in the detector, the next is made ready.
DETECTING = 2
# In scene mode a frame is looked at where a scene begins, and then this often.
SCENE_EVERY_MS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One frame with its reduced picture and what the detector found there, in pixels of the whole frame.

    `is_cut`: a new scene begins with it.
    """

    frame: Frame
    picture: Pixels
    is_cut: bool
    detections: Sequence[Detection]


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentEnd:
    """All frames of a segment were given out; `cuts` is the state from which the search for cuts goes on."""

    summary: SegmentSummary
    cuts: Mapping[str, Any]


class Feed:
    """Iterate once: `Opened`, then `Seen` and `SegmentEnd` in the order of the video. `close` ends the decoder and the threads.

    Raises while iterating: what the decoder or the detector raised.
    """

    def __init__(
        self, decoder: Decoder, detector: Detector, cuts: CutDetector, mode: SampleMode, metrics: Metrics
    ) -> None:
        self._decoder, self._detector, self._cuts, self._mode = decoder, detector, cuts, mode
        self._metrics = metrics
        self._queue: queue.Queue[Any] = queue.Queue(DETECTING)
        self._pool = ThreadPoolExecutor(DETECTING, thread_name_prefix="detect")
        self._frames: list[Frame] = []
        self._batch_frames = 1
        self._looked_ms: int | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._read, name="feed", daemon=True)

    def __iter__(self) -> Iterator[Opened | Seen | SegmentEnd]:
        self._thread.start()
        while True:
            item = self._queue.get()
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            if isinstance(item, Future):
                yield from item.result()
            else:
                yield item

    def close(self) -> None:
        """End everything, whatever is on its way; safe at any time."""
        self._closed.set()
        self._decoder.close()
        with suppress(queue.Empty):
            while True:
                self._queue.get_nowait()
        if self._thread.is_alive():
            self._thread.join()
        self._pool.shutdown(cancel_futures=True)

    def _read(self) -> None:
        try:
            for event in self._decoder:
                if isinstance(event, Frame):
                    self._add(event)
                    continue
                self._flush()
                if isinstance(event, Opened):
                    # A third of the memory for each batch in the detector, and one for the batch that is made.
                    self._batch_frames = max(1, min(BATCH_FRAMES, event.slots // (DETECTING + 1)))
                    self._put(event)
                else:
                    self._metrics.decoded(event.frames, event.errors)
                    # Whether an attempt begins here or goes on: the next segment begins with a look.
                    self._looked_ms = None
                    self._put(SegmentEnd(summary=event, cuts=self._cuts.snapshot()))
            self._put(None)
        # Whatever ends this thread has to reach the one that waits for it.
        except BaseException as error:
            self._put(error)

    def _add(self, frame: Frame) -> None:
        # Looked at a batch at once: each look takes a core from the decoder, whose threads soon wait for the one that had it.
        self._frames.append(frame)
        if len(self._frames) >= self._batch_frames:
            self._flush()

    def _flush(self) -> None:
        frames, self._frames = self._frames, []
        batch = [seen for frame in frames if (seen := self._look(frame))]
        if batch:
            self._metrics.batch(len(batch), self._batch_frames)
            self._metrics.queued("detector", self._decoder.held_bytes)
            self._put(self._pool.submit(self._detect, batch))

    def _look(self, frame: Frame) -> tuple[Frame, Pixels, bool] | None:
        """With its picture, and whether a scene begins there; None where the detector need not see it."""
        picture = frame.picture(self._detector.side_px)
        is_cut = self._cuts.add(picture)
        due = self._looked_ms is None or frame.pts_ms - self._looked_ms >= SCENE_EVERY_MS
        if self._mode is SampleMode.SCENE and not is_cut and not due:
            frame.release()
            return None
        self._looked_ms = frame.pts_ms
        return frame, picture, is_cut

    def _put(self, item: Any) -> None:
        while not self._closed.is_set():
            with suppress(queue.Full):
                self._queue.put(item, timeout=1)
                return

    def _detect(self, batch: Sequence[tuple[Frame, Pixels, bool]]) -> list[Seen]:
        with self._metrics.model("detector", len(batch)):
            found = self._detector.detect([picture for _, picture, _ in batch])
        return [
            Seen(frame=frame, picture=picture, is_cut=is_cut, detections=_enlarge(detections, frame, picture))
            for (frame, picture, is_cut), detections in zip(batch, found, strict=True)
        ]


def _enlarge(detections: Sequence[Detection], frame: Frame, picture: Pixels) -> list[Detection]:
    ratio = frame.width / picture.shape[1]
    return [
        Detection(
            label=each.label,
            box=each.box.scale(ratio).clip(frame.width, frame.height),
            score=each.score,
            source=each.source,
        )
        for each in detections
    ]
