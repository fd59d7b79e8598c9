from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.backends.base import Pixels
from analyzer.scene import CutDetector

HEIGHT, WIDTH = 240, 320


def place(seed: int, *, width: int = WIDTH) -> Pixels:
    """A picture of many differently coloured things."""
    random = np.random.default_rng(seed)
    picture = np.full((HEIGHT, width, 3), random.integers(0, 256, 3), np.uint8)
    for _ in range(25 * width // WIDTH):
        left, top, across, down = random.integers((0, 0, 10, 10), (width, HEIGHT, 100, 100))
        colour = tuple(int(each) for each in random.integers(0, 256, 3))
        cv2.rectangle(picture, (int(left), int(top)), (int(left + across), int(top + down)), colour, -1)
    return picture


A, B = place(1), place(2)


def grainy(picture: Pixels, seed: int, *, deviation: float = 8) -> Pixels:
    noise = np.random.default_rng(seed).normal(0, deviation, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def brighter(picture: Pixels, by: int) -> Pixels:
    return np.clip(picture.astype(np.int32) + by, 0, 255).astype(np.uint8)


def mixed(before: Pixels, after: Pixels, steps: int) -> Iterator[Pixels]:
    for step in range(steps + 1):
        yield cv2.addWeighted(before, 1 - step / steps, after, step / steps, 0)


def cuts(pictures: Iterable[Pixels]) -> list[int]:
    detector = CutDetector()
    return [number for number, picture in enumerate(pictures) if detector.add(picture)]


def test_every_cut_is_told_once_and_only_cuts_are() -> None:
    assert cuts(grainy(place(number // 3), number) for number in range(18)) == [3, 6, 9, 12, 15]


def test_fade_through_black_is_one_cut_where_the_next_shot_shows() -> None:
    black = np.zeros_like(A)
    (cut,) = cuts([*mixed(A, black, 6), *mixed(black, B, 6)])
    assert 8 <= cut <= 9
    # Into black and back is none.
    assert cuts([*mixed(A, black, 6), *mixed(black, A, 6)]) == []


def test_slow_dissolve_pan_and_zoom_are_no_cuts() -> None:
    assert cuts(mixed(A, B, 12)) == []
    wide = place(3, width=3 * WIDTH)
    assert cuts(wide[:, left : left + WIDTH] for left in range(0, 2 * WIDTH, 40)) == []
    assert cuts(cv2.resize(A[by : HEIGHT - by, by : WIDTH - by], (WIDTH, HEIGHT)) for by in range(0, 80, 8)) == []


@pytest.mark.parametrize("flash", [brighter(A, 100), np.full_like(A, 250), np.zeros_like(A)])
def test_flash_or_blank_picture_is_no_cut(flash: Pixels) -> None:
    assert cuts([A, A, flash, A, A, flash, flash, A]) == []
    assert cuts([A, A, flash, B]) == [3]


def test_noise_is_no_cut() -> None:
    random = np.random.default_rng(0)
    assert cuts(grainy(np.full_like(A, 128), seed, deviation=30) for seed in range(8)) == []
    snow = [cv2.resize(random.integers(0, 256, (36, 64, 3), np.uint8), (WIDTH, HEIGHT)) for _ in range(8)]
    assert cuts(snow) == []


def test_any_size_is_taken() -> None:
    sizes = [(1, 1), (36, 64), (20, 500), (500, 20), (1080, 1920)]
    for width, height in sizes:
        assert cuts(cv2.resize(picture, (width, height)) for picture in (A, A)) == []
    assert cuts(cv2.resize(picture, (1920, 1080)) for picture in (A, A, B)) == [2]


@settings(max_examples=15)
@given(st.lists(st.sampled_from([A, brighter(A, 60), B, np.zeros_like(A), A[:, ::-1]]), max_size=8), st.integers(0, 8))
def test_restored_detector_goes_on_as_if_nothing_had_happened(pictures: list[Pixels], kept: int) -> None:
    whole, parted = CutDetector(), CutDetector()
    for number, picture in enumerate(pictures):
        if number == kept:
            parted = CutDetector.restore(json.loads(json.dumps(parted.snapshot())))
        assert whole.add(picture) == parted.add(picture)
        assert whole.snapshot() == parted.snapshot()
