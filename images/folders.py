"""Which folders hold the bytes: a tree that is as deep as they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

# A folder that holds all but this much of another one stands for it.
_SPLINTER = 0.01
# Folders that stand for all that a layer brings hold at least this much of it together, and no one of them alone.
_BULK = 0.75
_MOST_MAIN = 3
# Less of it is not worth a word beside them.
_CRUMB = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderCost:
    """A folder with all below it. `layers`: how much each brought, the most first, counted from 1, the lowest."""

    path: str
    size_bytes: int
    files: int
    layers: tuple[tuple[int, int], ...]


@dataclass(slots=True, eq=False)
class Folder:
    """A folder of a tree that `tree_of` made."""

    path: str
    size_bytes: int = 0
    files: int = 0
    layers: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    children: dict[str, Folder] = field(default_factory=dict)

    @property
    def cost(self) -> FolderCost:
        """The folder as a plain value."""
        layers = sorted(self.layers.items(), key=lambda item: (-item[1], item[0]))
        return FolderCost(
            path=self.path or "/", size_bytes=self.size_bytes, files=self.files, layers=tuple(_only_heavy(layers))
        )


def tree_of(files: Iterable[tuple[str, int, int]]) -> Folder:
    """The root, from the path, the bytes and the layer (from 1) of each file."""
    root = Folder(path="")
    for path, size_bytes, layer in files:
        node = root
        _add(node, size_bytes, layer)
        for name in path.split("/")[:-1]:
            below = node.children.get(name)
            if below is None:
                below = node.children[name] = Folder(path=f"{node.path}/{name}")
            node = below
            _add(node, size_bytes, layer)
    return root


def largest_folders(root: Folder, *, top: int, depth: int | None = None) -> tuple[FolderCost, ...]:
    """The `top` largest folders below `root` at whatever depth, at most `depth` names deep, in the order of a tree.

    A folder is left out for one in it that holds all but a splinter of its bytes.
    """
    waiting = [(-each.size_bytes, each.path, each) for each in root.children.values()]
    heapify(waiting)
    chosen: list[Folder] = []
    while waiting and len(chosen) < top:
        folder = heappop(waiting)[2]
        may_go_deeper = depth is None or folder.path.count("/") < depth
        if not folder.size_bytes:
            break
        inside = list(folder.children.values()) if may_go_deeper else []
        if not _heir(folder, inside):
            chosen.append(folder)
        for each in inside:
            heappush(waiting, (-each.size_bytes, each.path, each))
    return tuple(each.cost for each in sorted(chosen, key=lambda each: each.path.split("/")))


def main_folders(root: Folder) -> tuple[FolderCost, ...]:
    """One to three folders, none within another, that tell best where the bytes are; none when there are none."""
    if not root.size_bytes:
        return ()
    whole = _descended(root)
    parts = sorted(whole.children.values(), key=lambda each: (-each.size_bytes, each.path))[:_MOST_MAIN]
    bulk = _BULK * whole.size_bytes
    is_split = whole is root or all(each.size_bytes < bulk for each in parts)
    if is_split and sum(each.size_bytes for each in parts) >= bulk:
        return tuple(_descended(each).cost for each in parts if each.size_bytes > _CRUMB * whole.size_bytes)
    return (whole.cost,)


def _add(folder: Folder, size_bytes: int, layer: int) -> None:
    folder.size_bytes += size_bytes
    folder.files += 1
    folder.layers[layer] += size_bytes


def _descended(folder: Folder) -> Folder:
    while heir := _heir(folder, folder.children.values()):
        folder = heir
    return folder


def _heir(folder: Folder, inside: Iterable[Folder]) -> Folder | None:
    """The one that holds all but a splinter of the folder."""
    return next((each for each in inside if each.size_bytes >= (1 - _SPLINTER) * folder.size_bytes), None)


def _only_heavy(layers: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """A layer that brought only empty files brought nothing that costs."""
    return ((number, size_bytes) for number, size_bytes in layers if size_bytes)
