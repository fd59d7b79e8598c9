"""The end of a segment, with segments that are made by hand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analyzer.backends.base import Caption, Pixels
from analyzer.errors import Interrupted
from analyzer.interrupt import StopRequest
from analyzer.metrics import Metrics
from analyzer.pipeline.closing import Closer, Segment
from analyzer.pipeline.people import Crops, SegmentPeople
from analyzer.pipeline.scenes import Opening, SegmentScenes
from analyzer.store.base import Work
from analyzer.store.folder import FolderStore
from analyzer.store.place import LocalPlace
from analyzer.video.info import Position, SegmentSummary, VideoInfo
from tests.fakes.coloured_people import ColourCaptioner, coloured_backends

WORK = Work(session_id="s", fingerprint="f", video_url="v", request={})
INFO = VideoInfo(
    container="mp4",
    codec="h264",
    size_bytes=1,
    width=160,
    height=90,
    rotation=0,
    duration_ms=2,
    fps=1.0,
    variable_rate=False,
)


class _Deaf(ColourCaptioner):
    """Hears nothing until `told` is set, and then says all that it has to say."""

    def __init__(self) -> None:
        self.told = threading.Event()

    def caption(self, picture: Pixels, *, prompt: str, max_tokens: int, is_over: Callable[[], bool]) -> Caption:
        self.told.wait()
        return super().caption(picture, prompt=prompt, max_tokens=max_tokens, is_over=is_over)


def test_a_captioner_that_does_not_end_is_waited_for_once_and_commits_nothing_later(tmp_path: Path) -> None:
    committed: list[SegmentSummary] = []
    captioner, place = _Deaf(), LocalPlace(tmp_path)
    with closing(FolderStore(place)) as store:
        store.check()
        store.claim(WORK)
        closer = _closer(store, place, captioner=captioner, on_committed=committed.append)
        # One is being closed, one waits: there is no room to say that they are the last.
        for number in (0, 1):
            closer.submit(_segment(number))
        began_s = time.monotonic()
        closer.abandon(1)
        assert time.monotonic() - began_s < 1.8
        captioner.told.set()
        closer._thread.join(10)
    assert (closer._thread.is_alive(), committed) == (False, [])


def test_an_attempt_that_is_abandoned_in_a_commit_begins_nothing_behind_it(tmp_path: Path) -> None:
    committed, told, place = threading.Event(), threading.Event(), LocalPlace(tmp_path)

    def on_committed(_: SegmentSummary) -> None:
        committed.set()
        told.wait(10)

    with closing(FolderStore(place)) as store:
        store.claim(WORK)
        store.begin(0)
        closer = _closer(store, place, on_committed=on_committed)
        closer.submit(_segment(0))
        assert committed.wait(10)
        closer.abandon(0)
        store.give_up({"status": "interrupted"})
        told.set()
        closer._thread.join(10)
    with closing(FolderStore(place)) as store:
        assert store.claim(WORK).next_segment == 1
        assert store.begin(1) == 0


@pytest.mark.parametrize("segments", [1, 3])
def test_whoever_waits_for_a_caption_can_be_stopped(segments: int, tmp_path: Path) -> None:
    captioner, place, stop = _Deaf(), LocalPlace(tmp_path), StopRequest()
    with closing(FolderStore(place)) as store:
        store.claim(WORK)
        closer = _closer(store, place, captioner=captioner, waiting=stop.check)
        stop.request("somebody")
        # With three, there is no room even for the last one.
        with pytest.raises(Interrupted):
            _close_all(closer, segments)
        closer.abandon(0)
        captioner.told.set()
        closer._thread.join(10)


def _closer(
    store: FolderStore,
    place: LocalPlace,
    *,
    captioner: ColourCaptioner | None = None,
    on_committed: Callable[[SegmentSummary], object] = lambda _: None,
    waiting: Callable[[], None] = lambda: None,
) -> Closer:
    return Closer(
        store,
        replace(coloured_backends(), captioner=captioner or ColourCaptioner()),
        place.put,
        prompt="Colour",
        state=None,
        on_committed=lambda summary: on_committed(summary) and None,
        metrics=Metrics(),
        waiting=waiting,
    )


def _close_all(closer: Closer, segments: int) -> None:
    for number in range(segments):
        closer.submit(_segment(number))
    closer.finish()


def _segment(number: int) -> Segment:
    following = Position(segment=number + 1, start_pts=number + 1, origin_pts=0)
    summary = SegmentSummary(
        segment=number,
        start_ms=number,
        end_ms=number + 1,
        frames=1,
        sampled_frames=1,
        errors=0,
        first_error="",
        decoded_ms=number + 1,
        following=following,
    )
    picture = np.zeros((90, 160, 3), np.uint8)
    return Segment(
        info=INFO,
        summary=summary,
        people=SegmentPeople(detections=(), ended=(), crops=Crops(kept={}, numbers={}), snapshot={}),
        scenes=SegmentScenes(opened=[Opening(scene=number + 1, frame_ms=0, picture=picture)], closed=(), snapshot={}),
        cuts={},
    )
