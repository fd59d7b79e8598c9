"""Probe and decode one local video file; every fault of the file is a typed error or a counted one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from analyzer.errors import InputUnreadable

# Playlists and concatenations could make the demuxer open other files or hosts; only plain containers are read.
DEMUXERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,h264,hevc,ivf,m4v"
OPEN_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": DEMUXERS}
MAX_PIXELS = 8192 * 4320
MAX_DURATION_S = 12 * 3600
MAX_STREAMS = 32
# A damaged tail shows as missing time; containers round their duration by a frame or two.
COVERAGE_SLACK_MS = 500
INPUT_HINT = "Check that the object is a complete video file; the job will not be better for a retry"


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """What the container says; `width` and `height` are those of the upright picture.

    `rotation` is in degrees clockwise (0, 90, 180, 270) from the stored to the upright picture.
    """

    container: str
    codec: str
    size_bytes: int
    width: int
    height: int
    rotation: int
    duration_ms: int | None
    fps: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One upright picture: `pixels` uint8 (height, width, 3) BGR, `pts_ms` from the stream's start."""

    pts_ms: int
    pixels: NDArray[np.uint8]


@dataclass(slots=True)
class Coverage:
    """How much of the video was decoded; filled while it is read."""

    total_ms: int | None = None
    decoded_ms: int = 0
    frames: int = 0
    errors: int = 0
    first_error: str = field(default="")

    @property
    def complete(self) -> bool:
        short = self.total_ms is not None and self.decoded_ms < self.total_ms - COVERAGE_SLACK_MS
        return self.errors == 0 and not short

    def count_error(self, error: Exception) -> None:
        self.errors += 1
        self.first_error = self.first_error or f"{type(error).__name__}: {getattr(error, 'strerror', None) or error}"


def probe(path: Path, *, name: str) -> VideoInfo:
    """Read the container's head and decode one frame; `name` is what messages call the video.

    Raises: InputUnreadable, when the file is absent, empty, no video, over a limit, or its first frames do not decode.
    """
    try:
        size_bytes = path.stat().st_size
        if not path.is_file():
            raise _unreadable("input-not-a-file", name, "is not a regular file")
        with path.open("rb"):
            pass
    except OSError as error:
        raise _unreadable("input-missing", name, f"cannot be read: {error.strerror or error}") from error
    if size_bytes == 0:
        raise _unreadable("input-empty", name, "is empty")
    with _open(path, name) as container:
        stream = _video_stream(container, name)
        duration_ms = _duration_ms(container, stream)
        if duration_ms is not None and duration_ms > 1000 * MAX_DURATION_S:
            raise _unreadable("input-too-long", name, f"lasts {duration_ms // 1000} s, at most {MAX_DURATION_S} s")
        width, height = int(stream.codec_context.width), int(stream.codec_context.height)
        _limit_pixels(width, height, name)
        coverage = Coverage()
        first = next(_decode(container, stream, coverage), None)
        if first is None:
            raise _nothing_decodes(name, coverage)
        rotation = _clockwise(first)
        turned = rotation in (90, 270)
        rate = stream.average_rate or stream.guessed_rate
        return VideoInfo(
            container=container.format.name,
            codec=stream.codec_context.name,
            size_bytes=size_bytes,
            width=first.height if turned else first.width,
            height=first.width if turned else first.height,
            rotation=rotation,
            duration_ms=duration_ms,
            fps=round(float(rate), 3) if rate else None,
        )


