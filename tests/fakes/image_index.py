"""Indexes of images, by hand."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from images.index import FileEntry, ImageIndex, LayerIndex


def file(path: str, content: str = "x", mode: int = 0o644, **more: Any) -> FileEntry:
    """A file of these characters."""
    text = content.encode()
    return FileEntry(path=path, kind="file", size_bytes=len(text), mode=mode, sha256=sha256(text).hexdigest(), **more)


def folder(path: str, mode: int = 0o755) -> FileEntry:
    return FileEntry(path=path, kind="folder", size_bytes=0, mode=mode)


def hard_link(path: str, link: str) -> FileEntry:
    return FileEntry(path=path, kind="hardlink", size_bytes=0, mode=0o644, link=link)


def symbolic_link(path: str, link: str) -> FileEntry:
    return FileEntry(path=path, kind="symlink", size_bytes=0, mode=0o777, link=link)


def whiteout(path: str) -> FileEntry:
    """That deletes `path`."""
    above, slash, name = path.rpartition("/")
    return file(f"{above}{slash}.wh.{name}", "", 0o600)


def opaque(path: str) -> FileEntry:
    """That empties the folder `path`."""
    return file(f"{path}/.wh..wh..opq", "", 0o600)


def layer(*entries: FileEntry, compressed_bytes: int = 1) -> LayerIndex:
    """Its digest is of what it holds."""
    held = [(entry.path, entry.kind, entry.mode, entry.sha256, entry.link) for entry in entries]
    return LayerIndex(
        digest="sha256:" + sha256(repr(held).encode()).hexdigest(),
        compressed_bytes=compressed_bytes,
        unpacked_bytes=sum(entry.size_bytes for entry in entries),
        entries=entries,
    )


def image(*layers: LayerIndex, made_by: tuple[str, ...] = (), **run: Any) -> ImageIndex:
    """`made_by` are the instructions of the layers, `run` is the configuration of a container."""
    history = [{"created_by": each} for each in made_by]
    return ImageIndex(digest="sha256:image", media_type="", config={"config": run, "history": history}, layers=layers)
