"""One pass over a video, from where the last attempt's commits end to the end of the video."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2

from analyzer.backends.base import Backends
from analyzer.contract import SampleMode
from analyzer.coverage import Coverage
from analyzer.errors import Interrupted
from analyzer.memory import keep_freed_pictures
from analyzer.metrics import Metrics
from analyzer.pipeline.closing import Closer, Segment
from analyzer.pipeline.feed import Feed, SegmentEnd
from analyzer.pipeline.humans import PutPicture
from analyzer.pipeline.people import People
from analyzer.pipeline.scenes import Scenes
from analyzer.scene import CutDetector
from analyzer.store.base import Claim, Store
from analyzer.video.decoder import SEGMENT_MS, Decoder, Opened, Sampling
from analyzer.video.info import Position, SegmentSummary, VideoInfo
from analyzer.video.watched import Watch

# In scene mode, cuts are looked for this often.
PROBE_FPS = 5.0
# A stop signal leaves ten seconds; what was seen of finished segments is committed within this part of them.
ABANDON_S = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysed:
    """What the video is, and how much of it was seen by all attempts together; `notes` are those of `closing.Closer`."""

    info: VideoInfo
    coverage: Coverage
    notes: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is to be looked at, and how; `name` is what messages call the video."""

    path: Path
    name: str
    mode: SampleMode
    fps: float
    prompt: str
    watch: Watch = field(default_factory=Watch)
    segment_ms: int = SEGMENT_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Who wants to know how far the work is: of the file's head, of each frame, and of each commit, and where it is measured.

    What `opened`, `frame` or `waiting` raises ends the work, as a signal does: they are called in the thread that runs it, `waiting` every
    half second in which that waits for segments to be closed. `stopping` is called where `Interrupted` ends it, before what is finished is
    committed.
    """

    opened: Callable[[VideoInfo], None]
    frame: Callable[[int], None]
    committed: Callable[[SegmentSummary], None]
    metrics: Metrics = field(default_factory=Metrics)
    stopping: Callable[[], None] = lambda: None
    waiting: Callable[[], None] = lambda: None


def analyse(
    task: Task, backends: Backends, store: Store, put_picture: PutPicture, claim: Claim, listener: Listener
) -> Analysed:
    """Analyse what no earlier attempt has committed; every segment is committed as it ends.

    Raises: InputUnreadable, when nothing decodes; whatever the store or a model raises. What was committed until then stays.
    """
    state = claim.checkpoint
    if state and state["position"] is None:
        # The last attempt committed everything and did not come to say so.
        return Analysed(
            info=VideoInfo(**state["video"]), coverage=Coverage.restore(state["coverage"]), notes=state["notes"]
        )
    keep_freed_pictures()
    # Stages, and the pictures of a batch, are worked on side by side: more threads inside a call only take the cores from each other.
    cv2.setNumThreads(1)
    info = VideoInfo(**state["video"]) if state else None
    decoder = Decoder(
        task.path,
        _sampling(task),
        name=task.name,
        position=Position(**state["position"]) if state else None,
        start_ms=state["start_ms"] if state else 0,
        info=info,
        deaths=store.begin(claim.next_segment),
        watch=task.watch,
        segment_ms=task.segment_ms,
    )
    cuts = CutDetector.restore(state["cuts"]) if state else CutDetector()
    people = People(backends.detector.confidence, state["people"] if state else None)
    scenes = Scenes(state["open_scene"] if state else None)
    metrics = listener.metrics
    closer = Closer(
        store,
        backends,
        put_picture,
        prompt=task.prompt,
        state=state,
        on_committed=listener.committed,
        metrics=metrics,
        waiting=listener.waiting,
    )
    feed = Feed(decoder, backends.detector, cuts, task.mode, metrics)
    try:
        for item in feed:
            if isinstance(item, Opened):
                info = item.info
                listener.opened(info)
            elif isinstance(item, SegmentEnd):
                assert info is not None
                is_last = item.summary.following is None
                closer.submit(
                    Segment(
                        info=info,
                        summary=item.summary,
                        people=people.end_segment(is_last=is_last),
                        scenes=scenes.end_segment(last_ms=item.summary.end_ms if is_last else None),
                        cuts=item.cuts,
                    )
                )
            else:
                with metrics.stage("people"):
                    people.add(item)
                    scenes.add(item)
                item.frame.release()
                if gone := people.take_gone():
                    closer.submit(gone)
                listener.frame(item.frame.pts_ms)
        closer.finish()
    except BaseException as error:
        if isinstance(error, Interrupted):
            listener.stopping()
        # First what takes the processor, then what is worth waiting for.
        feed.close()
        closer.abandon(ABANDON_S)
        raise
    feed.close()
    assert info is not None
    return Analysed(info=info, coverage=closer.coverage, notes=closer.notes)


def _sampling(task: Task) -> Sampling:
    if task.mode is SampleMode.SCENE:
        return Sampling(mode=SampleMode.FPS, fps=PROBE_FPS)
    return Sampling(mode=task.mode, fps=task.fps)
