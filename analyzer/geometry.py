"""Boxes in pixels of the upright picture."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Box:
    """Left, top, width, height in pixels."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.left + self.width

    @property
    def bottom(self) -> float:
        return self.top + self.height

    @property
    def area(self) -> float:
        return max(0.0, self.width) * max(0.0, self.height)

    def clip(self, width: float, height: float) -> Box:
        """The part inside a picture of `width` x `height`; may be empty."""
        left, top = min(max(self.left, 0.0), width), min(max(self.top, 0.0), height)
        right, bottom = min(max(self.right, left), width), min(max(self.bottom, top), height)
        return Box(left, top, right - left, bottom - top)

    def grow(self, ratio: float) -> Box:
        """Add `ratio` of the size on every side."""
        dx, dy = self.width * ratio, self.height * ratio
        return Box(self.left - dx, self.top - dy, self.width + 2 * dx, self.height + 2 * dy)

    def shift(self, dx: float, dy: float) -> Box:
        return Box(self.left + dx, self.top + dy, self.width, self.height)

    def scale(self, ratio: float) -> Box:
        return Box(self.left * ratio, self.top * ratio, self.width * ratio, self.height * ratio)

    def union(self, other: Box) -> Box:
        left, top = min(self.left, other.left), min(self.top, other.top)
        return Box(left, top, max(self.right, other.right) - left, max(self.bottom, other.bottom) - top)

    def overlap(self, other: Box) -> float:
        """Area of the intersection in square pixels."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0.0, width) * max(0.0, height)

    def iou(self, other: Box) -> float:
        """Intersection over union, 0..1."""
        shared = self.overlap(other)
        whole = self.area + other.area - shared
        return shared / whole if whole > 0 else 0.0

    def contains_point(self, x: float, y: float) -> bool:
        return self.left <= x <= self.right and self.top <= y <= self.bottom

    def ratios(self, width: float, height: float) -> dict[str, float]:
        """The box as fractions of the picture, 0..1, clipped and rounded to five digits."""
        inside = self.clip(width, height)
        return {
            "left": round(inside.left / width, 5),
            "top": round(inside.top / height, 5),
            "width": round(inside.width / width, 5),
            "height": round(inside.height / height, 5),
        }
