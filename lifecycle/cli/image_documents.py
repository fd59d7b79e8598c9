"""The JSON documents of `capctl image` that are not in `documents.py`, by the rules of that file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from lifecycle.domain.image_content import LocalImage

Document = dict[str, Any]


def image_layout(folder: Path, image: LocalImage, *, run: Sequence[str], changed: bool) -> Document:
    """An image in a layout; `digest` is the one that a push would give it, `run` the command line once it is loaded, as words."""
    return {
        "layout": str(folder),
        "tag": image.tag,
        "digest": image.content.digest,
        "bytes": image.content.size_bytes,
        "changed": changed,
        "run": list(run),
    }


def image_load(image: LocalImage, image_id: str, *, run: Sequence[str], changed: bool) -> Document:
    """An image in the engine; `id` is the engine's, `digest` that of the registry, `run` the command line that runs it, as words."""
    return {
        "name": image.name,
        "id": image_id,
        "digest": image.content.digest,
        "changed": changed,
        "run": list(run),
    }
