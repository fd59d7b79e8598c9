"""Which of several video streams is looked at."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from av.stream import Disposition

from analyzer.video.container import open_video


def _write(path: Path, streams: list[tuple[int, bool]]) -> None:
    """One picture per stream; each stream's width, and whether it is the one to be shown."""
    with av.open(str(path), "w") as container:
        made = []
        for width, is_default in streams:
            stream = container.add_stream("mjpeg", rate=10)
            stream.width, stream.height, stream.pix_fmt = width, 32, "yuvj420p"
            stream.disposition = Disposition.default if is_default else Disposition(0)
            made.append(stream)
        for stream in made:
            picture = av.VideoFrame(stream.width, stream.height, "yuvj420p")
            container.mux([*stream.encode(picture), *stream.encode()])


@pytest.mark.parametrize(
    ("streams", "index"),
    [
        ([(64, False), (32, True), (96, False)], 1),
        ([(32, True), (64, True), (64, True)], 1),
        ([(64, False), (64, False), (32, False)], 0),
    ],
)
def test_the_stream_that_is_meant_to_be_shown_is_read_then_the_largest_then_the_first(
    streams: list[tuple[int, bool]], index: int, tmp_path: Path
) -> None:
    path = tmp_path / "clip.mkv"
    _write(path, streams)
    with open_video(path, name="clip") as head:
        assert (head.stream.index, head.stream.codec_context.width) == (index, streams[index][0])
