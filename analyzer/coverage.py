"""How much of a video was seen, summed up over its segments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from analyzer.video.info import SegmentSummary

# A damaged tail shows as missing time; containers round their duration by a frame or two.
SLACK_MS = 500
GAP = "packets are missing in the file"


@dataclass(slots=True, kw_only=True)
class Coverage:
    """Counts of frames and errors; `skipped` are parts that nobody could read, or that the file does not hold, with the reason."""

    decoded_ms: int = 0
    frames: int = 0
    sampled_frames: int = 0
    errors: int = 0
    first_error: str | None = None
    skipped: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def restore(cls, document: Mapping[str, Any]) -> Coverage:
        """What `document` gave before."""
        return cls(**{**document, "skipped": list(document["skipped"])})

    def add(self, summary: SegmentSummary) -> None:
        self.decoded_ms = max(self.decoded_ms, summary.decoded_ms)
        self.frames += summary.frames
        self.sampled_frames += summary.sampled_frames
        self.errors += summary.errors
        self.first_error = self.first_error or summary.first_error or None
        for start_ms, end_ms in summary.gaps:
            self.skipped = [*self.skipped, {"start_ms": start_ms, "end_ms": end_ms, "reason": GAP}]
        if summary.skipped:
            part = {"start_ms": summary.start_ms, "end_ms": summary.end_ms, "reason": summary.reason}
            self.skipped = [*self.skipped, part]

    def is_complete(self, total_ms: int | None) -> bool:
        """Whether everything decoded, to the end that the container promised."""
        short = total_ms is not None and self.decoded_ms < total_ms - SLACK_MS
        return not (self.errors or self.skipped or short)

    def document(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)
