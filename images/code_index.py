"""The index of code that is in no registry yet, so that the rules of an image judge it before it is sent."""

from __future__ import annotations

from collections.abc import Mapping

from images.code_memory import KnownFile
from images.index import PYTHON_LABEL, FileEntry, ImageIndex, LayerIndex
from images.layer import APP_FOLDER, CodeFile, CodeTree


def code_index(
    tree: CodeTree, known: Mapping[str, KnownFile], env: Mapping[str, str], *, python: str = ""
) -> ImageIndex:
    """An image of nothing but `tree`, with the variables `env`, as reading it from a registry would give it, but for its imports, which
    `images.code_imports` judges; its digest is empty.

    `known` tells of its files; `python` is the minor version that its base has, "" if it is not known.
    """
    entries = tuple(_entry(file, known) for file in tree.files)
    size_bytes = sum(entry.size_bytes for entry in entries)
    layer = LayerIndex(digest="", compressed_bytes=0, unpacked_bytes=size_bytes, entries=entries)
    run = {
        "Env": [f"{name}={value}" for name, value in env.items()],
        "Labels": {PYTHON_LABEL: python} if python else {},
    }
    return ImageIndex(digest="", media_type="", config={"config": run}, layers=(layer,))


def _entry(file: CodeFile, known: Mapping[str, KnownFile]) -> FileEntry:
    path = f"{APP_FOLDER}/{file.path}"
    if file.mode == "link":
        return FileEntry(path=path, kind="symlink", size_bytes=0, mode=0o777, link=file.content.decode())
    told = known[file.path]
    return FileEntry(
        path=path,
        kind="file",
        size_bytes=len(file.content),
        mode=int(file.mode, 8),
        sha256=file.sha256,
        flags=tuple(told.flags),
        broken=told.why_broken,
    )
