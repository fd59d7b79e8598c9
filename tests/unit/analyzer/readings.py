"""What a decoder gives, collected for tests to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from analyzer.contract import SampleMode
from analyzer.coverage import Coverage
from analyzer.video.decoder import Decoder, Event, Opened, Sampling
from analyzer.video.info import SegmentSummary, VideoInfo
from analyzer.video.planes import Frame

ClipMaker = Callable[..., Path]


@dataclass
class Reading:
    """What a decoder gave; pictures are copies, reduced."""

    info: VideoInfo | None = None
    times: list[int] = field(default_factory=list)
    pictures: list[np.ndarray] = field(default_factory=list)
    segments: list[SegmentSummary] = field(default_factory=list)

    @property
    def coverage(self) -> Coverage:
        coverage = Coverage()
        for each in self.segments:
            coverage.add(each)
        return coverage


def collect(events: Iterable[Event], on_frame: Callable[[Frame], None] = lambda _: None) -> Reading:
    reading = Reading()
    for event in events:
        match event:
            case Opened(info=info):
                reading.info = info
            case Frame():
                reading.times.append(event.pts_ms)
                reading.pictures.append(event.picture(64))
                on_frame(event)
                event.release()
            case SegmentSummary():
                reading.segments.append(event)
    return reading


def read(path: Path, fps: float = 10, mode: SampleMode = SampleMode.FPS, segment_ms: int = 30_000) -> Reading:
    return collect(Decoder(path, Sampling(mode=mode, fps=fps), name=path.name, segment_ms=segment_ms))
