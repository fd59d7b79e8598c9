"""What an image holds, as plain values: layers, files, sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["file", "folder", "symlink", "hardlink", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """One tar member. `flags`: `model:<format>`, `secret:<kind>`, `stale-bytecode`, found in its content."""

    path: str
    kind: Kind
    size_bytes: int
    mode: int
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerIndex:
    """A layer: bytes to download, bytes of files on disk, and its members in tar order."""

    digest: str
    compressed_bytes: int
    unpacked_bytes: int
    entries: tuple[FileEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageIndex:
    """An image: its layers from the lowest up, and its run configuration."""

    digest: str
    media_type: str
    config: dict[str, Any]
    layers: tuple[LayerIndex, ...]

    @property
    def compressed_bytes(self) -> int:
        """Bytes of all layers as stored, which is what a registry reports and a pull downloads."""
        return sum(layer.compressed_bytes for layer in self.layers)

    @property
    def unpacked_bytes(self) -> int:
        """Bytes of all files of all layers, which is what `docker images` reports."""
        return sum(layer.unpacked_bytes for layer in self.layers)

    @property
    def labels(self) -> dict[str, str]:
        """Labels of the image."""
        return dict((self.config.get("config") or {}).get("Labels") or {})
