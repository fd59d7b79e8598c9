"""The video of a smoke job where the configuration names none: three seconds of a drawn face, which ships with capctl."""

from pathlib import Path

# Of the file beside this module; `tests/dev/clip.py` draws and encodes it.
CLIP_SHA256 = "ac9df24685cb49d03a469be231aca6729918234bb1681dea944407ecbeb647f6"
# By its content, so that two versions of capctl with different clips do not overwrite each other's.
CLIP_NAME = f"golden-{CLIP_SHA256[:12]}.mp4"


def golden_clip() -> bytes:
    """The clip: H.264 in MP4."""
    return Path(__file__).with_name("golden_clip.mp4").read_bytes()
