"""How well boxes fit where tracks are expected."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from analyzer.geometry import Box
from analyzer.track.kalman import Motion

# Boxes are grown by as much as the expectation is uncertain, but by no more than this many heights: farther away it may be anybody.
GROWTH_MAX = 0.8


def fits(expected: Sequence[Motion | None], boxes: Sequence[Box | None], *, widened: bool) -> NDArray[np.float64]:
    """How well m found boxes fit n expected ones, (n, m) of 0..1: intersection over union times the ratio of the heights.

    A missing box fits nothing. With `widened`, both boxes are first grown on each side by one standard deviation of the expected
    place. That is what makes tracks hold at one frame a second: a walking person leaves its own box in half of that. Heights tell
    apart who is near and who is far, which grown boxes hardly do.
    """
    before = np.array([_edges(None if each is None else each.box) for each in expected]).reshape(-1, 1, 4)
    after = np.array([_edges(box) for box in boxes]).reshape(1, -1, 4)
    growth = np.array([_growth(each) if widened else (0.0, 0.0) for each in expected]).reshape(-1, 1, 2)
    low = np.maximum(before[..., :2] - growth, after[..., :2] - growth)
    high = np.minimum(before[..., 2:] + growth, after[..., 2:] + growth)
    shared = np.prod(np.clip(high - low, 0, None), axis=-1)
    whole = _area(before, growth) + _area(after, growth) - shared
    heights, other_heights = (edges[..., 3] - edges[..., 1] for edges in (before, after))
    shared = shared * np.minimum(heights, other_heights)
    whole = whole * np.maximum(heights, other_heights)
    found: NDArray[np.float64] = np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)
    return found


def _edges(box: Box | None) -> tuple[float, float, float, float]:
    return (np.nan,) * 4 if box is None else (box.left, box.top, box.right, box.bottom)


def _growth(motion: Motion | None) -> tuple[float, float]:
    if motion is None:
        return 0.0, 0.0
    most = GROWTH_MAX * motion.box.height
    across, down = motion.deviation
    return min(across, most), min(down, most)


def _area(edges: NDArray[np.float64], growth: NDArray[np.float64]) -> NDArray[np.float64]:
    area: NDArray[np.float64] = np.prod(edges[..., 2:] - edges[..., :2] + 2 * growth, axis=-1)
    return area
