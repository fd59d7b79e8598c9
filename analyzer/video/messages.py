"""What parent and child say to each other: settings once, messages line by line; the parent answers with the numbers of free slots."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Message(StrEnum):
    STARTED = "started"
    OPENED = "opened"
    BEGUN = "begun"
    FRAME = "frame"
    SEGMENT = "segment"
    BEAT = "beat"
    END = "end"
    AGAIN = "again"
    FAILED = "failed"
    FAULT = "fault"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the parent asks for; `memory` is the descriptor of an anonymous file that both map.

    `info` is what an earlier child, or an earlier attempt, made of the video's first frame: pictures have its size, wherever reading
    begins. A `careful` child decodes with one thread and as much of a damaged picture as it can; another one ends at the first damage.
    """

    path: str
    name: str
    mode: str
    fps: float
    segment_ms: int
    ring_bytes: int
    memory: int
    memory_limit_bytes: int
    position: dict[str, Any] | None = None
    info: dict[str, Any] | None = None
    skip_segment: bool = False
    careful: bool = False
