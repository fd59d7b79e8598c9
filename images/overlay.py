"""The file system that the layers of an image make: what is seen in it, what upper layers hide, what is there more than once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import takewhile

from images.index import FileEntry, ImageIndex, LayerIndex

Placed = tuple[LayerIndex, FileEntry]

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"


def overlay(index: ImageIndex) -> tuple[dict[str, Placed], list[Placed]]:
    """What a container sees, by path, and what layers hold in vain: replaced or deleted by a layer above. Without folders."""
    seen: dict[str, Placed] = {}
    hidden: list[Placed] = []
    folders: set[str] = set()
    for layer in index.layers:
        own = [entry for entry in layer.entries if entry.kind != "folder" and not _is_whiteout(entry.path)]
        gone = _gone(seen, folders, replaced={entry.path for entry in own}, layer=layer)
        hidden += [seen.pop(path) for path in gone]
        for entry in own:
            # A folder that is known has known ones above it.
            folders.update(takewhile(lambda folder: folder not in folders, _parents(entry.path)))
        for entry in own:
            if entry.path in seen:
                hidden.append(seen[entry.path])
            seen[entry.path] = (layer, entry)
    return seen, hidden


def duplicates(index: ImageIndex) -> list[tuple[Placed, Placed]]:
    """Files that a container sees and whose content a lower layer shows it too, each with the lowest such file."""
    seen, _ = overlay(index)
    height = {layer.digest: number for number, layer in enumerate(index.layers)}
    copies: dict[str, list[Placed]] = defaultdict(list)
    for placed in seen.values():
        if placed[1].sha256 and placed[1].size_bytes:
            copies[placed[1].sha256].append(placed)
    found: list[tuple[Placed, Placed]] = []
    for same in copies.values():
        same.sort(key=lambda placed: (height[placed[0].digest], placed[1].path))
        # Copies within one layer are how a package was made; only layers can share.
        others = {placed[0].digest: placed for placed in reversed(same) if placed[0].digest != same[0][0].digest}
        found += [(placed, same[0]) for placed in others.values()]
    return found


def _gone(seen: dict[str, Placed], folders: set[str], *, replaced: set[str], layer: LayerIndex) -> list[str]:
    """Paths that `layer` replaces or deletes; `folders` are those of the layers below, and maybe more."""
    deleted, emptied = set[str](), set[str]()
    for entry in layer.entries:
        folder, _, name = entry.path.rpartition("/")
        if name == _OPAQUE:
            emptied.add(folder)
        elif name.startswith(_WHITEOUT):
            deleted.add(f"{folder}/{name[len(_WHITEOUT) :]}".lstrip("/"))
    direct = (deleted | replaced) & seen.keys()
    # A file can stand where lower layers have a folder, which takes all that is in it away.
    above = deleted | replaced | emptied
    if not deleted and not emptied and not folders & replaced:
        return sorted(direct)
    return [path for path in seen if path in direct or any(parent in above for parent in _parents(path))]


def _parents(path: str) -> Iterator[str]:
    """Each folder above `path`, from the nearest up; the last is "", the root."""
    while path:
        path = path.rpartition("/")[0]
        yield path


def _is_whiteout(path: str) -> bool:
    return path.rpartition("/")[2].startswith(_WHITEOUT)
