"""A small copy of the video that browsers play, upright and with the video's own times."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2

from analyzer.backends.base import Pixels
from analyzer.errors import InputUnreadable
from analyzer.sample import RateSampler
from analyzer.video import Coverage, VideoInfo, frames, probe

# Milliseconds, as in the document; H.264 in MP4 is what every browser plays.
TIME_BASE = Fraction(1, 1000)
# A picture every two seconds that decodes by itself: a click anywhere shows its frame at once.
KEYFRAME_MS = 2000
# Above this rate a small picture of one camera does not look better.
RATE_MAX_KBPS = 900
# MP4 itself: about this much per frame, and twice that for its tables.
OVERHEAD_BYTES_PER_FRAME = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Size and rate of a proxy that gets at least `kbps`."""

    kbps: int
    side_px: int
    fps: int


# What still looks well at each rate, by trial on street scenes; below the last one, people are no longer told apart.
LADDER = (
    Quality(kbps=250, side_px=640, fps=30),
    Quality(kbps=120, side_px=480, fps=15),
    Quality(kbps=40, side_px=320, fps=8),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """`content` is a whole MP4."""

    content: bytes
    width: int
    height: int
    quality: Quality


def choose_quality(duration_ms: int, limit_bytes: int) -> Quality | None:
    """The best that fits; None when nothing worth seeing does."""
    seconds = max(1.0, duration_ms / 1000)
    for each in LADDER:
        kbps = int((limit_bytes - OVERHEAD_BYTES_PER_FRAME * each.fps * seconds) * 8 / 1000 / seconds)
        if kbps >= each.kbps:
            return Quality(kbps=min(kbps, RATE_MAX_KBPS), side_px=each.side_px, fps=each.fps)
    return None


def make_film(
    path: Path, *, size_bytes: int, duration_ms: int, limit_bytes: int, on_decoded: Callable[[int, int], None]
) -> Film | None:
    """Encode the video at `path`, which must have `size_bytes`; None when no quality fits `limit_bytes`.

    Raises: InputUnreadable, when it is another file, or nothing of it decodes.
    """
    info = probe(path, name=str(path))
    if info.size_bytes != size_bytes:
        what = f"`{path}` has {info.size_bytes} bytes, the video of this result had {size_bytes}"
        raise InputUnreadable(
            "video-of-another-result", what, hint="Name the video that was analysed, or leave out `--video`"
        )
    quality = choose_quality(duration_ms, limit_bytes)
    if quality is None:
        return None
    width, height = _even_size(info, quality.side_px)
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as container:
        stream = _stream(container, quality, width, height)
        last_key_ms = -KEYFRAME_MS
        for pts_ms, pixels in _pictures(path, info, quality, on_decoded):
            small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
            frame = av.VideoFrame.from_ndarray(small, format="bgr24")
            frame.pts, frame.time_base = pts_ms, TIME_BASE
            if pts_ms - last_key_ms >= KEYFRAME_MS:
                frame.pict_type, last_key_ms = av.video.frame.PictureType.I, pts_ms
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return Film(content=target.getvalue(), width=width, height=height, quality=quality)


def _stream(container: Any, quality: Quality, width: int, height: int) -> Any:
    stream = container.add_stream("libx264", rate=quality.fps)
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.codec_context.time_base = TIME_BASE
    stream.codec_context.bit_rate = 1000 * quality.kbps
    # Without B frames a picture's time is the time at which it stands in the file, and no edit list shifts it.
    stream.options = {
        "preset": "veryfast",
        "bf": "0",
        "crf": "26",
        "maxrate": f"{quality.kbps}k",
        "bufsize": f"{2 * quality.kbps}k",
    }
    return stream


def _pictures(
    path: Path, info: VideoInfo, quality: Quality, on_decoded: Callable[[int, int], None]
) -> Iterator[tuple[int, Pixels]]:
    """Upright BGR pictures with increasing times in milliseconds."""
    coverage, last_ms = Coverage(), -1
    for frame in frames(path, info, RateSampler(quality.fps).takes, coverage, name=str(path)):
        if frame.pts_ms > last_ms:
            last_ms = frame.pts_ms
            yield frame.pts_ms, frame.pixels
        on_decoded(coverage.decoded_ms, coverage.total_ms or 0)


def _even_size(info: VideoInfo, side_px: int) -> tuple[int, int]:
    """At most `side_px` a side; 4:2:0 needs even sides."""
    ratio = min(1.0, side_px / max(info.width, info.height))
    width, height = (max(2, 2 * round(each * ratio / 2)) for each in (info.width, info.height))
    return width, height
