"""A real clip of people who walk: surveillance of a junction, 80 s of 768x576 at 10 fps, part of OpenCV's samples.

Debian ships it in `opencv-doc`. It is taken out of that package, which is not installed, and kept below the cache folder.
"""

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2

from analyzer.backends.base import Pixels
from analyzer.sample import RateSampler
from lifecycle.adapters.cache_folder import cache_folder
from tests.bench.timing import run

PACKAGE = "opencv-doc"
MEMBER = "./usr/share/doc/opencv-doc/examples/data/vtest.avi"
SHA256 = "45cddc9490be69345cbdab64ca583be65987e864ca408038e648db99e10516cf"


class ClipMissing(Exception):
    """The package cannot be had here; the message says why."""


def walkers_clip() -> Path:
    """Where the clip lies; the first time it is fetched (96 MB, of which 8 are kept).

    Raises: ClipMissing, when Debian's packages do not reach this machine; RuntimeError, when the package holds another clip.
    """
    path = cache_folder() / "footage" / f"{SHA256[:16]}.avi"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            found = _fetch(Path(folder))
            if hashlib.sha256(found.read_bytes()).hexdigest() != SHA256:
                raise RuntimeError(
                    f"`{MEMBER}` of the package `{PACKAGE}` is not the clip with the digest sha256:{SHA256}"
                )
            found.replace(path)
    return path


def sampled_pictures(clip: Path, *, fps: float, side_px: int, until_ms: int) -> Iterator[tuple[int, Pixels]]:
    """Times in milliseconds and pictures (BGR, no side longer than `side_px`), as the analyzer samples them."""
    sampler = RateSampler(fps)
    with av.open(str(clip)) as container:
        for frame in container.decode(video=0):
            seconds = Fraction(frame.pts) * frame.time_base
            if seconds * 1000 > until_ms:
                return
            if sampler.takes(seconds):
                picture = frame.to_ndarray(format="bgr24")
                ratio = min(1.0, side_px / max(picture.shape[:2]))
                yield (
                    round(seconds * 1000),
                    cv2.resize(picture, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA),
                )


def _fetch(folder: Path) -> Path:
    if missing := [name for name in ("apt-get", "dpkg-deb") if shutil.which(name) is None]:
        raise ClipMissing(f"`{missing[0]}` is not installed")
    loaded = subprocess.run(
        ["apt-get", "download", PACKAGE],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if loaded.returncode:
        raise ClipMissing(f"`apt-get download {PACKAGE}` failed: {loaded.stderr.strip()[-200:]}")
    (package,) = folder.glob("*.deb")
    run("dpkg-deb", "--extract", str(package), str(folder / "tree"))
    return folder / "tree" / MEMBER
