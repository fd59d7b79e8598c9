"""From one video file to tracks: decode, sample, detect, track, then attributes from each track's best crops."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analyzer.aggregate import TrackAttributes, aggregate
from analyzer.backends.base import AttributeModel, Detection, Detector, Embedder, Label, PersonCrop
from analyzer.crops import FACE_PADDING, FACES_PER_TRACK, CropKeeper, thumbnail
from analyzer.sample import RateSampler
from analyzer.track import Sighting, Track, Tracker, pair_faces
from analyzer.video import Coverage, Frame, VideoInfo, frames

BATCH_FRAMES = 8
# Pixels that wait for the detector: a batch of 4K frames is smaller than one of 480p frames.
BATCH_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDetection:
    """A detection in one frame; `track` is None for what was seen once only, `face_of` is a person's index there."""

    pts_ms: int
    index: int
    track: int | None
    face_of: int | None
    detection: Detection


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTrack:
    """One human: the times it was seen, estimates, JPEG thumbnails by kind and its descriptor."""

    number: int
    sightings: Sequence[Sighting]
    attributes: TrackAttributes | None
    thumbnails: dict[Label, bytes]
    embedding: NDArray[np.float32] | None
    embedding_kind: Label | None
    embedding_pts_ms: int

    @property
    def label(self) -> Label:
        return Label.PERSON if any(each.person is not None for each in self.sightings) else Label.FACE


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """All that was found in one video."""

    coverage: Coverage
    sampled_frames: int
    tracks: tuple[FoundTrack, ...]
    detections: tuple[FoundDetection, ...]


class _Collector:
    """Detections, tracks and their best crops while frames pass; memory does not grow with the pictures."""

    def __init__(self) -> None:
        self.tracker = Tracker()
        self.seen: list[tuple[int, list[Detection], list[Sighting]]] = []
        self.faces: dict[int, CropKeeper] = {}
        self.people: dict[int, CropKeeper] = {}

    def add(self, frame: Frame, detections: list[Detection]) -> None:
        sightings = pair_faces(frame.pts_ms, detections)
        self.seen.append((frame.pts_ms, detections, sightings))
        for track in self.tracker.add(frame.pts_ms, sightings):
            self._keep(frame, track)

    def _keep(self, frame: Frame, track: Track) -> None:
        if track.last.face_box is not None:
            keeper = self.faces.setdefault(track.number, CropKeeper(FACES_PER_TRACK))
            keeper.offer(frame.pixels, track.last.face_box, frame.pts_ms, padding=FACE_PADDING)
        if track.last.person_box is not None:
            keeper = self.people.setdefault(track.number, CropKeeper(1))
            keeper.offer(frame.pixels, track.last.person_box, frame.pts_ms)


def analyse(
    path: Path,
    info: VideoInfo,
    *,
    name: str,
    detector: Detector,
    attributes: AttributeModel | None,
    embedder: Embedder,
    sample_fps: float,
    on_frame: Callable[[], None],
    on_decoded: Callable[[int, int], None],
) -> Analysis:
    """Run every stage over one local file; `on_frame` is called for each sampled frame when it is decoded, `on_decoded` receives
    (decoded, total) milliseconds.

    Raises: InputUnreadable, when nothing decodes.
    """
    coverage, sampler, collector = Coverage(), RateSampler(sample_fps), _Collector()
    sampled = 0
    for batch in _batches(frames(path, info, sampler.takes, coverage, name=name), on_frame):
        for frame, detections in zip(batch, detector.detect([each.pixels for each in batch]), strict=True):
            collector.add(frame, detections)
        sampled += len(batch)
        on_decoded(coverage.decoded_ms, coverage.total_ms or 0)
    tracks = collector.tracker.confirmed(sampled)
    return Analysis(
        coverage=coverage,
        sampled_frames=sampled,
        tracks=tuple(
            _describe(number, track, collector, attributes, embedder) for number, track in enumerate(tracks, start=1)
        ),
        detections=tuple(_flatten(collector, tracks)),
    )


def _batches(stream: Iterator[Frame], on_frame: Callable[[], None]) -> Iterator[list[Frame]]:
    batch: list[Frame] = []
    for frame in stream:
        on_frame()
        batch.append(frame)
        if len(batch) >= BATCH_FRAMES or sum(each.pixels.nbytes for each in batch) >= BATCH_BYTES:
            yield batch
            batch = []
    if batch:
        yield batch


def _describe(
    number: int, track: Track, collector: _Collector, attributes: AttributeModel | None, embedder: Embedder
) -> FoundTrack:
    faces, people = (
        keepers[track.number].best_first if track.number in keepers else []
        for keepers in (collector.faces, collector.people)
    )
    best = (people or faces)[:1]
    kinds = {Label.FACE: faces, Label.PERSON: people}
    return FoundTrack(
        number=number,
        sightings=track.sightings,
        attributes=aggregate(attributes.predict([PersonCrop(face=crop.pixels, body=None) for crop in faces]))
        if attributes and faces
        else None,
        thumbnails={kind: thumbnail(crops[0].pixels) for kind, crops in kinds.items() if crops},
        embedding=embedder.embed([best[0].pixels])[0] if best else None,
        embedding_kind=(Label.PERSON if people else Label.FACE) if best else None,
        embedding_pts_ms=best[0].pts_ms if best else 0,
    )


def _flatten(collector: _Collector, tracks: Sequence[Track]) -> Iterator[FoundDetection]:
    number_of = {id(each): number for number, track in enumerate(tracks, start=1) for each in track.sightings}
    for pts_ms, detections, sightings in collector.seen:
        owner: dict[int, Sighting] = {}
        for sighting in sightings:
            owner.update({index: sighting for index in (sighting.person, sighting.face) if index is not None})
        for index, detection in enumerate(detections):
            sighting = owner[index]
            yield FoundDetection(
                pts_ms=pts_ms,
                index=index,
                track=number_of.get(id(sighting)),
                face_of=sighting.person if detection.label is Label.FACE else None,
                detection=detection,
            )
