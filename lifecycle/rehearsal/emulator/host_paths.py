"""What a container sees of its host: a path of the AMI, looked up through the AMI's layers as overlayfs would show it."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

_MOST_LINKS = 40  # Linux's own limit on symbolic links in one lookup


class MissingHostPath(Exception):
    """No layer of the AMI holds the path."""


def versions(chain: Sequence[Path], path: str) -> list[Path]:
    """The places that make up `path`, the top layer first: one file, or the directories that merge into one.

    Empty when the path does not exist in the merged tree.
    """
    links = 0
    todo = [part for part in path.split("/") if part not in ("", ".")]
    at: list[Path] = list(chain)
    walked: list[str] = []
    while todo:
        name = todo.pop(0)
        at = _below(at, name)
        if not at:
            return []
        if at[0].is_symlink():
            links += 1
            if links > _MOST_LINKS:
                return []
            target = str(at[0].readlink())
            start = [] if target.startswith("/") else walked
            todo = [part for part in _normal([*start, *target.split("/")]) if part] + todo
            at, walked = list(chain), []
            continue
        walked.append(name)
    return at


def bind_source(chain: Sequence[Path], path: str, *, read_only: bool, scratch: Path) -> Path:
    """A directory or file of this machine that stands for `path` on the host.

    The AMI's own layer is used in place when that is safe: read-only, and the path lies in one layer. Otherwise the merged tree is
    copied below `scratch`, the disk of the one host, where a container may write without changing the AMI.
    Raises: MissingHostPath.
    """
    found = versions(chain, path)
    if not found:
        raise MissingHostPath(path)
    if read_only and len(found) == 1:
        return found[0]
    copy = scratch / path.strip("/")
    if not copy.exists():
        copy.parent.mkdir(parents=True, exist_ok=True)
        draft = copy.with_name(copy.name + ".draft")
        for version in reversed(found):
            _lay_over(version, draft)
        draft.rename(copy)
    return copy


def _normal(parts: Sequence[str]) -> list[str]:
    kept: list[str] = []
    for part in parts:
        if part == "..":
            kept = kept[:-1]
        elif part not in ("", "."):
            kept.append(part)
    return kept


def _below(directories: Sequence[Path], name: str) -> list[Path]:
    found: list[Path] = []
    for directory in directories:
        entry = directory / name
        if os.path.lexists(entry):
            if _is_whiteout(entry):
                break
            if entry.is_symlink() or not entry.is_dir():
                return found or [entry]
            found.append(entry)
            if _is_opaque(entry):
                break
        if _is_opaque(directory):
            break
    return found


def _is_whiteout(path: Path) -> bool:
    status = path.lstat()
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def _is_opaque(directory: Path) -> bool:
    try:
        return os.getxattr(directory, "trusted.overlay.opaque") == b"y"
    except OSError:
        return False


def _lay_over(source: Path, target: Path) -> None:
    if source.is_symlink() or not source.is_dir():
        _remove(target)
        if not _is_whiteout(source):
            shutil.copy2(source, target, follow_symlinks=False)
            _take_owner(source, target)
        return
    if not target.is_dir() or target.is_symlink() or _is_opaque(source):
        _remove(target)
        target.mkdir()
    shutil.copystat(source, target)
    _take_owner(source, target)
    for entry in source.iterdir():
        _lay_over(entry, target / entry.name)


def _take_owner(source: Path, target: Path) -> None:
    if os.geteuid() == 0:
        status = source.lstat()
        os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
