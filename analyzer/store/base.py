"""What a store promises: a session's rows arrive segment by segment, each segment whole or not at all.

A session is worked on by one attempt at a time. An attempt claims the session, is told where to go on, commits segments in their
order, and finishes. Whatever ends it in between, the next attempt of the same work goes on behind the last committed segment, and
the rows are in the end the same as those of an attempt that nothing interrupted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from analyzer.contract import Table

Row = dict[str, Any]

# Columns besides `session_id`, in the order of the tables; a row of a segment has `segment` besides.
COLUMNS: Mapping[Table, tuple[str, ...]] = {
    Table.SEGMENTS: ("segment", "start_ms", "end_ms", "state", "frames", "sampled_frames", "errors"),
    Table.TRACKS: (
        "segment",
        "track",
        "label",
        "first_ms",
        "last_ms",
        "sightings",
        "age_mean",
        "age_low",
        "age_high",
        "gender",
        "gender_confidence",
        "attribute_samples",
        "orientation_deg",
        "orientation_confidence",
        "age_model",
        "gender_model",
        "face_thumbnail",
        "person_thumbnail",
    ),
    Table.SCENES: ("segment", "scene", "start_ms", "end_ms", "frame_ms", "caption", "caption_finished"),
    Table.DETECTIONS: (
        "segment",
        "pts_ms",
        "det",
        "track",
        "label",
        "score",
        "source",
        "box_left",
        "box_top",
        "box_width",
        "box_height",
        "face_of",
    ),
    Table.EMBEDDINGS: ("segment", "space", "kind", "ref", "pts_ms", "dimension", "v"),
}

# What makes a row unique within its session, which is also the order in which a store gives rows back.
KEYS: Mapping[Table, tuple[str, ...]] = {
    Table.SEGMENTS: ("segment",),
    Table.TRACKS: ("track",),
    Table.SCENES: ("scene",),
    Table.DETECTIONS: ("pts_ms", "det"),
    Table.EMBEDDINGS: ("space", "kind", "ref"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a session is asked to do.

    `fingerprint` is a digest over everything that the rows depend on: video, models, parameters, version of the code. Rows of
    another fingerprint are not gone on with but replaced. `request` says the same in words, as JSON values, and under `result` where
    the pictures go, on which the rows do not depend.
    """

    session_id: str
    fingerprint: str
    video_url: str
    request: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The answer to a claim: this is attempt number `attempt` (from 1), and `next_segment` is the first that is not committed.

    `checkpoint` is what the last committed segment left, None when nothing is. `finished` is what `finish` gave the attempt
    that finished this very work, None when none did. `fruitless` attempts in a row before this one failed or died without having
    committed anything; those that were told to stop do not count. `replaces` says that other work of the session was finished here.
    """

    attempt: int
    next_segment: int = 0
    checkpoint: Mapping[str, Any] | None = None
    finished: Mapping[str, Any] | None = None
    fruitless: int = 0
    replaces: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRows:
    """Everything that one segment adds, and `checkpoint`, JSON values from which the next segment goes on.

    Rows have the columns of `COLUMNS`. A row belongs to the segment that writes it: a track to the one in which it ends, a
    detection to the one in which its track is known, which may be the one after its time.
    """

    segment: int
    rows: Mapping[Table, Sequence[Row]]
    checkpoint: Mapping[str, Any] = field(default_factory=dict)


class Store(Protocol):
    """Raises `DependencyDown` when it does not serve and `Mismatch` when it refuses; both name what and why."""

    @property
    def name(self) -> str:
        """One word for the result document."""

    def check(self) -> None:
        """Fail now if rows could not be stored later."""

    def claim(self, work: Work) -> Claim:
        """Begin an attempt; of a session that holds other work, or none, everything is removed first.

        Raises: Busy, while another attempt of the session is alive; RequestInvalid, where the place holds another session, or the
        pictures of this one, of the same work, lie elsewhere.
        """

    def begin(self, segment: int) -> int:
        """Note that work on `segment` begins; returns how many attempts died while they worked on it."""

    def commit(self, rows: SegmentRows) -> None:
        """Store one segment in place of whatever it had, all of it or nothing.

        Raises: Superseded, when another attempt has claimed the session since.
        """

    def progress(self, done: float) -> None:
        """Note how much of the video is done, 0 to 1; may be called often."""

    def finish(self, outcome: Mapping[str, Any]) -> Mapping[str, Any]:
        """Note that the work is done, and how; returns `outcome` as it is noted: with `rows`, their number per table in the store."""

    def give_up(self, outcome: Mapping[str, Any]) -> None:
        """Note why this attempt ends before its time; what it begun does not count as died. Never raises.

        An attempt whose `status` is `interrupted` was told to stop, and is not fruitless either.
        """

    def read(self, table: Table) -> Iterator[Row]:
        """The session's committed rows in the order of their keys, a few at a time.

        Raises: Mismatch, also at the end, where rows of finished work are damaged, or not as many as `finish` noted.
        """

    def close(self) -> None:
        """End the attempt's hold on the session; a store that is gone is no error."""
