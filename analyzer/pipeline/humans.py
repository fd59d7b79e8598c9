"""What is known of each human whose track goes on: estimates, best portraits and the vector of the best one, as JSON values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from analyzer.aggregate import (
    AttributeSample,
    OrientationSample,
    aggregate_attributes,
    aggregate_orientation,
    attribute_samples,
    orientation_samples,
)
from analyzer.backends.base import Backends, Label
from analyzer.crops import Portrait, Sample, thumbnail
from analyzer.metrics import Metrics
from analyzer.pipeline.people import Crops
from analyzer.store.base import Row
from analyzer.track.tracker import Track

PutPicture = Callable[[str, bytes], None]

VECTOR_DIGITS = 6


@dataclass(slots=True, kw_only=True)
class Human:
    """One track so far.

    `attributes` and `orientations` are samples as `analyzer.aggregate` makes them, `portraits` the quality of the best picture by
    kind.
    """

    attributes: list[AttributeSample] = field(default_factory=list)
    orientations: list[OrientationSample] = field(default_factory=list)
    portraits: dict[str, float] = field(default_factory=dict)
    vector: dict[str, Any] | None = None


class Humans:
    """Humans by track key; they leave when their track ends, so this grows with the people in view only."""

    def __init__(
        self, backends: Backends, put_picture: PutPicture, snapshot: Mapping[str, Any] | None, metrics: Metrics
    ) -> None:
        self._backends, self._put_picture, self._metrics = backends, put_picture, metrics
        self._humans = {int(key): Human(**human) for key, human in (snapshot or {}).items()}

    def snapshot(self) -> dict[str, Any]:
        """JSON values, from which an equal object can be made."""
        return {str(key): asdict(human) for key, human in self._humans.items()}

    def look(self, crops: Crops) -> None:
        """Ask the models about the best crops of confirmed tracks, and keep better portraits."""
        asked: list[tuple[Human, Sample]] = []
        for key, number in crops.numbers.items():
            keeper = crops.kept[key]
            human = self._humans.setdefault(key, Human())
            asked += [(human, sample) for sample in keeper.best_first]
            self._keep_portraits(human, number, keeper.portraits)
        self._estimate(asked)

    def leave(self, ended: Sequence[Track]) -> Iterator[tuple[Row, list[Row]]]:
        """The row of each track that ended, and the rows of its vectors."""
        for track in ended:
            human = self._humans.pop(track.key, Human())
            found, facing = aggregate_attributes(human.attributes), aggregate_orientation(human.orientations)
            row = {
                "track": track.number,
                "label": str(track.label),
                "first_ms": track.first_ms,
                "last_ms": track.last_ms,
                "sightings": track.sightings,
                "age_mean": found.age_mean if found else None,
                "age_low": found.age_low if found else None,
                "age_high": found.age_high if found else None,
                "gender": found.gender if found else None,
                "gender_confidence": found.gender_confidence if found else None,
                "attribute_samples": found.samples if found else 0,
                "orientation_deg": facing.degrees if facing else None,
                "orientation_confidence": facing.confidence if facing else None,
                "age_model": self._weights("age") if found and found.age_mean is not None else None,
                "gender_model": self._weights("gender") if found and found.gender is not None else None,
                "face_thumbnail": Label.FACE in human.portraits,
                "person_thumbnail": Label.PERSON in human.portraits,
            }
            yield row, [{**human.vector, "ref": track.number}] if human.vector else []

    def _weights(self, role: str) -> str | None:
        """The digest of the weights that tell `role`, which may be the same for both roles; it stands in each row that they made."""
        assert self._backends.attributes is not None
        files = {
            name: each for name, each in self._backends.attributes.description.items() if isinstance(each, Mapping)
        }
        entry = files.get(role) or next(iter(files.values()), {})
        return entry.get("sha256")

    def _keep_portraits(self, human: Human, number: int, portraits: Mapping[Label, Portrait]) -> None:
        for label, portrait in portraits.items():
            if portrait.quality <= human.portraits.get(label, 0):
                continue
            human.portraits[str(label)] = portrait.quality
            self._put_picture(thumbnail_name(number, label), thumbnail(portrait.pixels))
            # The body tells one human from another better than the face does, so a face stands in only until a body is seen.
            if label is Label.PERSON or Label.PERSON not in human.portraits:
                with self._metrics.model("embedder", 1):
                    vector = self._backends.embedder.embed([portrait.pixels])[0]
                human.vector = {
                    "space": self._backends.embedder.space,
                    "kind": "track",
                    "pts_ms": portrait.pts_ms,
                    "dimension": self._backends.embedder.dimension,
                    "v": vector_of(vector),
                }

    def _estimate(self, asked: Sequence[tuple[Human, Sample]]) -> None:
        if self._backends.attributes and asked:
            with self._metrics.model("attributes", len(asked)):
                told = self._backends.attributes.predict([sample.crop for _, sample in asked])
            for (human, _), values in zip(asked, attribute_samples(told), strict=True):
                human.attributes.append(values)
        bodies = [(human, sample.crop.body) for human, sample in asked if sample.crop.body is not None]
        if self._backends.orientation and bodies:
            with self._metrics.model("orientation", len(bodies)):
                facing = self._backends.orientation.predict([body for _, body in bodies])
            for (human, _), vector in zip(bodies, orientation_samples(facing), strict=True):
                human.orientations.append(vector)


def thumbnail_name(number: int, label: Label) -> str:
    """Path below the result's folder."""
    return f"thumbnails/track-{number:04d}-{label}.jpg"


def vector_of(values: Any) -> list[float]:
    return [round(float(value), VECTOR_DIGITS) for value in values]
