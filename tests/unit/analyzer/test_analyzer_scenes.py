"""Where scenes begin and end without a cut."""

from __future__ import annotations

from typing import Any

import numpy as np

from analyzer.pipeline.feed import Seen
from analyzer.pipeline.scenes import Scenes
from tests.fakes.frames import frame_of

PICTURE = np.full((40, 60, 3), 90, np.uint8)


def watch(snapshot: dict[str, Any] | None, times_ms: list[int], *, last_ms: int | None = None) -> Any:
    scenes = Scenes(snapshot)
    for pts_ms in times_ms:
        scenes.add(Seen(frame=frame_of(PICTURE, pts_ms), picture=PICTURE, is_cut=False, detections=()))
    return scenes.end_segment(last_ms=last_ms)


def test_a_camera_that_never_cuts_has_a_scene_every_two_minutes_also_across_segments() -> None:
    first = watch(None, [500, 60_000, 120_000])
    assert ([each.scene for each in first.opened], list(first.closed)) == ([1], [])
    second = watch(first.snapshot, [120_499, 120_500, 200_000, 240_499], last_ms=250_000)
    assert [(each.scene, each.frame_ms) for each in second.opened] == [(2, 120_500)]
    assert [(each.scene, each.start_ms, each.end_ms) for each in second.closed] == [
        (1, 500, 120_500),
        (2, 120_500, 250_000),
    ]
