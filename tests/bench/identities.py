"""How well tracks agree with people whom somebody marked by hand."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analyzer.geometry import Box
from analyzer.track.assign import assign

# HOG's boxes are rough: the classifier's window has one shape, people do not.
IOU_MIN = 0.3
# A box that covers so much of somebody who is hidden, or is covered so much by them, is no mistake.
HIDDEN_MIN = 0.3

Tracked = Sequence[tuple[int, Box]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """One moment: the box of each human by a letter, and those of humans who are mostly hidden."""

    pts_ms: int
    people: Mapping[str, Box]
    hidden: Sequence[Box]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Counts over all moments.

    `switches`: a human has another track than the last time they had one; `gaps`: a human is found again after a moment without.
    """

    people: int
    found: int
    wrong: int
    switches: int
    gaps: int

    @property
    def precision(self) -> float:
        return self.found / (self.found + self.wrong) if self.found else 0.0

    @property
    def recall(self) -> float:
        return self.found / self.people


def read_marks(path: Path) -> list[Marked]:
    """The moments of a file like `walkers.json`, in order."""
    return [
        Marked(
            pts_ms=each["pts_ms"],
            people={human: Box(*box) for human, box in each["people"].items()},
            hidden=[Box(*box) for box in each["hidden"].values()],
        )
        for each in json.loads(path.read_text())["frames"]
    ]


def agreement(marks: Sequence[Marked], tracked: Mapping[int, Tracked]) -> Agreement:
    """Compare with `tracked`: per time in milliseconds the tracks' numbers and boxes, in pixels of the marks."""
    found = wrong = switches = gaps = 0
    track_of: dict[str, int] = {}
    away: set[str] = set()
    for moment in marks:
        boxes = tracked.get(moment.pts_ms, ())
        costs = np.array([[1 - person.iou(box) for _, box in boxes] for person in moment.people.values()])
        pairs = dict(assign(costs.reshape(len(moment.people), len(boxes)), limit=1 - IOU_MIN))
        found += len(pairs)
        wrong += sum(
            column not in pairs.values() and not _excused(box, moment.hidden) for column, (_, box) in enumerate(boxes)
        )
        for row, human in enumerate(moment.people):
            if row not in pairs:
                away.add(human)
                continue
            track = boxes[pairs[row]][0]
            switches += track_of.get(human, track) != track
            gaps += human in track_of and human in away
            track_of[human] = track
            away.discard(human)
    people = sum(len(moment.people) for moment in marks)
    return Agreement(people=people, found=found, wrong=wrong, switches=switches, gaps=gaps)


def _excused(box: Box, hidden: Sequence[Box]) -> bool:
    return any(other.overlap(box) > HIDDEN_MIN * min(other.area, box.area) for other in hidden)
