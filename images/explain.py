"""What an image costs and why: each layer with the instruction that made it, folders, files, packages, models, and waste.

Pure: an index in, plain values out. Layers count from 1, the lowest. Sizes are bytes of files, unpacked, unless they say otherwise.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from posixpath import dirname, join, normpath
from typing import Literal

from images.checks import model_suffix
from images.file_system import Fate, FileSystem, file_system
from images.folders import FolderCost, largest_folders, main_folders, tree_of
from images.index import BASE_DIGEST, BASE_KEPT, BASE_LEFT_OUT, CODE_INSTRUCTION, FileEntry, ImageIndex, LayerIndex
from images.instructions import readable
from images.packages import PackageCost, package_costs

Origin = Literal["base", "code", ""]

# How the folders end in which auditwheel puts the libraries that a wheel bundles.
_LIBRARIES = ".libs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a layer does to the bytes of `layer`, a lower one, which stay in the image all the same."""

    layer: int
    fate: Fate
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCost:
    """A file; `path` is absolute."""

    path: str
    size_bytes: int
    layer: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCost:
    """A layer. `origin` is "" in an image that is not of a known base and code.

    `instruction` is as the builder wrote it, `made_by` as its author did; both are "" where the image does not tell. `hidden_bytes` of
    its files are out of sight for what later layers do to them, `taken` is what it does so itself. `copied_bytes` are of files whose
    content a lower layer has at another path. `main` are the folders that tell best what it brought, `folders` and `largest` the largest
    of all.
    """

    number: int
    digest: str
    origin: Origin
    instruction: str
    made_by: str
    compressed_bytes: int
    unpacked_bytes: int
    files: int
    hidden_bytes: int
    copied_bytes: int
    taken: tuple[Taken, ...]
    main: tuple[FolderCost, ...]
    folders: tuple[FolderCost, ...]
    largest: tuple[FileCost, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCost:
    """A file that is a model by its first bytes (`format`) or by its suffix; one that is not seen any more was not `is_seen`."""

    path: str
    size_bytes: int
    layer: int
    format: str
    suffix: str
    is_seen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WastedFile:
    """A file of `layer` that costs and gives nothing: `by` a later layer it was deleted, replaced, or repeated with the same content;
    or it is a copy of the file `of` of the lower layer `by`."""

    path: str
    size_bytes: int
    layer: int
    why: Fate | Literal["copied"]
    by: int
    of: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryLink:
    """The folder of libraries that a package bundles, some of which lead to those of another package, in the folder `to`."""

    folder: str
    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """`base` is the digest of the base image, "" where the image names none. `largest` and `folders` are the largest only; `folders`
    are in the order of a tree, `wasted`, `packages` and `models` are all, the largest first."""

    digest: str
    base: str
    compressed_bytes: int
    unpacked_bytes: int
    seen_bytes: int
    files: int
    layers: tuple[LayerCost, ...]
    folders: tuple[FolderCost, ...]
    largest: tuple[FileCost, ...]
    packages: tuple[PackageCost, ...]
    models: tuple[ModelCost, ...]
    wasted: tuple[WastedFile, ...]
    left_out: tuple[str, ...]
    kept: tuple[str, ...]
    library_links: tuple[LibraryLink, ...]

    @property
    def wasted_bytes(self) -> int:
        """Bytes that cost and give nothing."""
        return sum(file.size_bytes for file in self.wasted)


def explain(index: ImageIndex, *, top: int = 10, depth: int | None = None) -> Explanation:
    """Explain an image: at most `top` folders and files, the folders at most `depth` names deep; None means as deep as the bytes are."""
    seen = file_system(index.layers)
    files = [file for file in seen.placed.values() if file.kind == "file"]
    wasted = tuple(sorted((*_hidden(seen), *_copied(seen)), key=lambda file: (-file.size_bytes, file.path)))
    tree = tree_of(
        (file.path, file.own_bytes, file.layer + 1) for file in seen.placed.values() if file.kind != "folder"
    )
    return Explanation(
        digest=index.digest,
        base=index.labels.get(BASE_DIGEST, ""),
        compressed_bytes=index.compressed_bytes,
        unpacked_bytes=index.unpacked_bytes,
        seen_bytes=sum(file.own_bytes for file in seen.placed.values()),
        files=len(files),
        layers=_layers(index, wasted, top=top, depth=depth),
        folders=largest_folders(tree, top=top, depth=depth),
        largest=_largest(((file.path, file.size_bytes, file.layer + 1) for file in files), top),
        packages=package_costs(seen.placed),
        models=_models(index.layers, seen),
        wasted=wasted,
        left_out=tuple(index.labels.get(BASE_LEFT_OUT, "").split()),
        kept=tuple(index.labels.get(BASE_KEPT, "").split()),
        library_links=_library_links(index.layers),
    )


def _layers(index: ImageIndex, wasted: Sequence[WastedFile], *, top: int, depth: int | None) -> tuple[LayerCost, ...]:
    hidden: dict[int, int] = defaultdict(int)
    copied: dict[int, int] = defaultdict(int)
    taken: dict[int, dict[tuple[int, Fate], int]] = defaultdict(lambda: defaultdict(int))
    for file in wasted:
        if file.why == "copied":
            copied[file.layer] += file.size_bytes
        else:
            hidden[file.layer] += file.size_bytes
            taken[file.by][file.layer, file.why] += file.size_bytes
    costs = []
    for number, (layer, instruction) in enumerate(zip(index.layers, index.instructions, strict=True), start=1):
        files = [entry for entry in layer.entries if entry.kind == "file" and not entry.is_whiteout]
        brought = [(entry.path, entry.size_bytes, number) for entry in files]
        tree = tree_of(brought)
        costs.append(
            LayerCost(
                number=number,
                digest=layer.digest,
                origin=_origin(index, instruction),
                instruction=instruction,
                made_by=readable(instruction),
                compressed_bytes=layer.compressed_bytes,
                unpacked_bytes=layer.unpacked_bytes,
                files=len(files),
                hidden_bytes=hidden[number],
                copied_bytes=copied[number],
                taken=tuple(
                    Taken(layer=below, fate=fate, size_bytes=size_bytes)
                    for (below, fate), size_bytes in sorted(taken[number].items())
                    if size_bytes
                ),
                main=main_folders(tree),
                folders=largest_folders(tree, top=top, depth=depth),
                largest=_largest(brought, top),
            )
        )
    return tuple(costs)


def _largest(files: Iterable[tuple[str, int, int]], top: int) -> tuple[FileCost, ...]:
    """Files by path, bytes and layer, the largest first."""
    chosen = nsmallest(top, files, key=lambda file: (-file[1], file[0]))
    return tuple(FileCost(path=f"/{path}", size_bytes=size_bytes, layer=layer) for path, size_bytes, layer in chosen)


def _origin(index: ImageIndex, instruction: str) -> Origin:
    if CODE_INSTRUCTION not in index.instructions:
        return ""
    return "code" if instruction == CODE_INSTRUCTION else "base"


def _hidden(seen: FileSystem) -> Iterator[WastedFile]:
    for file in seen.hidden:
        if file.entry.size_bytes:
            yield WastedFile(
                path=f"/{file.entry.path}",
                size_bytes=file.entry.size_bytes,
                layer=file.layer + 1,
                why=file.fate,
                by=file.by + 1,
            )


def _copied(seen: FileSystem) -> Iterator[WastedFile]:
    for file, same in seen.copies():
        yield WastedFile(
            path=f"/{file.path}",
            size_bytes=file.own_bytes,
            layer=file.layer + 1,
            why="copied",
            by=same.layer + 1,
            of=f"/{same.path}",
        )


def _library_links(layers: Sequence[LayerIndex]) -> tuple[LibraryLink, ...]:
    found = set()
    for entry in (entry for layer in layers for entry in layer.entries if entry.kind == "symlink"):
        folder = dirname(f"/{entry.path}")
        to = dirname(normpath(join(folder, entry.link)))
        if to != folder and folder.endswith(_LIBRARIES) and to.endswith(_LIBRARIES):
            found.add((folder, to))
    return tuple(LibraryLink(folder=folder, to=to) for folder, to in sorted(found))


def _models(layers: Sequence[LayerIndex], seen: FileSystem) -> tuple[ModelCost, ...]:
    hidden = {(file.layer, file.entry.path) for file in seen.hidden}
    found = [
        ModelCost(
            path=f"/{entry.path}",
            size_bytes=entry.size_bytes,
            layer=number + 1,
            format=model,
            suffix=suffix,
            is_seen=(number, entry.path) not in hidden,
        )
        for number, layer in enumerate(layers)
        for entry in layer.entries
        for model, suffix in [_model(entry)]
        if model or suffix
    ]
    return tuple(sorted(found, key=lambda file: (-file.size_bytes, file.path, file.layer)))


def _model(entry: FileEntry) -> tuple[str, str]:
    """The format that the content shows and the suffix of models that the name has; "" for none."""
    if entry.kind != "file" or entry.is_whiteout:
        return "", ""
    return entry.model_format, model_suffix(entry.path)
