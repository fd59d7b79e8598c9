"""Which face belongs to which person in one frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analyzer.backends.base import Detection, Label
from analyzer.geometry import Box
from analyzer.track.assign import assign

# A face belongs to a person when most of it lies in the upper part of the person's box.
FACE_INSIDE_MIN = 0.6
FACE_ZONE = 0.6
# Between two people who both hold the face, the overlap of whole boxes decides: it is larger for the one who is closer to it in size.
SIZE_BONUS = 0.1
_FIT_MAX = 1 + SIZE_BONUS


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One human in one frame: person, face or both, as indexes into that frame's detections.

    `score` is the person's, or the face's where there is no person; each is on the scale of its detector.
    """

    pts_ms: int
    person: int | None
    face: int | None
    person_box: Box | None
    face_box: Box | None
    score: float


def pair_faces(pts_ms: int, detections: Sequence[Detection]) -> list[Sighting]:
    """Give faces to the people whose upper parts hold them, so that all fit best together; the rest stand alone.

    Returns: the people in their order, then the faces without one in theirs.
    """
    people = [index for index, each in enumerate(detections) if each.label is Label.PERSON]
    faces = [index for index, each in enumerate(detections) if each.label is Label.FACE]
    costs = np.array([[_misfit(detections[face].box, detections[person].box) for person in people] for face in faces])
    pairs = assign(costs.reshape(len(faces), len(people)), limit=_FIT_MAX)
    face_of = {people[column]: faces[row] for row, column in pairs}
    alone = [face for face in faces if face not in face_of.values()]
    return [
        *(_sighting(pts_ms, detections, person, face_of.get(person)) for person in people),
        *(_sighting(pts_ms, detections, None, face) for face in alone),
    ]


def _sighting(pts_ms: int, detections: Sequence[Detection], person: int | None, face: int | None) -> Sighting:
    body, head = (None if index is None else detections[index] for index in (person, face))
    scored = body or head
    return Sighting(
        pts_ms=pts_ms,
        person=person,
        face=face,
        person_box=body.box if body else None,
        face_box=head.box if head else None,
        score=scored.score if scored else 0.0,
    )


def _misfit(face: Box, person: Box) -> float:
    """0 for a face that fills the person's box, infinite for one that is mostly outside its upper part."""
    zone = Box(person.left, person.top, person.width, person.height * FACE_ZONE)
    inside = face.overlap(zone) / face.area if face.area else 0.0
    return _FIT_MAX - inside - SIZE_BONUS * face.iou(person) if inside >= FACE_INSIDE_MIN else np.inf
