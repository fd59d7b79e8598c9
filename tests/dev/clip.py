"""The clip that a smoke job gets when the configuration names none: a drawn face that crosses the picture.

`python -m tests.dev clip` writes it; its digest stands in `lifecycle/domain/golden_clip.py`.
"""

from fractions import Fraction
from pathlib import Path
from typing import Any

WIDTH, HEIGHT = 320, 240
FPS, SECONDS = 10, 3
FRAMES = FPS * SECONDS


def write_clip(path: Path) -> None:
    """Encode the clip: H.264 in MP4. The same version of the encoder gives the same bytes."""
    import av

    with av.open(str(path), "w", options={"movflags": "faststart", "fflags": "bitexact"}) as container:
        # x264's assembler also judges what lies in memory beside the picture, so that it decides otherwise each time.
        options = {"x264-params": "asm=0", "crf": "26", "preset": "medium", "threads": "1", "g": str(FPS)}
        stream: Any = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = Fraction(1, FPS)
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def picture(number: int) -> Any:
    """One frame, as uint8 (height, width, 3) RGB: nobody in particular, with the light and shade of a face."""
    import numpy as np

    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    shade = 0.25 + 0.3 * rows / HEIGHT
    middle, height = WIDTH * (0.35 + 0.3 * number / FRAMES), HEIGHT * 0.48

    def blob(across: float, down: float, wide: float, high: float, value: float, soft: float = 0.25) -> None:
        """An ellipse, `across` and `down` from the middle of the face, blurred at its rim."""
        distance = np.hypot((columns - middle - across) / wide, (rows - height - down) / high)
        cover = np.clip((1 + soft / 2 - distance) / soft, 0, 1)
        shade[:] = shade * (1 - cover) + value * cover

    blob(0, 130, 105, 62, 0.30)  # shoulders
    blob(0, 70, 24, 40, 0.62)  # neck
    blob(0, -16, 66, 76, 0.12)  # hair
    blob(0, 0, 54, 70, 0.80)  # face
    blob(0, 8, 40, 50, 0.86, soft=1.2)  # light on it
    for side in (-1, 1):
        blob(side * 22, -14, 17, 11, 0.50, soft=0.9)  # hollow of the eye
        blob(side * 22, -24, 15, 3.5, 0.25, soft=0.6)  # brow
        blob(side * 22, -12, 9, 4, 0.88)  # eye
        blob(side * 22, -12, 4.2, 4.2, 0.08)
        blob(side * 7, 17, 4, 3, 0.45, soft=0.9)  # nostril
    blob(0, 0, 5, 20, 0.93, soft=1.2)  # ridge of the nose
    blob(0, 36, 20, 5, 0.38, soft=0.6)  # mouth
    blob(0, 50, 16, 5, 0.66, soft=1.2)  # shade below it
    warm = np.stack([shade, shade * 0.94, shade * 0.88], axis=-1)
    return (np.clip(warm, 0, 1) * 255).round().astype(np.uint8)
