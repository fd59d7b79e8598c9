"""Where the video comes from: a local file, or an S3 object that is downloaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer.contract import Location, printable
from analyzer.errors import InputUnreadable

if TYPE_CHECKING:
    from analyzer.s3 import Found

# The local name is fixed: a path derived from an object's key could leave the folder.
LOCAL_NAME = "input.bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A video that is there; `identity` changes when its content does."""

    location: Location
    identity: Mapping[str, Any]
    found: Found | None = None


def identify(location: Location) -> Source:
    """Look the video up without reading it. Raises: InputUnreadable, DependencyDown or Mismatch."""
    if location.bucket is not None:
        from analyzer.s3 import ObjectStore

        found = ObjectStore().look_up(location.bucket, location.key, location.version)
        return Source(location=location, identity={"url": location.url, **asdict(found)}, found=found)
    path = _local(location)
    try:
        status = path.stat()
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputUnreadable(
            "input-missing", f"The video `{location.url}` cannot be read: {reason}", hint="Check the path"
        ) from error
    if path.is_dir():
        raise InputUnreadable("input-missing", f"The video `{location.url}` is a folder", hint="Check the path")
    identity = {"path": printable(str(path.resolve())), "bytes": status.st_size, "modified_ns": status.st_mtime_ns}
    return Source(location=location, identity=identity)


def fetch(source: Source, scratch: Path, on_bytes: Callable[[int, int], None]) -> Path:
    """Give a local path for the video: the file itself, or the S3 object downloaded into `scratch`.

    Raises: InputUnreadable, DependencyDown or Mismatch.
    """
    location = source.location
    if location.bucket is None or source.found is None:
        return _local(location)
    from analyzer.s3 import ObjectStore

    path = scratch / LOCAL_NAME
    ObjectStore().download(location.bucket, location.key, source.found, path, on_bytes)
    return path


def _local(location: Location) -> Path:
    return location.path or Path(location.url)
