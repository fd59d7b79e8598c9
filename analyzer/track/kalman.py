"""Where a box will be: a Kalman filter of constant velocity, in seconds.

The state is that of SORT's successors (centre, aspect = width / height, height, and their velocities). All noise is independent
from axis to axis, so the filter of eight dimensions falls into four of two, which need no matrices. Time is continuous (white noise
on the acceleration): one step of a second equals thirty steps of a thirtieth, whatever the sampling rate.
Source: Y. Bar-Shalom, X. R. Li, T. Kirubarajan, "Estimation with Applications to Tracking and Navigation", 2001, §6.2.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from analyzer.geometry import Box

# In box heights, of which a walking person covers about 0.8 per second and a running one 2.
_MEASURED = 0.07
_SPEED_FIRST = 1.0
_SPEED_CHANGE_PER_S = 0.8
# Of the height itself, and of the aspect: bodies turn, but do not grow.
_SIZE_SPEED_FIRST = 0.15
_SIZE_SPEED_CHANGE_PER_S = 0.1
_ASPECT_MEASURED = 0.05
_ASPECT_SPEED_FIRST = 0.05
_ASPECT_SPEED_CHANGE_PER_S = 0.05


@dataclass(frozen=True, slots=True)
class Axis:
    """One quantity and its change per second, with their covariance."""

    value: float
    speed: float
    value_variance: float
    covariance: float
    speed_variance: float

    def after(self, elapsed_s: float, speed_change_per_s: float) -> Axis:
        """The prediction; the speed's variance grows by the square of `speed_change_per_s` each second."""
        noise = speed_change_per_s**2
        return Axis(
            self.value + elapsed_s * self.speed,
            self.speed,
            self.value_variance
            + 2 * elapsed_s * self.covariance
            + elapsed_s**2 * self.speed_variance
            + noise * elapsed_s**3 / 3,
            self.covariance + elapsed_s * self.speed_variance + noise * elapsed_s**2 / 2,
            self.speed_variance + noise * elapsed_s,
        )

    def seen(self, value: float, deviation: float) -> Axis:
        """The correction by a measurement of that standard deviation."""
        total = self.value_variance + deviation**2
        gain, speed_gain = self.value_variance / total, self.covariance / total
        error = value - self.value
        return Axis(
            self.value + gain * error,
            self.speed + speed_gain * error,
            (1 - gain) * self.value_variance,
            (1 - gain) * self.covariance,
            self.speed_variance - speed_gain * self.covariance,
        )


@dataclass(frozen=True, slots=True)
class Motion:
    """A box as the filter knows it at `pts_ms`."""

    pts_ms: int
    x: Axis
    y: Axis
    aspect: Axis
    height: Axis

    @classmethod
    def begin(cls, pts_ms: int, box: Box) -> Motion:
        """One sighting: speed unknown."""
        x, y, aspect, height = _measure(box)
        placed, moving = (_MEASURED * height) ** 2, (_SPEED_FIRST * height) ** 2
        return cls(
            pts_ms,
            Axis(x, 0.0, placed, 0.0, moving),
            Axis(y, 0.0, placed, 0.0, moving),
            Axis(aspect, 0.0, _ASPECT_MEASURED**2, 0.0, _ASPECT_SPEED_FIRST**2),
            Axis(height, 0.0, placed, 0.0, (_SIZE_SPEED_FIRST * height) ** 2),
        )

    def at(self, pts_ms: int) -> Motion:
        """The prediction for a later time."""
        elapsed_s, height = (pts_ms - self.pts_ms) / 1000, self.height.value
        return Motion(
            pts_ms,
            self.x.after(elapsed_s, _SPEED_CHANGE_PER_S * height),
            self.y.after(elapsed_s, _SPEED_CHANGE_PER_S * height),
            self.aspect.after(elapsed_s, _ASPECT_SPEED_CHANGE_PER_S),
            self.height.after(elapsed_s, _SIZE_SPEED_CHANGE_PER_S * height),
        )

    def seen(self, pts_ms: int, box: Box) -> Motion:
        """The state after a sighting at `pts_ms`, not before the last one."""
        x, y, aspect, height = _measure(box)
        deviation, expected = _MEASURED * height, self.at(pts_ms)
        return Motion(
            pts_ms,
            expected.x.seen(x, deviation),
            expected.y.seen(y, deviation),
            expected.aspect.seen(aspect, _ASPECT_MEASURED),
            expected.height.seen(height, deviation),
        )

    @property
    def box(self) -> Box:
        # A prediction over a long gap may shrink below nothing.
        height = max(1.0, self.height.value)
        width = max(1.0, self.aspect.value * height)
        return Box(self.x.value - width / 2, self.y.value - height / 2, width, height)

    @property
    def deviation(self) -> tuple[float, float]:
        """Standard deviations of the centre, across and down, in pixels."""
        return math.sqrt(self.x.value_variance), math.sqrt(self.y.value_variance)


def _measure(box: Box) -> tuple[float, float, float, float]:
    height = max(1.0, box.height)
    return box.left + box.width / 2, box.top + box.height / 2, max(1.0, box.width) / height, height
