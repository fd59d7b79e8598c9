"""The detector without weights."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from analyzer.backends.opencv import OpenCvDetector
from tests.dev import clip


def test_pictures_side_by_side_give_what_each_gives_alone() -> None:
    detector = OpenCvDetector()
    pictures = [clip.picture(number)[:, :, ::-1].copy() for number in range(0, 30, 5)]
    alone = [detector.detect([picture])[0] for picture in pictures]
    assert any(alone)
    with ThreadPoolExecutor(2) as callers:
        for together in callers.map(detector.detect, [pictures] * 4):
            assert together == alone
