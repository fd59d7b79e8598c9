"""The marker beside the models: which files its set has, as they were locked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from analyzer.contract import MARKER_NAME, MARKER_SCHEMA, MODEL_FOLDERS, RUNTIME_FOLDER
from analyzer.errors import Mismatch

REBUILD_HINT = "Bake the machine image again, or point the job at the release that belongs to this model set"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """One file of the set; `path` is relative to the model root, `mode` is four octal digits.

    `licence` and `permitted_use` are what the set's owner wrote down, "" for nothing; no digest covers them.
    """

    path: str
    size_bytes: int
    sha256: str
    mode: str
    licence: str = ""
    permitted_use: str = ""

    @property
    def entry(self) -> dict[str, str | int]:
        """As the marker and the result document write it."""
        return {"path": self.path, "bytes": self.size_bytes, "sha256": self.sha256, "mode": self.mode}

    @property
    def terms(self) -> dict[str, str]:
        """What its owner says one may do with it."""
        return {"licence": self.licence, "permitted_use": self.permitted_use}


def read_markers(root: Path, mounted: list[str]) -> tuple[str, list[ModelFile]] | None:
    """The digest and the files that the markers of all `mounted` folders agree on; None where no folder has one.

    Raises: Mismatch, for a marker that is absent in one of them, malformed, or disagrees with another.
    """
    found = [path for path in (root / MARKER_NAME, *(root / name / MARKER_NAME for name in mounted)) if path.is_file()]
    if not found:
        return None
    try:
        contents = [path.read_bytes() for path in found]
    except OSError as error:
        raise unreadable(found[0], error) from error
    for path, content in zip(found, contents, strict=True):
        if content != contents[0]:
            raise mismatch("model-marker-conflict", f"`{path}` differs from `{found[0]}`")
    digest, files = _parse_marker(found[0], contents[0])
    unmarked = [name for name in mounted if root / name / MARKER_NAME not in found and root / MARKER_NAME not in found]
    if unmarked:
        raise mismatch("model-marker-missing", f"`{root / unmarked[0]}` holds no `{MARKER_NAME}`")
    return digest, files


def _parse_marker(path: Path, content: bytes) -> tuple[str, list[ModelFile]]:
    try:
        document: Any = json.loads(content)
        if document["schema"] != MARKER_SCHEMA:
            raise mismatch("model-marker-invalid", f"`{path}` is not a `{MARKER_SCHEMA}` document")
        files = [
            ModelFile(
                path=str(entry["path"]),
                size_bytes=int(entry["bytes"]),
                sha256=str(entry["sha256"]),
                mode=str(entry["mode"]),
                # Markers of sets whose owner wrote nothing down have neither.
                licence=str(entry.get("licence", "")),
                permitted_use=str(entry.get("permitted_use", "")),
            )
            for entry in document["files"]
        ]
        digest = str(document["digest"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        detail = f"`{path}` is malformed: {type(error).__name__}: {error}"
        raise mismatch("model-marker-invalid", detail) from error
    for file in files:
        parts = PurePosixPath(file.path).parts
        if len(parts) < 2 or parts[0] not in (*MODEL_FOLDERS, RUNTIME_FOLDER) or ".." in parts or "\0" in file.path:
            raise mismatch("model-marker-invalid", f"`{path}` lists `{file.path}`, which is outside the model folders")
    if len({file.path for file in files}) != len(files):
        raise mismatch("model-marker-invalid", f"`{path}` lists a file twice")
    return digest, files


def mismatch(code: str, message: str) -> Mismatch:
    return Mismatch(code, message, hint=REBUILD_HINT)


def unreadable(path: Path, error: OSError) -> Mismatch:
    return mismatch("model-file-unreadable", f"`{path}` cannot be read: {error.strerror or error}")
