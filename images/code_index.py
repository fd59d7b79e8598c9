"""The index of code that is in no registry yet, so that the rules of an image judge it before it is sent."""

from __future__ import annotations

from collections.abc import Mapping

from images.index import FileEntry, ImageIndex, LayerIndex
from images.layer import APP_FOLDER, CodeFile, CodeTree
from images.signatures import flags_of


def code_index(tree: CodeTree, env: Mapping[str, str]) -> ImageIndex:
    """An image of nothing but `tree`, with the variables `env`, as reading it from a registry would give it but for the imports,
    which only the whole image can answer.
    """
    entries = tuple(map(_entry, tree.files))
    size_bytes = sum(entry.size_bytes for entry in entries)
    layer = LayerIndex(digest="", compressed_bytes=0, unpacked_bytes=size_bytes, entries=entries)
    config = {"config": {"Env": [f"{name}={value}" for name, value in env.items()]}}
    return ImageIndex(digest="", media_type="", config=config, layers=(layer,))


def _entry(file: CodeFile) -> FileEntry:
    path = f"{APP_FOLDER}/{file.path}"
    if file.mode == "link":
        return FileEntry(path=path, kind="symlink", size_bytes=0, mode=0o777, link=file.content.decode())
    size_bytes = len(file.content)
    return FileEntry(
        path=path,
        kind="file",
        size_bytes=size_bytes,
        mode=int(file.mode, 8),
        sha256=file.sha256,
        flags=flags_of(path, file.content, size_bytes=size_bytes, is_code=True),
    )
