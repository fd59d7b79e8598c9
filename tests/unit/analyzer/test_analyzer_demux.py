"""Packets of files in which the demuxer loses its place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import av

from analyzer.video import demux
from analyzer.video.container import open_video
from tests.fakes import videos

# The demuxer of MPEG-TS gives up every 64 KB.
HOLE_BYTES = (2 * demux.TRIES) << 16


def test_a_hole_of_any_size_loses_only_what_was_in_it(tmp_path: Path) -> None:
    whole = videos.write(videos.CONTAINERS["mpegts"])
    half = len(whole) // 376 * 188
    path = tmp_path / "clip.ts"
    path.write_bytes(whole[:half] + bytes(HOLE_BYTES) + whole[half:])
    told: list[str | None] = []
    with open_video(path, name="clip") as head:
        read = [each for each in demux.packets(head.container, head.stream, path, told.append) if each.size]
    assert videos.FRAMES - 2 <= len(read) <= videos.FRAMES
    # A beat for each try, so that the parent knows that the child lives; one error.
    assert len(told) > demux.TRIES
    assert [each for each in told if each] == told[:1]


def test_a_demuxer_that_gets_no_further_ends_the_video(tmp_path: Path) -> None:
    path = tmp_path / "clip"
    path.write_bytes(bytes(9))
    asked: list[object] = []

    def fail(stream: object) -> Iterator[None]:
        asked.append(stream)
        yield from ()
        raise av.error.BlockingIOError(11, "again")

    with path.open("rb") as file:
        file.read(4)
        assert not list(demux.packets(SimpleNamespace(demux=fail), None, path, lambda _: None))
    assert len(asked) == demux.TRIES + 1
