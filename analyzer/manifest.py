"""The mounted model set, checked file by file against its marker before any work begins."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from analyzer.contract import MARKER_NAME, MODEL_FOLDERS, RUNTIME_FOLDER, ModelFile, set_digest
from analyzer.marker import mismatch, read_markers, unreadable

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSet:
    """What was found and hashed.

    `digest` is computed from the hashed files; it is None when no model folder holds anything.
    `absent_folders` names model folders of the set that are not mounted: their files enter the digest as the marker lists them.
    `read_only` says of each mounted folder whether a file could not be created in it.
    """

    root: Path
    digest: str | None = None
    files: tuple[ModelFile, ...] = ()
    absent_folders: tuple[str, ...] = ()
    read_only: tuple[tuple[str, bool], ...] = ()

    def find(self, path: Path) -> ModelFile | None:
        """The checked file behind `path`, or None when the set does not cover it."""
        resolved = path.resolve()
        return next((file for file in self.files if (self.root / file.path).resolve() == resolved), None)


NONE_MOUNTED = "none mounted; age and gender need a model set"


def mounted_folders(root: Path) -> list[str]:
    """Of the folders of a model set those that lie below `root` and hold something. Raises: Mismatch, for one that cannot be read."""
    return [name for name in MODEL_FOLDERS if holds_something(root / name)]


def holds_something(path: Path) -> bool:
    """Whether `path` is a folder with an entry. Raises: Mismatch, where that cannot be told."""
    try:
        return path.is_dir() and any(path.iterdir())
    except OSError as error:
        raise unreadable(path, error) from error


def where_told(root: Path, named: Iterable[Path]) -> str:
    """Where the models are, for whoever looks on; a `root` that holds none says nothing, `named` files do."""
    return str(root) if mounted_folders(root) else ", ".join(map(str, named)) or NONE_MOUNTED


def check_model_set(
    root: Path, *, expected: str | None = None, on_bytes: Callable[[int, int], None] | None = None
) -> ModelSet:
    """Hash every file below the mounted model folders and compare it with the marker.

    `expected` is the set digest that the job was told to run with; `on_bytes` receives (hashed, total) bytes.
    Raises: Mismatch, naming the file, for a missing, unlisted or altered file, a marker that is absent, malformed or
    disagrees with another, or a digest other than `expected`.
    """
    mounted = mounted_folders(root)
    marker = read_markers(root, mounted)
    if marker is None:
        return _without_marker(root, mounted, expected)
    digest, listed = marker
    by_path = {file.path: file for file in listed if PurePosixPath(file.path).parts[0] in mounted}
    if not by_path:
        # A digest of which no part was hashed here would prove nothing.
        raise mismatch("model-set-absent", f"There is a `{MARKER_NAME}`, but no folder of its set lies below `{root}`")
    present = {path.relative_to(root).as_posix(): path for name in mounted for path in files_below(root / name)}
    for path in sorted(present.keys() | by_path.keys()):
        if path not in by_path:
            raise mismatch("model-file-unlisted", f"`{root / path}` is not listed in the model set's marker")
        if path not in present:
            raise mismatch("model-file-missing", f"`{root / path}` is in the model set but not on the volume")
    total_bytes, hashed_bytes = sum(file.size_bytes for file in by_path.values()), 0
    checked: list[ModelFile] = []
    for path, expected_file in sorted(by_path.items()):
        checked.append(_check_file(present[path], expected_file))
        hashed_bytes += expected_file.size_bytes
        if on_bytes:
            on_bytes(hashed_bytes, total_bytes)
    rest = [file for file in listed if file.path not in by_path]
    computed = set_digest([*checked, *rest])
    if computed != digest:
        raise mismatch("model-set-mismatch", f"The files make `{computed}`, the marker says `{digest}`")
    _match_expected(computed, expected)
    return ModelSet(
        root=root,
        digest=computed,
        files=tuple(sorted(checked, key=lambda file: file.path.encode())),
        absent_folders=tuple(sorted({PurePosixPath(file.path).parts[0] for file in rest} - {RUNTIME_FOLDER})),
        read_only=tuple((name, is_read_only(root / name)) for name in mounted),
    )


def is_read_only(folder: Path) -> bool:
    """Try to create a file in `folder`: True when the system refuses it; what was created is gone afterwards.

    Raises: Mismatch, when the attempt fails for another reason.
    """
    refused = {errno.EROFS, errno.EACCES, errno.EPERM}
    try:
        # An unnamed file leaves nothing behind even if this process is killed here.
        os.close(os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o600))
        return False
    except OSError as error:
        if error.errno in refused:
            return True
        if error.errno not in {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL}:
            raise unreadable(folder, error) from error
    name = folder / f".write-check-{os.getpid()}"
    try:
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        if error.errno in refused:
            return True
        raise unreadable(folder, error) from error
    finally:
        with contextlib.suppress(OSError):
            name.unlink()
    return False


def describe(model_set: ModelSet) -> dict[str, Any]:
    """The checked set: digest as computed here, each file's digest, and whether each mount refuses writes."""
    return {
        "digest": model_set.digest,
        "read_only": all(answer for _, answer in model_set.read_only) if model_set.read_only else None,
        "mounts": [{"folder": name, "read_only": answer} for name, answer in model_set.read_only],
        "absent_folders": list(model_set.absent_folders),
        "files": [file.entry for file in model_set.files],
    }


