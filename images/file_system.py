"""The file system that a container sees, from the layers of its image: whiteouts applied, links followed; and what they hide.

Rules of the OCI image specification, "Applying changesets": `.wh.NAME` deletes NAME of the layers below, `.wh..wh..opq` all that they put
into its folder; neither touches what its own layer brings. A folder over a folder keeps what is in it, anything else replaces.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from images.index import WHITEOUT, FileEntry, Kind, LayerIndex

_OPAQUE = ".wh..wh..opq"
# Of the engines that had layers before overlayfs: no file of the image, and no deletion either.
_META = ".wh..wh."
# As Linux.
_MOST_LINKS = 40

Fate = Literal["deleted", "replaced", "repeated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedFile:
    """A path of the file system. `layer` counts from 0, the lowest; it is the one that brought the content, or the folder's mode.

    `entry` is that of the content, also for a hard link; its path may be another one. `own_bytes` is what the path adds to the size of
    the whole: 0 for a further name of content that is counted at another path, which alone is told as a hard link.
    """

    path: str
    kind: Kind
    mode: int
    layer: int
    entry: FileEntry
    own_bytes: int

    @property
    def size_bytes(self) -> int:
        """Bytes of the content."""
        return self.entry.size_bytes

    @property
    def sha256(self) -> str:
        """Of the content, in hex; "" where there is none."""
        return self.entry.sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class HiddenFile:
    """Content of `layer` that no path leads to any more since `by`: deleted, replaced, or repeated with another mode, owner or time."""

    entry: FileEntry
    layer: int
    fate: Fate
    by: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSystem:
    """`placed` by their paths, sorted; the bytes of both together are those of all layers."""

    placed: dict[str, PlacedFile]
    hidden: tuple[HiddenFile, ...]

    def leads_to(self, path: str) -> str:
        """Where a path leads when each symbolic link on it is followed; "" where that is nowhere, for they lead in circles."""
        names: list[str] = []
        waiting, links = list(reversed(_pieces(path))), 0
        while waiting:
            piece = waiting.pop()
            if piece == "..":
                names = names[:-1]
                continue
            file = self.placed.get("/".join((*names, piece)))
            if file is None or file.kind != "symlink":
                names.append(piece)
                continue
            links += 1
            if links > _MOST_LINKS:
                return ""
            if file.entry.link.startswith("/"):
                names = []
            waiting += reversed(_pieces(file.entry.link))
        return "/".join(names)

    def copies(self) -> Iterator[tuple[PlacedFile, PlacedFile]]:
        """Files whose content a lower layer has already, each with the one there; what one layer has twice may be meant so."""
        first: dict[str, PlacedFile] = {}
        for file in sorted(self.placed.values(), key=lambda file: (file.layer, file.path)):
            if file.kind == "file" and file.own_bytes and file.sha256:
                same = first.setdefault(file.sha256, file)
                if same.layer < file.layer:
                    yield file, same


def file_system(layers: Sequence[LayerIndex]) -> FileSystem:
    """Put the layers over one another, from the lowest up."""
    tree = _Tree()
    for number, layer in enumerate(layers):
        for entry in layer.entries:
            if entry.is_whiteout:
                tree.delete(entry.path, number)
        for entry in layer.entries:
            if not entry.is_whiteout:
                tree.place(entry, number)
    return FileSystem(placed=dict(tree.placed()), hidden=tuple(tree.hidden()))


@dataclass(slots=True, eq=False)
class _Content:
    """The bytes of one file, and how many paths lead to them; when none does any more, why and since which layer."""

    entry: FileEntry
    layer: int
    names: int = 1
    fate: Fate = "replaced"
    by: int = -1


@dataclass(slots=True, eq=False)
class _Node:
    entry: FileEntry
    layer: int
    content: _Content | None = None
    children: dict[str, _Node] = field(default_factory=dict)

    @property
    def is_folder(self) -> bool:
        return self.entry.kind == "folder"


class _Tree:
    def __init__(self) -> None:
        self._root = _folder("", 0)
        self._contents: list[_Content] = []

    def delete(self, path: str, layer: int) -> None:
        """What the whiteout at `path` deletes of the layers below."""
        *above, name = _pieces(path)
        parent = self._below(self._real(above))
        if parent is None:
            return
        if name == _OPAQUE:
            for child in parent.children.values():
                _drop(child, "deleted", layer)
            parent.children.clear()
        elif not name.startswith(_META) and (gone := parent.children.pop(name.removeprefix(WHITEOUT), None)):
            _drop(gone, "deleted", layer)

    def place(self, entry: FileEntry, layer: int) -> None:
        pieces = _pieces(entry.path)
        if not pieces:
            return
        siblings = self._made(pieces[:-1], layer).children
        there = siblings.get(pieces[-1])
        if there and there.is_folder and entry.kind == "folder":
            there.entry, there.layer = entry, layer
            return
        node = _Node(entry=entry, layer=layer, content=self._content(entry, layer))
        if there:
            same = there.content and node.content and there.content.entry.sha256 == node.content.entry.sha256 != ""
            _drop(there, "repeated" if same else "replaced", layer)
        siblings[pieces[-1]] = node

    def placed(self) -> Iterator[tuple[str, PlacedFile]]:
        nodes = sorted(self._walk(), key=lambda item: item[0].encode(errors="surrogateescape"))
        # The path under which content came carries its bytes; when it is gone, the first of the links to it.
        carriers = {id(node.content): path for path, node in reversed(nodes) if node.content}
        carriers |= {id(node.content): path for path, node in nodes if node.content and node.entry.kind == "file"}
        for path, node in nodes:
            held, layer = (node.content.entry, node.content.layer) if node.content else (node.entry, node.layer)
            carries = carriers.get(id(node.content)) == path
            yield (
                path,
                PlacedFile(
                    path=path,
                    kind="file" if carries else node.entry.kind,
                    mode=node.entry.mode,
                    layer=layer,
                    entry=held,
                    own_bytes=held.size_bytes if carries else 0,
                ),
            )

    def hidden(self) -> Iterator[HiddenFile]:
        for content in self._contents:
            if not content.names:
                yield HiddenFile(entry=content.entry, layer=content.layer, fate=content.fate, by=content.by)

    def _content(self, entry: FileEntry, layer: int) -> _Content | None:
        if entry.kind == "file":
            made = _Content(entry=entry, layer=layer)
            self._contents.append(made)
            return made
        target = self._find(_pieces(entry.link)) if entry.kind == "hardlink" else None
        if target is None or target.content is None:
            return None
        target.content.names += 1
        return target.content

    def _find(self, pieces: Sequence[str]) -> _Node | None:
        """The node at a path, through symbolic links except at its end."""
        return self._below((*self._real(pieces[:-1]), *pieces[-1:]))

    def _below(self, pieces: Sequence[str]) -> _Node | None:
        node: _Node | None = self._root
        for piece in pieces:
            node = node.children.get(piece) if node else None
        return node

    def _made(self, pieces: Sequence[str], layer: int) -> _Node:
        """The folder at a path, through symbolic links; made where it is missing."""
        node = self._root
        for piece in self._real(pieces):
            below = node.children.get(piece)
            if below is None or not below.is_folder:
                if below:
                    _drop(below, "replaced", layer)
                below = node.children[piece] = _folder(piece, layer)
            node = below
        return node

    def _real(self, pieces: Sequence[str]) -> list[str]:
        """The same path without symbolic links."""
        names: list[str] = []
        nodes: list[_Node | None] = [self._root]
        waiting, links = list(reversed(pieces)), 0
        while waiting:
            piece = waiting.pop()
            if piece == "..":
                names, nodes = names[:-1], nodes[: max(len(names), 1)]
                continue
            above = nodes[-1]
            below = above.children.get(piece) if above else None
            if below and below.entry.kind == "symlink" and links < _MOST_LINKS:
                links += 1
                if below.entry.link.startswith("/"):
                    names, nodes = [], [self._root]
                waiting += reversed(_pieces(below.entry.link))
            else:
                names.append(piece)
                nodes.append(below)
        return names

    def _walk(self) -> Iterator[tuple[str, _Node]]:
        waiting = [("", self._root)]
        while waiting:
            path, node = waiting.pop()
            below = [(f"{path}/{name}" if path else name, child) for name, child in node.children.items()]
            yield from below
            waiting += below


def _folder(path: str, layer: int) -> _Node:
    return _Node(entry=FileEntry(path=path, kind="folder", size_bytes=0, mode=0o755), layer=layer)


def _drop(node: _Node, fate: Fate, layer: int) -> None:
    """A path less to each content below `node`."""
    waiting = [node]
    while waiting:
        each = waiting.pop()
        waiting += each.children.values()
        if each.content:
            each.content.names -= 1
            if not each.content.names:
                each.content.fate, each.content.by = fate, layer


def _pieces(path: str) -> list[str]:
    return [piece for piece in path.split("/") if piece not in ("", ".")]
