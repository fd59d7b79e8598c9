"""Marking a model root: what lies there becomes its model set. A bake does this from the lock; here it is for models without a bake."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from analyzer.contract import MARKER_NAME, MODEL_FOLDERS, RUNTIME_FOLDER, ModelFile, marker_content, set_digest
from analyzer.errors import DependencyDown, Mismatch
from analyzer.manifest import ModelSet, files_below, hashed, holds_something, is_read_only, mounted_folders
from analyzer.marker import parse_marker, unreadable

_MARKER_MODE = 0o444
_UNFINISHED = f"{MARKER_NAME}.unfinished"
_REFUSED = {errno.EROFS, errno.EACCES, errno.EPERM}


def mark(root: Path) -> ModelSet:
    """Hash every file of the set's folders below `root`, and write the marker there and in each folder, as a bake does.

    Files stay as they are, modes included, which enter the digest. What an earlier marker says of the terms of a file is kept while
    its content is the same; where nothing changed, the markers are written as they were.
    Raises: Mismatch, for a `root` that is no folder, holds no models or refuses writes, a file that no set can name, or an earlier
    marker that cannot be read; DependencyDown, where a marker could not be written.
    """
    if not holds_something(root):
        hint = "Name the folder that holds models/, checkpoints/ or experiments/"
        raise Mismatch("model-set-absent", f"`{root}` is no folder, or an empty one", hint=hint)
    folders = _folders(root)
    places = [root, *(root / name for name in folders)]
    # Before gigabytes are hashed in vain.
    for place in places:
        if is_read_only(place):
            raise _read_only(place)
        # Of a marking that was cut off.
        (place / _UNFINISHED).unlink(missing_ok=True)
    terms = _terms(places)
    files = [_listed(root, path, terms) for name in folders for path in files_below(root / name)]
    content = marker_content(files)
    for place in places:
        _write(place / MARKER_NAME, content)
    return ModelSet(
        root=root,
        digest=set_digest(files),
        files=tuple(sorted(files, key=lambda file: file.path.encode())),
        read_only=tuple((name, False) for name in mounted_folders(root)),
    )


def _folders(root: Path) -> list[str]:
    mounted = mounted_folders(root)
    if not any(True for name in mounted for _ in files_below(root / name)):
        folders = ", ".join(f"`{name}/`" for name in MODEL_FOLDERS)
        hint = "Put each file where analyzer/MODELS.md names it, such as models/age-v1.onnx"
        raise Mismatch("model-set-absent", f"`{root}` holds no file in any of {folders}", hint=hint)
    return [*mounted, RUNTIME_FOLDER] if holds_something(root / RUNTIME_FOLDER) else mounted


def _terms(places: Iterable[Path]) -> dict[tuple[str, str], ModelFile]:
    """Files by path and sha256, as the first marker in `places` tells them that says something of their terms."""
    told: dict[tuple[str, str], ModelFile] = {}
    for path in (place / MARKER_NAME for place in places):
        try:
            files = parse_marker(path, path.read_bytes())[1]
        except FileNotFoundError:
            continue
        except OSError as error:
            raise unreadable(path, error) from error
        except Mismatch as error:
            hint = "Mend it, or delete it, and the licences that it tells with it; then mark again"
            raise Mismatch(error.code, error.message, hint=hint) from error
        for file in files:
            if any(file.terms.values()):
                told.setdefault((file.path, file.sha256), file)
    return told


def _listed(root: Path, path: Path, terms: dict[tuple[str, str], ModelFile]) -> ModelFile:
    name = path.relative_to(root).as_posix()
    # What a bake refuses: the tables that it makes of paths have lines and columns.
    if not name.isprintable() or "\\" in name:
        what = f"The path {name!r} holds a backslash, a control character or bytes that are no UTF-8"
        raise Mismatch("model-path-invalid", what, hint="Rename the file")
    if path.is_symlink() or not path.is_file():
        hint = "Put the file itself there: of a link, a digest would say nothing"
        raise Mismatch("model-path-invalid", f"`{path}` is not a regular file", hint=hint)
    file = hashed(path, name)
    known = terms.get((file.path, file.sha256))
    return replace(file, licence=known.licence, permitted_use=known.permitted_use) if known else file


def _write(path: Path, content: bytes) -> None:
    # Under another name first: who reads meanwhile finds the whole marker, of before or of now.
    unfinished = path.with_name(_UNFINISHED)
    try:
        unfinished.write_bytes(content)
        unfinished.chmod(_MARKER_MODE)
        unfinished.replace(path)
    except OSError as error:
        if error.errno in _REFUSED:
            raise _read_only(path.parent) from error
        what = f"`{path}` cannot be written: {error.strerror or error}"
        raise DependencyDown("marker-not-written", what, hint="Free space there, then mark again") from error


def _read_only(folder: Path) -> Mismatch:
    hint = "Give yourself the right to write there, or copy the models into a folder of yours and mark that"
    return Mismatch("model-root-read-only", f"`{folder}` refuses writes", hint=hint)
