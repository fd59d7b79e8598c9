"""Small videos of every kind that PyAV can write, and ways to damage them."""

from __future__ import annotations

import io
import random
import tempfile
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

FRAMES, FPS, GOP = 48, 24, 12
_FLV_VIDEO = 9
_MPEG_VIDEO, _BOTH_TIMES = 0xE0, 0xC0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a clip is written; `times` are in frames, `first_keyframe` False leaves the first picture out."""

    codec: str = "libx264"
    container: str = "matroska"
    size: tuple[int, int] = (160, 120)
    frames: int = FRAMES
    pixels: str = "yuv420p"
    options: Mapping[str, str] = field(default_factory=lambda: {"preset": "ultrafast"})
    muxing: Mapping[str, str] = field(default_factory=dict)
    times: Callable[[int], int] = lambda index: index
    first_keyframe: bool = True


_NONE: Mapping[str, str] = {}
CONTAINERS: Mapping[str, Recipe] = {
    "mp4, index first": Recipe(container="mp4", muxing={"movflags": "faststart"}),
    "mp4, index last": Recipe(container="mp4", options={"preset": "veryfast", "bf": "2"}),
    "mp4, fragments": Recipe(container="mp4", muxing={"movflags": "frag_keyframe+empty_moov"}),
    "mkv": Recipe(),
    "mpegts": Recipe(container="mpegts"),
    "bare h264": Recipe(container="h264"),
    "avi": Recipe(codec="mpeg4", container="avi", options=_NONE),
    "mjpeg": Recipe(codec="mjpeg", container="avi", pixels="yuvj420p", options=_NONE),
    "mpeg": Recipe(codec="mpeg2video", container="mpeg", options=_NONE),
    "hevc": Recipe(codec="libx265", container="mp4", options={"preset": "ultrafast", "x265-params": "log-level=none"}),
    "webm": Recipe(codec="libvpx-vp9", container="webm", options={"deadline": "realtime", "cpu-used": "8"}),
    "flv": Recipe(container="flv"),
}


def _pictures(width: int, height: int, count: int) -> Iterator[NDArray[np.uint8]]:
    dice = np.random.default_rng(5)
    coarse = dice.integers(0, 246, (height // 8 + 1, width // 8 + 1), np.uint8)
    pattern = coarse.repeat(8, 0).repeat(8, 1)[:height, :width]
    for index in range(count):
        yield np.roll(pattern, 3 * index, 1) + dice.integers(0, 9, pattern.shape, np.uint8)


class _Pipe(io.RawIOBase):
    """What a muxer writes into when it cannot go back."""

    def __init__(self) -> None:
        self.content = bytearray()

    def write(self, data: object) -> int:
        self.content += bytes(data)  # type: ignore[call-overload]
        return len(bytes(data))  # type: ignore[call-overload]

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False


def write(recipe: Recipe, *, piped: bool = False) -> bytes:
    """A clip whose pattern moves to the right over a little noise; `piped` through something in which no muxer can go back."""
    if piped:
        pipe = _Pipe()
        _write(recipe, pipe)
        return bytes(pipe.content)
    # A name, because an index that comes first is written by reading the file again.
    with tempfile.NamedTemporaryFile() as file:
        _write(recipe, file.name)
        return Path(file.name).read_bytes()


def _write(recipe: Recipe, target: str | _Pipe) -> None:
    width, height = recipe.size
    with av.open(target, "w", format=recipe.container, options=dict(recipe.muxing)) as container:
        stream = container.add_stream(recipe.codec, rate=FPS)
        stream.width, stream.height, stream.pix_fmt = width, height, recipe.pixels
        stream.options = {"g": str(GOP), "threads": "1", **recipe.options}
        packets = []
        for index, picture in enumerate(_pictures(width, height, recipe.frames)):
            frame = av.VideoFrame.from_ndarray(picture, format="gray")
            frame.pts, frame.time_base = recipe.times(index), Fraction(1, FPS)
            packets += stream.encode(frame)
        packets += stream.encode()
        for packet in packets[not recipe.first_keyframe :]:
            container.mux(packet)


def write_many_streams(count: int) -> bytes:
    """One picture in each of `count` video streams."""
    target = io.BytesIO()
    with av.open(target, "w", format="matroska") as container:
        streams = [container.add_stream("mjpeg", rate=FPS) for _ in range(count)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 16, 16, "yuvj420p"
        for stream in streams:
            for packet in (*stream.encode(av.VideoFrame(16, 16, "yuvj420p")), *stream.encode()):
                container.mux(packet)
    return target.getvalue()


def with_a_late_time(flv: bytes, *, index: int) -> bytes:
    """An FLV file in which one picture is said to come more than two hours after the others."""
    changed, place, seen = bytearray(flv), 13, 0
    while seen <= index:
        seen += changed[place] == _FLV_VIDEO
        tag, place = place, place + 15 + int.from_bytes(changed[place + 1 : place + 4], "big")
    changed[tag + 4 : tag + 7] = b"\x7f\xff\xff"
    return bytes(changed)


def with_late_pictures(mpegts: bytes, indices: Container[int]) -> bytes:
    """An MPEG-TS file, of pictures that are stored in another order, in which these are said to be shown an hour after the others."""
    changed, place, seen, mark = bytearray(mpegts), -1, 0, bytes((0, 0, 1, _MPEG_VIDEO))
    while (place := changed.find(mark, place + 1)) >= 0:
        # Five bytes: 33 bits of time, with marks between them; a second time, that of decoding, follows.
        head, both = changed[place : place + 14], _BOTH_TIMES
        if head[7] & both == both:
            if seen in indices:
                pts = (head[9] >> 1 & 7) << 30 | head[10] << 22 | head[11] >> 1 << 15 | head[12] << 7 | head[13] >> 1
                pts += 3600 * 90_000
                parts = (
                    pts >> 29 & 0x0E | 0x31,
                    pts >> 22 & 0xFF,
                    pts >> 14 & 0xFE | 1,
                    pts >> 7 & 0xFF,
                    pts << 1 & 0xFE | 1,
                )
                changed[place + 9 : place + 14] = bytes(parts)
            seen += 1
    return bytes(changed)


def cut_off(content: bytes) -> bytes:
    """The first six tenths."""
    return content[: len(content) * 6 // 10]


def scatter(content: bytes, *, seed: int, places: int = 6, head: int = 2000) -> bytes:
    """Four random bytes at each of `places` places that are not in the first or last `head` bytes."""
    dice, damaged = random.Random(seed), bytearray(content)
    for _ in range(places):
        place = dice.randrange(head, len(damaged) - head)
        damaged[place : place + 4] = dice.randbytes(4)
    return bytes(damaged)


def burst(content: bytes) -> bytes:
    """A twentieth of it, in the middle, is noise."""
    middle, length = len(content) // 2, len(content) // 20
    return content[:middle] + random.Random(1).randbytes(length) + content[middle + length :]
