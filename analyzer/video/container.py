"""Open one local video file and take it apart, packet by packet; every fault of the file is a typed error or a counted one.

Runs in the decoding child only: what the file does to the libraries that parse it stays there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from analyzer.errors import InputUnreadable
from analyzer.video.info import VideoInfo

# Playlists and concatenations could make the demuxer open other files or hosts; only plain containers are read.
DEMUXERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,h264,hevc,ivf,m4v"
OPEN_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": DEMUXERS}
MAX_PIXELS = 8192 * 4320
MAX_DURATION_S = 12 * 3600
MAX_STREAMS = 32
# Rates that differ by less than this come from rounding in the container.
RATE_TOLERANCE = 0.01
INPUT_HINT = "Check that it is a complete video file: trying again will not help"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """An open file with the stream that is to be decoded, before anything of it is."""

    container: Any
    stream: Any
    size_bytes: int
    duration_ms: int | None

    def describe(self, raw: Any) -> VideoInfo:
        """What the head says, and what a decoded frame adds to it: the size of the picture, and how it is turned."""
        stream, rotation = self.stream, clockwise(raw)
        turned = rotation in (90, 270)
        rate, base = stream.average_rate, stream.base_rate
        return VideoInfo(
            container=self.container.format.name,
            codec=stream.codec_context.name,
            size_bytes=self.size_bytes,
            width=raw.height if turned else raw.width,
            height=raw.width if turned else raw.height,
            rotation=rotation,
            duration_ms=self.duration_ms,
            fps=round(float(rate or stream.guessed_rate), 3) if rate or stream.guessed_rate else None,
            variable_rate=bool(rate and base and abs(rate / base - 1) > RATE_TOLERANCE),
        )


@contextmanager
def open_video(path: Path, *, name: str) -> Iterator[Head]:
    """Read the container's head; `name` is what messages call the video.

    Raises: InputUnreadable, when the file is absent, empty, no video, or over a limit.
    """
    size_bytes = _size_of(path, name)
    with _open_container(path, name) as container:
        stream = _video_stream(container, name)
        duration_ms = _duration_ms(container, stream)
        if duration_ms is not None and duration_ms > 1000 * MAX_DURATION_S:
            raise unreadable("input-too-long", name, f"lasts {duration_ms // 1000} s, at most {MAX_DURATION_S} s")
        limit_pixels(int(stream.codec_context.width), int(stream.codec_context.height), name)
        yield Head(container=container, stream=stream, size_bytes=size_bytes, duration_ms=duration_ms)


def _open_container(path: Path, name: str) -> Any:
    """Raises: InputUnreadable, when no plain container format knows the file."""
    try:
        return av.open(str(path.resolve()), options=OPEN_OPTIONS, metadata_errors="replace")
    except av.error.MemoryError:
        # Says nothing of the file: the limit ends this child, and the parent says why.
        raise
    # PyAV itself raises ValueError for some malformed headers.
    except (av.error.FFmpegError, ValueError) as error:
        raise unreadable("input-not-a-video", name, "is not a video that can be opened") from error


def _video_stream(container: Any, name: str) -> Any:
    """What players would show, ready to be decoded. Raises: InputUnreadable."""
    if len(container.streams) > MAX_STREAMS:
        raise unreadable("input-too-large", name, f"has {len(container.streams)} streams, at most {MAX_STREAMS}")
    # The cover picture of an audio file is a video stream by name only.
    real = [each for each in container.streams.video if not each.disposition & av.stream.Disposition.attached_pic]
    if not real:
        raise unreadable("input-no-video-stream", name, "holds no video stream")
    stream = max(real, key=_importance)
    if stream.codec_context is None:
        raise unreadable("input-codec-unknown", name, "holds a video stream whose codec is unknown")
    stream.thread_type = "AUTO"
    return stream


def _importance(stream: Any) -> tuple[bool, int]:
    """The greatest is the stream that was meant to be seen, else the largest; the first of equal ones."""
    context = stream.codec_context
    area = int(context.width) * int(context.height) if context else 0
    return bool(stream.disposition & av.stream.Disposition.default), area


def pictures(stream: Any, packet: Any, errors: list[str]) -> Iterator[Any]:
    """The frames that come out when `packet` goes in (None: the last ones); what does not decode is told in `errors`."""
    try:
        decoded = stream.decode(packet)
    except av.error.EOFError:
        return
    except av.error.MemoryError:
        raise
    except av.error.FFmpegError as error:
        errors.append(told(error))
        return
    yield from decoded


def told(error: Exception) -> str:
    """One line for the result document."""
    return f"{type(error).__name__}: {getattr(error, 'strerror', None) or error}"


def clockwise(raw: Any) -> int:
    """Degrees clockwise (0, 90, 180, 270) from the stored to the upright picture."""
    # PyAV tells the angle counter-clockwise, -180..180.
    quarter_turns = round(int(raw.rotation) / 90)
    return -90 * quarter_turns % 360


def limit_pixels(width: int, height: int, name: str) -> None:
    """Raises: InputUnreadable, for a picture without pixels or with more than an 8K one has."""
    if not 0 < width * height <= MAX_PIXELS:
        raise unreadable("input-too-large", name, f"is {width}x{height}, expected 1 to {MAX_PIXELS} pixels")


def nothing_decodes(name: str, first_error: str) -> InputUnreadable:
    reason = f": {first_error}" if first_error else ""
    return unreadable("input-undecodable", name, f"has a video stream, but no frame of it decodes{reason}")


def unreadable(code: str, name: str, what: str) -> InputUnreadable:
    return InputUnreadable(code, f"The video `{name}` {what}", hint=INPUT_HINT)


def _size_of(path: Path, name: str) -> int:
    try:
        size_bytes = path.stat().st_size
        if not path.is_file():
            raise unreadable("input-not-a-file", name, "is not a regular file")
        with path.open("rb"):
            pass
    except OSError as error:
        raise unreadable("input-missing", name, f"cannot be read: {error.strerror or error}") from error
    if size_bytes == 0:
        raise unreadable("input-empty", name, "is empty")
    return size_bytes


def _duration_ms(container: Any, stream: Any) -> int | None:
    if stream.duration:
        return int(1000 * stream.duration * stream.time_base)
    if not container.duration:
        return None
    # Matroska tells its end, from zero.
    start = container.start_time if "matroska" in container.format.name else None
    length = container.duration - start if start and 0 < start < container.duration else container.duration
    return int(length * 1000 / av.time_base)
