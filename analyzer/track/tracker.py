"""Which sightings are the same human over time: ByteTrack, with time in place of frames.

Source: Y. Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection Box", ECCV 2022, algorithm 1. What differs:
the filter, the gate and the buffer count seconds, so that one frame a second works as thirty do; a human is seen as a person, as a
face or as both, and either carries the track; nothing is joined across a cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzer.backends.base import Confidence, Label
from analyzer.track.assign import assign
from analyzer.track.associate import Sighting
from analyzer.track.gate import fits
from analyzer.track.kalman import Axis, Motion

# The least fit of a sighting to a track: a good one to a confirmed track, a weak one, which may be half of somebody, to a confirmed
# track that is still without, and a good one to a track of a single sighting. The paper's code has the same three.
FIT_MIN = 0.2
WEAK_FIT_MIN = 0.5
SECOND_FIT_MIN = 0.3
# A human who is not seen for longer than this gets a new track; where frames are rarer, for longer than this many of them.
GAP_MAX_MS = 2000
GAP_MAX_FRAMES = 2.5
# The same for a human who was seen once: what flickers at one place should not become a track.
SINGLE_GAP_MAX_MS = 1000
SINGLE_GAP_MAX_FRAMES = 1.5
# The usual time between frames is the median of so many, which one gap in the video does not move.
_INTERVALS = 5
# With fewer frames than this, nobody could be seen twice and missed once.
_FRAMES_MIN = 3


@dataclass(slots=True, eq=False)
class Track:
    """One human. `key` counts all tracks from 1 in the order of first sight, `number` the confirmed ones in the order of their second."""

    key: int
    first_ms: int
    last_ms: int
    sightings: int = 0
    number: int | None = None
    label: Label = Label.FACE
    motions: dict[Label, Motion] = field(default_factory=dict, repr=False)

    def see(self, sighting: Sighting) -> None:
        """Add a sighting, not before the last one."""
        for label, box in ((Label.PERSON, sighting.person_box), (Label.FACE, sighting.face_box)):
            if box is not None:
                before = self.motions.get(label)
                now = sighting.pts_ms
                self.motions[label] = before.seen(now, box) if before else Motion.begin(now, box)
        if sighting.person_box is not None:
            self.label = Label.PERSON
        self.last_ms = sighting.pts_ms
        self.sightings += 1

    def expect(self, pts_ms: int, label: Label, *, gap_max_ms: float) -> Motion | None:
        """Where its person or face will be at `pts_ms`; None when that was not seen for too long."""
        motion = self.motions.get(label)
        return motion.at(pts_ms) if motion and pts_ms - motion.pts_ms <= gap_max_ms else None


class Tracker:
    """Joins the sightings of one video; what it keeps grows with the humans in view, not with the video."""

    def __init__(self, confidence: Confidence) -> None:
        self._confidence = confidence
        self._live: list[Track] = []
        self._ended: list[Track] = []
        self._intervals_ms: list[int] = []
        self._last_ms: int | None = None
        self._frames = 0
        self._keys = 0
        self._numbers = 0

    def add(self, pts_ms: int, sightings: Sequence[Sighting], *, cut: bool = False) -> list[Track | None]:
        """Add the sightings of the next frame, a `cut` before which ends all tracks; `pts_ms` must not decrease.

        Returns: the track of each sighting, None for one that neither continues nor begins a track.
        """
        self._frames += 1
        if self._last_ms is not None:
            self._intervals_ms = [*self._intervals_ms, pts_ms - self._last_ms][-_INTERVALS:]
        self._last_ms = pts_ms
        self._end(lambda track: cut or pts_ms - track.last_ms > self._gap_max_ms(track))
        owners: list[Track | None] = [None] * len(sightings)
        good = [index for index, each in enumerate(sightings) if self._is_good(each)]
        weak = [index for index, each in enumerate(sightings) if self._is_weak(each)]
        confirmed = [track for track in self._live if track.number is not None]
        single = [track for track in self._live if track.number is None]
        for tracks, offered, fit_min, widened in (
            (confirmed, good, FIT_MIN, True),
            (confirmed, weak, WEAK_FIT_MIN, False),
            (single, good, SECOND_FIT_MIN, True),
        ):
            free = [track for track in tracks if track not in owners]
            left = [index for index in offered if owners[index] is None]
            found = self._fits(pts_ms, free, [sightings[index] for index in left], widened=widened)
            for row, column in assign(1 - found, limit=1 - fit_min):
                owners[left[column]] = free[row]
        for index in good:
            if owners[index] is None and self._may_begin(sightings[index]):
                owners[index] = self._begin(pts_ms)
        for sighting, owner in zip(sightings, owners, strict=True):
            if owner is not None:
                owner.see(sighting)
                if owner.sightings == 2:
                    self._confirm(owner)
        return owners

    def ended(self) -> list[Track]:
        """Tracks that ended since the last call, confirmed or not, in the order of their end.

        Of a video's first two frames none is told before the third, because they may be all there is.
        """
        if self._frames < _FRAMES_MIN:
            return []
        ended, self._ended = self._ended, []
        return ended

    def close(self) -> list[Track]:
        """End all tracks and return those that `ended` has not; in a video of one or two frames, one sighting confirms."""
        self._end(lambda _: True)
        if self._frames < _FRAMES_MIN:
            for track in self._ended:
                if track.number is None:
                    self._confirm(track)
        ended, self._ended = self._ended, []
        return ended

    def snapshot(self) -> dict[str, Any]:
        """All that it knows, as JSON values."""
        return {
            "frames": self._frames,
            "keys": self._keys,
            "numbers": self._numbers,
            "last_ms": self._last_ms,
            "intervals_ms": list(self._intervals_ms),
            "live": [_to_json(track) for track in self._live],
            "ended": [_to_json(track) for track in self._ended],
        }

    @classmethod
    def restore(cls, confidence: Confidence, snapshot: Mapping[str, Any]) -> Tracker:
        """A tracker that goes on as the one of `snapshot` would have; its tracks are equal by `key`, not the same objects."""
        tracker = cls(confidence)
        tracker._frames, tracker._keys, tracker._numbers = snapshot["frames"], snapshot["keys"], snapshot["numbers"]
        tracker._last_ms, tracker._intervals_ms = snapshot["last_ms"], list(snapshot["intervals_ms"])
        tracker._live = [_from_json(each) for each in snapshot["live"]]
        tracker._ended = [_from_json(each) for each in snapshot["ended"]]
        return tracker

    def _is_good(self, sighting: Sighting) -> bool:
        # Detectors give only faces that they trust, and a face vouches for the person around it.
        return sighting.face is not None or sighting.score >= self._confidence.high

    def _is_weak(self, sighting: Sighting) -> bool:
        return not self._is_good(sighting) and sighting.score >= self._confidence.low

    def _may_begin(self, sighting: Sighting) -> bool:
        return sighting.face is not None or sighting.score >= self._confidence.new

    def _gap_max_ms(self, track: Track) -> float:
        interval_ms = median(self._intervals_ms) if self._intervals_ms else 0
        if track.number is None:
            return max(SINGLE_GAP_MAX_MS, SINGLE_GAP_MAX_FRAMES * interval_ms)
        return max(GAP_MAX_MS, GAP_MAX_FRAMES * interval_ms)

    def _fits(
        self, pts_ms: int, tracks: Sequence[Track], sightings: Sequence[Sighting], *, widened: bool
    ) -> NDArray[np.float64]:
        """How well each track (rows) fits each sighting (columns), by person or by face, whichever is better; 0..1."""
        expected = {
            label: [track.expect(pts_ms, label, gap_max_ms=self._gap_max_ms(track)) for track in tracks]
            for label in Label
        }
        people = fits(expected[Label.PERSON], [each.person_box for each in sightings], widened=widened)
        faces = fits(expected[Label.FACE], [each.face_box for each in sightings], widened=widened)
        if self._confidence.scale is not None:
            people = people * np.array([each.score / self._confidence.scale for each in sightings])
        return np.maximum(people, faces)

    def _begin(self, pts_ms: int) -> Track:
        self._keys += 1
        track = Track(self._keys, pts_ms, pts_ms)
        self._live.append(track)
        return track

    def _confirm(self, track: Track) -> None:
        self._numbers += 1
        track.number = self._numbers

    def _end(self, over: Callable[[Track], bool]) -> None:
        self._ended += [track for track in self._live if over(track)]
        self._live = [track for track in self._live if not over(track)]


def _to_json(track: Track) -> dict[str, Any]:
    return {
        "key": track.key,
        "first_ms": track.first_ms,
        "last_ms": track.last_ms,
        "sightings": track.sightings,
        "number": track.number,
        "label": str(track.label),
        "motions": {str(label): _motion_to_json(motion) for label, motion in track.motions.items()},
    }


def _from_json(values: Mapping[str, Any]) -> Track:
    motions = {Label(label): _motion_from_json(motion) for label, motion in values["motions"].items()}
    return Track(**{**values, "label": Label(values["label"]), "motions": motions})


def _motion_to_json(motion: Motion) -> list[Any]:
    axes = (motion.x, motion.y, motion.aspect, motion.height)
    return [
        motion.pts_ms,
        *([each.value, each.speed, each.value_variance, each.covariance, each.speed_variance] for each in axes),
    ]


def _motion_from_json(values: Sequence[Any]) -> Motion:
    pts_ms, *axes = values
    return Motion(pts_ms, *(Axis(*each) for each in axes))
