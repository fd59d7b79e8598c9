"""How one upright 4:2:0 picture lies in memory; known to the child, which has no use for OpenCV, and to the parent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Layout:
    """Planes Y, U and V of one `width` x `height` picture, one behind the other; chroma sides are rounded up."""

    width: int
    height: int

    @property
    def chroma(self) -> tuple[int, int]:
        """Height and width of U and of V."""
        return (self.height + 1) // 2, (self.width + 1) // 2

    @property
    def size_bytes(self) -> int:
        rows, columns = self.chroma
        return self.width * self.height + 2 * rows * columns

    def planes(self, memory: Plane) -> tuple[Plane, Plane, Plane]:
        """Views into `memory`, of at least `size_bytes` bytes."""
        rows, columns = self.chroma
        luma, one = self.width * self.height, rows * columns
        return (
            memory[:luma].reshape(self.height, self.width),
            memory[luma : luma + one].reshape(rows, columns),
            memory[luma + one : luma + 2 * one].reshape(rows, columns),
        )
