"""Reading that begins in the middle of a video gives what reading from its beginning gives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from analyzer.video.decoder import Decoder, Sampling
from tests.fakes import videos
from tests.fakes.videos import Recipe
from tests.unit.analyzer.readings import ClipMaker, Reading, collect


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


def _assert_same(path: Path, whole: Reading, *, fps: float, segment_ms: int) -> None:
    for number, summary in enumerate(whole.segments[:-1]):
        part = _read_on(path, whole, number, fps=fps, segment_ms=segment_ms)
        assert part.segments == whole.segments[number + 1 :]
        later = [index for index, ms in enumerate(whole.times) if ms >= summary.end_ms]
        assert part.times == [whole.times[index] for index in later]
        assert all(np.array_equal(part.pictures[n], whole.pictures[index]) for n, index in enumerate(later))


def _damage(path: Path, indices: tuple[int, ...]) -> None:
    """Overwrite all but the length and kind of these packets."""
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.pos is not None]
    for place, size in (places[index] for index in indices):
        content[place + 5 : place + size] = b"\xff" * (size - 5)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("container", "gop", "damaged"),
    # With a second keyframe that comes late, and pictures that need others beyond it; with one keyframe, and damage.
    [("mpegts", 70, ()), ("mp4", 999, (20, 75))],
)
def test_without_keyframes_segments_end_by_time_and_a_later_start_gives_the_same_frames(
    container: str, gop: int, damaged: tuple[int, ...], tmp_path: Path
) -> None:
    options = {"preset": "veryfast", "bf": "2", "sc_threshold": "0", "g": str(gop), "keyint_min": str(gop)}
    content = videos.write(Recipe(container=container, frames=120, options={**options, "x264-params": "open-gop=1"}))
    path = tmp_path / "clip"
    path.write_bytes(content)
    _damage(path, damaged)
    whole = collect(Decoder(path, Sampling(fps=7), name="clip", segment_ms=750))
    assert all(0 < each.end_ms - each.start_ms <= 1600 for each in whole.segments)
    assert len(whole.segments) == 4
    assert bool(sum(each.errors for each in whole.segments)) is bool(damaged)
    assert [each.following.decode_pts is None for each in whole.segments if each.following].count(True) == (gop < 120)
    _assert_same(path, whole, fps=7, segment_ms=750)


def test_no_frame_is_sampled_whose_cell_has_one_before_the_place_where_reading_begins(make_clip: ClipMaker) -> None:
    # Pictures that come out of the decoder as they go in; others of before that place come out behind it.
    path = make_clip("clip.mkv", frame_count=30, pixel_format="yuvj420p")
    # Segments begin at 500 ms, 1000 ms and so on; a cell has 370 ms, so that of most of them another segment has the first frame.
    whole = collect(Decoder(path, Sampling(fps=2.7), name="clip", segment_ms=500))
    assert whole.times == [0, 400, 800, 1200, 1500, 1900, 2300, 2600]
    for number in (0, 1, 4):
        part = _read_on(path, whole, number, fps=2.7, segment_ms=500)
        assert part.times == [ms for ms in whole.times if ms >= whole.segments[number].end_ms]


def test_pictures_that_are_said_to_be_shown_late_hide_no_others_and_move_no_place(tmp_path: Path) -> None:
    recipe = Recipe(container="mpegts", frames=96, options={"preset": "ultrafast", "bf": "2"})
    path = tmp_path / "clip"
    # The first of all, the last before a segment's end, a keyframe with which a segment begins.
    path.write_bytes(videos.with_late_pictures(videos.write(recipe), {0, 21, 48}))
    whole = collect(Decoder(path, Sampling(fps=6), name="clip", segment_ms=900))
    assert whole.times[:24] == pytest.approx([1000 * number / 6 for number in range(24)], abs=45)
    assert [each.end_ms for each in whole.segments] == pytest.approx([1000, 2000, 3000, 4000], abs=45)
    _assert_same(path, whole, fps=6, segment_ms=900)
