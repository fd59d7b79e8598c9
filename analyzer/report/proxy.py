"""A small copy of the video that browsers play, upright and with the video's own times."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2

from analyzer.errors import InputUnreadable
from analyzer.video.decoder import Decoder, Event, Opened, Sampling
from analyzer.video.info import VideoInfo
from analyzer.video.planes import Frame

# Milliseconds, as in the document; H.264 in MP4 is what every browser plays.
TIME_BASE = Fraction(1, 1000)
# A picture every two seconds that decodes by itself: a click anywhere shows its frame at once.
KEYFRAME_MS = 2000
# How long the encoder may spend more than its rate.
BUFFER_S = 2
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
        kbps = int((limit_bytes - OVERHEAD_BYTES_PER_FRAME * each.fps * seconds) * 8 / 1000 / (seconds + BUFFER_S))
        if kbps >= each.kbps:
            return Quality(kbps=min(kbps, RATE_MAX_KBPS), side_px=each.side_px, fps=each.fps)
    return None


def make_film(
    path: Path, *, size_bytes: int, duration_ms: int, limit_bytes: int, on_decoded: Callable[[int, int], None]
) -> Film | None:
    """Encode the video at `path`, which must have `size_bytes`; None when no quality fits `limit_bytes`.

    Raises: InputUnreadable, when it is another file, or nothing of it decodes.
    """
    quality = choose_quality(duration_ms, limit_bytes)
    if quality is None:
        return None
    decoder = Decoder(path, Sampling(fps=quality.fps), name=str(path))
    with closing(decoder):
        events = iter(decoder)
        opened = next(events)
        assert isinstance(opened, Opened)
        if opened.info.size_bytes != size_bytes:
            what = f"`{path}` has {opened.info.size_bytes} bytes, the video of this result had {size_bytes}"
            raise InputUnreadable(
                "video-of-another-result", what, hint="Name the video that was analysed, or leave out `--video`"
            )
        width, height = _even_size(opened.info, quality.side_px)
        content = _encode(events, quality, width, height, lambda pts_ms: on_decoded(pts_ms, duration_ms))
    return Film(content=content, width=width, height=height, quality=quality)


def _encode(
    events: Iterator[Event], quality: Quality, width: int, height: int, on_frame: Callable[[int], None]
) -> bytes:
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as container:
        stream = _stream(container, quality, width, height)
        last_key_ms = last_ms = -KEYFRAME_MS
        for frame in events:
            if not isinstance(frame, Frame):
                continue
            picture, pts_ms = frame.picture(quality.side_px), frame.pts_ms
            frame.release()
            if pts_ms <= last_ms:
                continue
            small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
            raw = av.VideoFrame.from_ndarray(small, format="bgr24")
            raw.pts, raw.time_base = pts_ms, TIME_BASE
            last_ms = pts_ms
            if pts_ms - last_key_ms >= KEYFRAME_MS:
                raw.pict_type, last_key_ms = av.video.frame.PictureType.I, pts_ms
            container.mux(stream.encode(raw))
            on_frame(pts_ms)
        container.mux(stream.encode(None))
    return target.getvalue()


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
        "bufsize": f"{BUFFER_S * quality.kbps}k",
        # Only the times say where a keyframe is due.
        "g": "100000",
    }
    return stream


def _even_size(info: VideoInfo, side_px: int) -> tuple[int, int]:
    """At most `side_px` a side; 4:2:0 needs even sides."""
    ratio = min(1.0, side_px / max(info.width, info.height))
    width, height = (max(2, 2 * round(each * ratio / 2)) for each in (info.width, info.height))
    return width, height
