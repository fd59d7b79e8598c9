"""The end of a segment: the models are asked about its best pictures, and everything about it is committed at once."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from analyzer.backends.base import Backends
from analyzer.contract import Table
from analyzer.coverage import Coverage
from analyzer.crops import thumbnail
from analyzer.metrics import Metrics
from analyzer.pipeline.humans import Humans, PutPicture, vector_of
from analyzer.pipeline.people import Crops, SegmentPeople
from analyzer.pipeline.scenes import SegmentScenes
from analyzer.store.base import Row, SegmentRows, Store
from analyzer.video.info import SegmentSummary, VideoInfo

# While one segment is closed, the next may wait; what lies behind that is not begun.
WAITING = 1
# Whoever waits for captions looks so often whether anything else is wanted.
LOOK_EVERY_S = 0.5
CAPTION_TOKENS = 128
CAPTION_S = 60.0
CAPTIONER_GIVEN_UP = "captioner-given-up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """All that the frames of one segment gave."""

    info: VideoInfo
    summary: SegmentSummary
    people: SegmentPeople
    scenes: SegmentScenes
    cuts: Mapping[str, Any]


class _OutOfTime(Exception):
    """The time that `abandon` gives is over; what is not committed by then is left to the next attempt."""


class Closer:
    """Closes segments in their order, in a thread of its own, while the next ones are being watched.

    `state` is its part of a checkpoint. `on_committed` is called with each summary after its commit, `waiting` every half second by whoever
    waits in `submit` or `finish`, who raises what it raises. `notes` are sentences, by a code, on what of the result is poorer than the
    models promise.
    """

    def __init__(
        self,
        store: Store,
        backends: Backends,
        put_picture: PutPicture,
        *,
        prompt: str,
        state: Mapping[str, Any] | None,
        on_committed: Callable[[SegmentSummary], None],
        metrics: Metrics,
        waiting: Callable[[], None] = lambda: None,
    ) -> None:
        self._metrics, self._waiting = metrics, waiting
        self._store, self._backends, self._put_picture, self._prompt = store, backends, put_picture, prompt
        self._on_committed = on_committed
        self.coverage = Coverage.restore(state["coverage"]) if state else Coverage()
        self.notes: dict[str, str] = dict(state["notes"]) if state else {}
        self._humans = Humans(backends, put_picture, state["humans"] if state else None, metrics)
        # What was made of each scene that is still open.
        self._scenes: dict[int, dict[str, Any]] = {
            int(k): dict(v) for k, v in (state["scenes"] if state else {}).items()
        }
        self._queue: queue.Queue[Segment | Crops | None] = queue.Queue(WAITING)
        self._failure: BaseException | None = None
        # By `time.monotonic`: no commit begins after that.
        self._until_s = math.inf
        self._thread = threading.Thread(target=self._run, name="closer", daemon=True)
        self._thread.start()

    def submit(self, item: Segment | Crops) -> None:
        """Hand over a segment, or crops of the one that goes on; waits while one is waiting. Raises: what closing an earlier one raised."""
        self._put(item)

    def finish(self) -> None:
        """Wait until all are committed. Raises: what closing one of them raised."""
        self._put(None)
        while self._thread.is_alive():
            self._waiting()
            self._thread.join(LOOK_EVERY_S)
        if self._failure:
            raise self._failure

    def abandon(self, wait_s: float) -> None:
        """Commit what was handed over, as far as that takes no longer than `wait_s`; never raises.

        A segment with a caption that does not end by then is not committed: cut short, it would not be the one that an attempt without
        a break has.
        """
        self._until_s = time.monotonic() + wait_s
        if self._thread.is_alive():
            with suppress(queue.Full):
                self._queue.put(None, timeout=wait_s)
        self._thread.join(max(0.0, self._until_s - time.monotonic()))

    def _put(self, item: Segment | Crops | None) -> None:
        while True:
            if self._failure:
                raise self._failure
            with suppress(queue.Full):
                # In short waits, so that a failure behind a full queue shows.
                self._queue.put(item, timeout=LOOK_EVERY_S)
                return
            self._waiting()

    def _run(self) -> None:
        try:
            while (item := self._queue.get()) is not None:
                with self._metrics.stage("closer"):
                    if isinstance(item, Crops):
                        self._humans.look(item)
                    else:
                        self._close(item)
        # Whatever ends this thread has to reach the one that hands segments over.
        except BaseException as error:
            self._failure = error

    def _close(self, segment: Segment) -> None:
        summary = segment.summary
        self.coverage.add(summary)
        self._humans.look(segment.people.crops)
        for opening in segment.scenes.opened:
            self._scenes[opening.scene] = self._describe(opening.scene, opening.frame_ms, opening.picture)
        tracks, vectors = [], []
        for track, of_track in self._humans.leave(segment.people.ended):
            tracks.append(track)
            vectors += of_track
        scenes = []
        for span in segment.scenes.closed:
            known = self._scenes.pop(span.scene)
            vectors.append({**known.pop("vector"), "ref": span.scene})
            scenes.append({"scene": span.scene, "start_ms": span.start_ms, "end_ms": span.end_ms, **known})
        if time.monotonic() >= self._until_s:
            raise _OutOfTime
        following = summary.following
        rows = {
            Table.SEGMENTS: [_segment_row(summary)],
            Table.TRACKS: tracks,
            Table.SCENES: scenes,
            Table.DETECTIONS: segment.people.detections,
            Table.EMBEDDINGS: vectors,
        }
        self._store.commit(
            SegmentRows(
                segment=summary.segment,
                rows={table: [{"segment": summary.segment, **row} for row in each] for table, each in rows.items()},
                checkpoint={
                    "video": asdict(segment.info),
                    "position": asdict(following) if following else None,
                    "start_ms": summary.end_ms,
                    "people": segment.people.snapshot,
                    "open_scene": segment.scenes.snapshot,
                    "cuts": segment.cuts,
                    "humans": self._humans.snapshot(),
                    "scenes": {str(key): value for key, value in self._scenes.items()},
                    "coverage": self.coverage.document(),
                    "notes": self.notes,
                },
            )
        )
        self._on_committed(summary)
        # Of an attempt that is abandoned nobody works on it; told behind `give_up`, it would count as what the attempt died in.
        if following and self._until_s == math.inf:
            self._store.begin(following.segment)

    def _describe(self, scene: int, frame_ms: int, picture: Any) -> dict[str, Any]:
        self._put_picture(scene_thumbnail_name(scene), thumbnail(picture))
        embedder = self._backends.embedder
        caption = None
        if self._backends.captioner:
            end_s = time.monotonic() + CAPTION_S
            with self._metrics.caption():
                caption = self._backends.captioner.caption(
                    picture,
                    prompt=self._prompt,
                    max_tokens=CAPTION_TOKENS,
                    is_over=lambda: time.monotonic() >= min(end_s, self._until_s),
                )
            if caption is None:
                why = f"From scene {scene} on there are no captions: the other models lacked memory, and the captioner was given up"
                self.notes.setdefault(CAPTIONER_GIVEN_UP, why)
        with self._metrics.model("embedder", 1):
            vector = embedder.embed([picture])[0]
        return {
            "frame_ms": frame_ms,
            "caption": caption.text if caption else None,
            "caption_finished": caption.finished if caption else None,
            "vector": {
                "space": embedder.space,
                "kind": "scene",
                "pts_ms": frame_ms,
                "dimension": embedder.dimension,
                "v": vector_of(vector),
            },
        }


def scene_thumbnail_name(scene: int) -> str:
    """Path below the result's folder."""
    return f"thumbnails/scene-{scene:04d}.jpg"


def _segment_row(summary: SegmentSummary) -> Row:
    return {
        "start_ms": summary.start_ms,
        "end_ms": summary.end_ms,
        "state": "skipped" if summary.skipped else "done",
        "frames": summary.frames,
        "sampled_frames": summary.sampled_frames,
        "errors": summary.errors,
    }
