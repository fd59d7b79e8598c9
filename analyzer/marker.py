"""The marker beside the models: which files its set has, as they were locked."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

from analyzer.contract import MARKER_NAME, MARKER_SCHEMA, MODEL_FOLDERS, RUNTIME_FOLDER, ModelFile
from analyzer.errors import Mismatch

REBUILD_HINT = (
    "Bake the machine image again, or point the job at the release that belongs to this model set; "
    "models that no bake placed get their marker from `analyzer models mark ROOT`"
)


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
    digest, files = parse_marker(found[0], contents[0])
    unmarked = [name for name in mounted if root / name / MARKER_NAME not in found and root / MARKER_NAME not in found]
    if unmarked:
        raise mismatch("model-marker-missing", f"`{root / unmarked[0]}` holds no `{MARKER_NAME}`")
    return digest, files


def parse_marker(path: Path, content: bytes) -> tuple[str, list[ModelFile]]:
    """The digest and the files that the marker at `path` names. Raises: Mismatch, for one that is malformed."""
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
