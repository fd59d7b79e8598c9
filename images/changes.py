"""What a working tree changes in the code layer of an image that was pushed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from images.index import LayerIndex
from images.layer import APP_FOLDER, CodeTree


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Paths of files and links as the tree has them, each sorted."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]


def changes_since(layer: LayerIndex, tree: CodeTree) -> Changes:
    """From `layer` to `tree`: a file counts as changed when its bytes, its executable bit or its target did."""
    prefix = f"{APP_FOLDER}/"
    was: Mapping[str, object] = {
        entry.path.removeprefix(prefix): entry.link if entry.kind == "symlink" else (entry.sha256, entry.mode)
        for entry in layer.entries
        if entry.kind in ("file", "symlink")
    }
    now: Mapping[str, object] = {
        file.path: file.content.decode() if file.mode == "link" else (file.sha256, int(file.mode, 8))
        for file in tree.files
    }
    return Changes(
        added=tuple(sorted(now.keys() - was.keys())),
        changed=tuple(sorted(path for path in now.keys() & was.keys() if now[path] != was[path])),
        removed=tuple(sorted(was.keys() - now.keys())),
    )
