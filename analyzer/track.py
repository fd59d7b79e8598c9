"""Which face belongs to which person, and which of them is the same human over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from analyzer.backends.base import Detection, Label
from analyzer.geometry import Box

# A face belongs to a person when most of it lies in the upper part of the person's box.
FACE_INSIDE_MIN = 0.6
FACE_ZONE = 0.6
# Association gate: boxes are grown by this share of their size per second that passed, up to a limit.
GROWTH_PER_S = 0.4
GROWTH_MAX = 0.8
IOU_MIN = 0.2
# A human who is not seen for longer than this gets a new track.
GAP_MAX_MS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One human in one frame: person, face or both, as indexes into that frame's detections."""

    pts_ms: int
    person: int | None
    face: int | None
    person_box: Box | None
    face_box: Box | None


@dataclass(slots=True)
class Track:
    """The sightings of one human; `number` counts from 1 in the order of first sight."""

    number: int
    sightings: list[Sighting] = field(default_factory=list)

    @property
    def last(self) -> Sighting:
        return self.sightings[-1]

    def latest_box(self, label: Label) -> Box | None:
        """The newest person or face box within the last few sightings."""
        for sighting in reversed(self.sightings[-3:]):
            box = sighting.person_box if label is Label.PERSON else sighting.face_box
            if box is not None:
                return box
        return None


def pair_faces(pts_ms: int, detections: Sequence[Detection]) -> list[Sighting]:
    """Give each face to the person whose upper part holds most of it; the rest stand alone."""
    people = [index for index, each in enumerate(detections) if each.label is Label.PERSON]
    faces = [index for index, each in enumerate(detections) if each.label is Label.FACE]
    offers = sorted(
        (
            (-_face_fit(detections[face].box, detections[person].box), face, person)
            for face in faces
            for person in people
        ),
    )
    face_of: dict[int, int] = {}
    for fit, face, person in offers:
        if -fit >= FACE_INSIDE_MIN and person not in face_of and face not in face_of.values():
            face_of[person] = face
    pairs: list[tuple[int | None, int | None]] = [(person, face_of.get(person)) for person in people]
    pairs += [(None, face) for face in faces if face not in face_of.values()]
    return [
        Sighting(
            pts_ms=pts_ms,
            person=person,
            face=face,
            person_box=None if person is None else detections[person].box,
            face_box=None if face is None else detections[face].box,
        )
        for person, face in pairs
    ]


def _face_fit(face: Box, person: Box) -> float:
    zone = Box(person.left, person.top, person.width, person.height * FACE_ZONE)
    # A small bonus for the closer box decides between two people who both hold the face.
    return face.overlap(zone) / face.area + 0.1 * face.iou(person) if face.area else 0.0


class Tracker:
    """Joins sightings by overlap; the gate widens with the time that passed, not with the number of frames."""

    def __init__(self) -> None:
        self.tracks: list[Track] = []
        self._live: list[Track] = []

    def add(self, pts_ms: int, sightings: Sequence[Sighting]) -> list[Track]:
        """Add one frame's sightings and return the track of each; `pts_ms` must not decrease from call to call."""
        self._live = [track for track in self._live if pts_ms - track.last.pts_ms <= GAP_MAX_MS]
        offers = sorted(
            (-closeness, track.number, index)
            for track in self._live
            for index, sighting in enumerate(sightings)
            if (closeness := _closeness(track, sighting)) >= IOU_MIN
        )
        free = {track.number: track for track in self._live}
        owner: dict[int, Track] = {}
        for _, number, index in offers:
            if number in free and index not in owner:
                owner[index] = free.pop(number)
        for index, sighting in enumerate(sightings):
            if index in owner:
                owner[index].sightings.append(sighting)
            else:
                owner[index] = Track(len(self.tracks) + 1, [sighting])
                self.tracks.append(owner[index])
                self._live.append(owner[index])
        return [owner[index] for index in range(len(sightings))]

    def confirmed(self, frames: int) -> list[Track]:
        """Tracks seen at least twice; all of them when fewer than three frames were looked at."""
        return [track for track in self.tracks if frames < 3 or len(track.sightings) > 1]


def _closeness(track: Track, sighting: Sighting) -> float:
    growth = min(GROWTH_MAX, GROWTH_PER_S * (sighting.pts_ms - track.last.pts_ms) / 1000)
    best = 0.0
    for label, box in ((Label.PERSON, sighting.person_box), (Label.FACE, sighting.face_box)):
        before = track.latest_box(label)
        if box is not None and before is not None:
            best = max(best, before.grow(growth).iou(box.grow(growth)))
    return best