def _match_expected(digest: str, expected: str | None) -> None:
    if expected is not None and expected != digest:
        raise mismatch("model-set-mismatch", f"The mounted model set is `{digest}`, the job expects `{expected}`")


def _without_marker(root: Path, mounted: list[str], expected: str | None) -> ModelSet:
    stray = next((path for name in mounted for path in files_below(root / name)), None)
    if stray is not None:
        raise mismatch("model-marker-missing", f"`{stray}` is mounted without a `{MARKER_NAME}` beside it")
    if expected is not None:
        raise mismatch("model-set-absent", f"The job expects `{expected}`, but no model is mounted below `{root}`")
    return ModelSet(root=root)


def files_below(folder: Path) -> Iterator[Path]:
    """Every entry that is not a folder, links included and not followed; only the marker at the top is left out."""

    def fail(error: OSError) -> None:
        raise unreadable(Path(str(error.filename)), error) from error

    for base, folders, names in os.walk(folder, onerror=fail):
        for name in sorted(names + [each for each in folders if (Path(base) / each).is_symlink()]):
            path = Path(base) / name
            if path != folder / MARKER_NAME:
                yield path


def _check_file(path: Path, listed: ModelFile) -> ModelFile:
    actual = hashed(path, listed.path)
    for name, was, expected in (
        ("size in bytes", actual.size_bytes, listed.size_bytes),
        ("sha256", actual.sha256, listed.sha256),
        ("mode", actual.mode, listed.mode),
    ):
        if was != expected:
            raise mismatch("model-file-mismatch", f"The {name} of `{path}` is `{was}`, the marker says `{expected}`")
    return replace(actual, licence=listed.licence, permitted_use=listed.permitted_use)


def hashed(path: Path, name: str) -> ModelFile:
    """The file at `path` under the name that it has in its set, without terms. Raises: Mismatch, unless it is regular and can be read."""
    digest, size_bytes = hashlib.sha256(), 0
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            raise mismatch("model-file-mismatch", f"`{path}` is not a regular file")
        with path.open("rb", buffering=0) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
                size_bytes += len(chunk)
    except OSError as error:
        raise unreadable(path, error) from error
    mode = f"{stat.S_IMODE(found.st_mode):04o}"
    return ModelFile(path=name, size_bytes=size_bytes, sha256=digest.hexdigest(), mode=mode)
