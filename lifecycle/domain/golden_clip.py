"""The video of a smoke job where the configuration names none: three seconds of a drawn face, which ships with capctl."""

from pathlib import Path

CLIP = Path(__file__).with_name("golden_clip.mp4")
# `python -m tests.dev clip` draws and encodes it.
CLIP_SHA256 = "6dc2108981bc5506899ed4f4598bc426ad62aa437d553ccad86aaea6c3e34a32"
# By its content, so that two versions of capctl with different clips do not overwrite each other's.
CLIP_NAME = f"golden-{CLIP_SHA256[:12]}.mp4"
