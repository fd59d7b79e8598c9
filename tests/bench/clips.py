"""The clips that the analyzer is measured on, made once by the program `ffmpeg` and kept in the user's cache folder."""

from __future__ import annotations

from pathlib import Path

from lifecycle.adapters.cache_folder import cache_folder
from tests.bench.timing import run

# Changed with what the clips are, so that no clip of another kind is found under the name.
_VERSION = 1
SECONDS = 40
LONG_S = 7200
_PICTURE = "testsrc2=size=1920x1080:rate={fps},noise=alls=8:allf=t"


def usual_clip() -> Path:
    """1080p30 H.264 of 6 Mb/s for 40 s, a keyframe every two seconds, deblocked, without B-frames, as cameras encode it.

    Two cores decode 600 to 750 frames of it a second, as of the clip at which the bounds were set.
    """
    return _busy("usual", "ultrafast", "-x264-params", "no-deblock=0:deblock=0,0")


def quick_clip() -> Path:
    """The same without deblocking, which takes about three quarters of the time to decode."""
    return _busy("quick", "ultrafast")


def dense_clip() -> Path:
    """The usual one with B-frames and arithmetic coding, which takes twice as long to decode."""
    return _busy("dense", "veryfast")


def _busy(name: str, preset: str, *options: str) -> Path:
    return _made(
        f"{name}-{_VERSION}.mp4",
        *("-f", "lavfi", "-i", _PICTURE.format(fps=30), "-t", str(SECONDS)),
        *("-c:v", "libx264", "-preset", preset, *options, "-pix_fmt", "yuv420p"),
        *("-b:v", "6M", "-maxrate", "6M", "-bufsize", "12M", "-g", "60", "-keyint_min", "60", "-sc_threshold", "0"),
    )


def calm_clip(seconds: int) -> Path:
    """1080p5 H.264 that is quick to decode, for `seconds`, a multiple of 40."""
    once = _made(
        f"calm-{_VERSION}.mp4",
        *("-f", "lavfi", "-i", "testsrc2=size=1920x1080:rate=5", "-t", str(SECONDS)),
        *("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-crf", "30", "-g", "10"),
    )
    if seconds == SECONDS:
        return once
    again = str(seconds // SECONDS - 1)
    return _made(f"calm-{_VERSION}-{seconds}.mp4", "-stream_loop", again, "-i", str(once), "-c", "copy")


def _made(name: str, *arguments: str) -> Path:
    path = cache_folder() / "bench" / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part.mp4")
        run("ffmpeg", "-v", "error", "-nostdin", *arguments, "-y", str(part))
        part.rename(path)
    return path
