"""What tells two images apart."""

from dataclasses import dataclass

from images.difference import FileState, ImageDifference, LayerOf, PathChange, Side, ValueChange, difference
from images.index import ImageIndex
from lifecycle.domain.image import ImageRef
from lifecycle.domain.measures import size_text

__all__ = [
    "ComparedImages",
    "FileState",
    "ImageDifference",
    "LayerOf",
    "PathChange",
    "Side",
    "ValueChange",
    "change_text",
    "compared",
    "sums_text",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedImages:
    """Two images and what is not the same in `after`."""

    before: ImageRef
    after: ImageRef
    found: ImageDifference


def compared(before: tuple[ImageRef, ImageIndex], after: tuple[ImageRef, ImageIndex]) -> ComparedImages:
    """Compare two images."""
    return ComparedImages(before=before[0], after=after[0], found=difference(before[1], after[1]))


def change_text(change: PathChange) -> str:
    """What became of a path: `12.3 MB`, `12.3 MB -> 12.4 MB`, `3 B, mode 0644 -> 0755`, `link a -> b`, `symlink -> file`."""
    one, other = change.before, change.after
    if one is None or other is None:
        state = one or other
        return _text(state) if state else ""
    if one.kind != other.kind:
        return f"{one.kind} -> {other.kind}"
    if one.kind == "folder":
        return f"mode {one.mode:04o} -> {other.mode:04o}"
    before, after = _text(one), _text(other)
    texts = [before if before == after else f"{before} -> {after}"]
    if one.mode != other.mode:
        texts.append(f"mode {one.mode:04o} -> {other.mode:04o}")
    return ", ".join(texts)


def sums_text(changes: tuple[PathChange, ...]) -> str:
    """How many, in words: `1 added, 2 changed`; "" when there are none."""
    kinds = [change.change for change in changes]
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in ("added", "removed", "changed") if kind in kinds)


def _text(state: FileState) -> str:
    return size_text(state.size_bytes) if state.kind == "file" else f"{state.kind} {state.link}".rstrip()
