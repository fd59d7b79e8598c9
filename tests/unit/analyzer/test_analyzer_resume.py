"""Reading that begins in the middle of a video gives what reading from its beginning gives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from analyzer.video.decoder import Decoder, Sampling
from tests.fakes import videos
from tests.unit.analyzer.test_analyzer_video import Reading, collect


def _read_on(path: Path, whole: Reading, number: int, *, fps: float, segment_ms: int) -> Reading:
    """As the attempt does that comes after segment `number` was committed."""
    summary = whole.segments[number]
    decoder = Decoder(
        path,
        Sampling(fps=fps),
        name="clip",
        position=summary.following,
        start_ms=summary.end_ms,
        info=whole.info,
        segment_ms=segment_ms,
    )
    return collect(decoder)


def test_pictures_have_the_size_of_the_first_one_wherever_reading_begins(tmp_path: Path) -> None:
    recipe = videos.CONTAINERS["mpegts"]
    path = tmp_path / "clip"
    path.write_bytes(videos.write(recipe) + videos.write(replace(recipe, size=(80, 96), frames=96)))
    whole = collect(Decoder(path, Sampling(fps=6), name="clip", segment_ms=2000))
    assert len(whole.segments) == 3
    part = _read_on(path, whole, 1, fps=6, segment_ms=2000)
    assert part.info == whole.info
    assert part.segments == whole.segments[2:]
    assert len(part.times) > 10
    assert {each.shape for each in part.pictures} == {each.shape for each in whole.pictures}
