"""What is kept of people while a segment goes on, with frames and detections that are made by hand."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from analyzer.backends.base import Confidence, Detection, Label
from analyzer.geometry import Box
from analyzer.pipeline import people as module
from analyzer.pipeline.feed import Seen
from analyzer.pipeline.people import Crops, People
from analyzer.video.planes import Frame

CONFIDENCE = Confidence(high=0.4, low=0.1, new=0.4, scale=1.0)
WIDTH, HEIGHT = 300, 400
CROP_BYTES = 100 * 384 * 3
NOISE = np.random.default_rng(1).integers(0, 255, (HEIGHT, WIDTH), dtype=np.uint8)
GREY = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)


def somebody(pts_ms: int, *, is_cut: bool = False) -> Seen:
    """A picture with one person."""
    return Seen(
        frame=Frame(segment=0, pts_ms=pts_ms, planes=(NOISE, GREY, GREY)),
        picture=NOISE,
        is_cut=is_cut,
        detections=[Detection(label=Label.PERSON, box=Box(100, 8, 100, 384), score=0.9, source="test")],
    )


def passing(times: int, humans: int = 60) -> Iterator[Seen]:
    """One human after the other, each seen so often; cuts keep them apart."""
    for index in range(humans * times):
        yield somebody(index * 200, is_cut=index % times == 0)


@pytest.mark.parametrize(("times", "kept_max"), [(1, 8), (2, 30)])
def test_a_crowd_that_passes_does_not_fill_the_memory(
    times: int, kept_max: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GONE_MAX", 8)
    people, given = People(CONFIDENCE), []
    tracemalloc.start()
    for seen in passing(times):
        people.add(seen)
        if gone := people.take_gone():
            given += _numbers(gone)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < kept_max * CROP_BYTES
    given += _numbers(people.end_segment(is_last=True).crops)
    # Each human once; who was seen once only is none.
    assert given == (list(range(1, 61)) if times > 1 else [])


def test_no_more_is_kept_of_a_human_than_is_asked() -> None:
    people, counts = People(CONFIDENCE), []
    for segment in range(3):
        for index in range(5):
            people.add(somebody((segment * 5 + index) * 200))
        (keeper,) = people.end_segment(is_last=False).crops.kept.values()
        counts.append(len(keeper.best_first))
    # Eight in all, and one more for each further segment.
    assert counts == [5, 3, 1]


def _numbers(crops: Crops) -> list[int]:
    assert all(crops.kept[key].best_first for key in crops.numbers)
    return list(crops.numbers.values())