def frames(
    path: Path, info: VideoInfo, wanted: Callable[[Fraction], bool], coverage: Coverage, *, name: str
) -> Iterator[Frame]:
    """Decode the whole stream and yield the frames whose time in seconds `wanted` accepts.

    A packet that fails is counted in `coverage` and skipped; only yielded frames are converted to BGR.
    Raises: InputUnreadable, when no frame at all decodes or a frame is larger than the limit.
    """
    coverage.total_ms = info.duration_ms
    with _open(path, name) as container:
        stream = _video_stream(container, name)
        start: int | None = stream.start_time
        for raw in _decode(container, stream, coverage):
            coverage.frames += 1
            if raw.pts is None:
                continue
            start = raw.pts if start is None else start
            pts_s = max(Fraction(0), (raw.pts - start) * Fraction(raw.time_base))
            coverage.decoded_ms = max(coverage.decoded_ms, round(1000 * (pts_s + _frame_s(raw, stream))))
            if wanted(pts_s):
                _limit_pixels(raw.width, raw.height, name)
                yield Frame(pts_ms=round(1000 * pts_s), pixels=_upright(raw))
    if coverage.frames == 0:
        raise _nothing_decodes(name, coverage)
    if coverage.total_ms is not None:
        coverage.decoded_ms = min(coverage.decoded_ms, coverage.total_ms)


def _open(path: Path, name: str) -> Any:
    try:
        return av.open(str(path.resolve()), options=OPEN_OPTIONS, metadata_errors="replace")
    # PyAV itself raises ValueError for some malformed headers.
    except (av.error.FFmpegError, ValueError) as error:
        raise _unreadable("input-not-a-video", name, "is not a video that can be opened") from error


def _video_stream(container: Any, name: str) -> Any:
    if len(container.streams) > MAX_STREAMS:
        raise _unreadable("input-too-large", name, f"has {len(container.streams)} streams, at most {MAX_STREAMS}")
    # The cover picture of an audio file is a video stream by name only.
    real = [each for each in container.streams.video if not each.disposition & av.stream.Disposition.attached_pic]
    if not real:
        raise _unreadable("input-no-video-stream", name, "holds no video stream")
    stream = real[0]
    if stream.codec_context is None:
        raise _unreadable("input-codec-unknown", name, "holds a video stream whose codec is unknown")
    stream.thread_type = "AUTO"
    return stream


def _decode(container: Any, stream: Any, coverage: Coverage) -> Iterator[Any]:
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError as error:
            # The demuxer lost its place in the file: nothing after this point can be found.
            coverage.count_error(error)
            return
        if packet is None:
            return
        try:
            decoded = packet.decode()
        except av.error.EOFError:
            continue
        except av.error.FFmpegError as error:
            coverage.count_error(error)
            continue
        for raw in decoded:
            if raw.is_corrupt:
                coverage.count_error(ValueError("the decoder marked a frame as corrupt"))
            else:
                yield raw


def _duration_ms(container: Any, stream: Any) -> int | None:
    if stream.duration:
        return int(1000 * stream.duration * stream.time_base)
    return int(container.duration * 1000 / av.time_base) if container.duration else None


def _frame_s(raw: Any, stream: Any) -> Fraction:
    if raw.duration:
        return Fraction(raw.duration) * Fraction(raw.time_base)
    return 1 / Fraction(stream.average_rate) if stream.average_rate else Fraction(0)


def _clockwise(raw: Any) -> int:
    # PyAV tells the angle counter-clockwise, -180..180.
    quarter_turns = round(int(raw.rotation) / 90)
    return -90 * quarter_turns % 360


def _upright(raw: Any) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = raw.to_ndarray(format="bgr24")
    turns = _clockwise(raw) // 90
    return np.ascontiguousarray(np.rot90(pixels, -turns)) if turns else pixels


def _limit_pixels(width: int, height: int, name: str) -> None:
    if not 0 < width * height <= MAX_PIXELS:
        raise _unreadable("input-too-large", name, f"is {width}x{height}, expected 1 to {MAX_PIXELS} pixels")


def _nothing_decodes(name: str, coverage: Coverage) -> InputUnreadable:
    reason = f": {coverage.first_error}" if coverage.first_error else ""
    return _unreadable("input-undecodable", name, f"has a video stream, but no frame of it decodes{reason}")


def _unreadable(code: str, name: str, what: str) -> InputUnreadable:
    return InputUnreadable(code, f"The video `{name}` {what}", hint=INPUT_HINT)
