"""Where the video comes from and where the result goes: S3 or a folder, behind two functions."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from analyzer.contract import RESULT_NAME, Location
from analyzer.errors import InputUnreadable, Mismatch
from analyzer.result import write_atomically

# The local name is fixed: a path derived from an object's key could leave the folder.
LOCAL_NAME = "input.bin"
CONTENT_TYPES = {".json": "application/json", ".jpg": "image/jpeg", ".jsonl": "application/jsonl"}


def fetch(location: Location, scratch: Path, on_bytes: Callable[[int, int], None]) -> Path:
    """Give a local path for the video: the file itself, or the S3 object downloaded into `scratch`.

    Raises: InputUnreadable, DependencyDown or Mismatch.
    """
    if location.bucket is not None:
        from analyzer.s3 import ObjectStore

        local = scratch / LOCAL_NAME
        ObjectStore().download(location.bucket, location.key, local, on_bytes)
        return local
    path = location.path or Path(location.url)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise InputUnreadable("input-missing", f"The video `{location.url}` {what}", hint="Check the path")
    return path


def publish(folder: Path, location: Location) -> list[str]:
    """Copy everything in `folder` to `location`, the result document last, and return the URLs or paths.

    A reader that finds the document finds all that it names. When a folder cannot be completed, the files that were
    new in it are removed. Raises: DependencyDown or Mismatch.
    """
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    names.sort(key=lambda name: name == RESULT_NAME)
    if location.bucket is not None:
        return _upload(folder, names, location.bucket, location.key)
    target = location.path or Path(location.url)
    fresh: list[Path] = []
    try:
        for name in names:
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                fresh.append(path)
            write_atomically(path, (folder / name).read_bytes())
    except BaseException as error:
        for path in fresh:
            with suppress(OSError):
                path.unlink()
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            raise Mismatch(
                "result-not-written",
                f"`{target}` cannot be written: {reason}",
                hint="Name a folder that can be written",
            ) from error
        raise
    return [str(target / name) for name in names]


def _upload(folder: Path, names: list[str], bucket: str, prefix: str) -> list[str]:
    from analyzer.s3 import ObjectStore

    store, urls = ObjectStore(), []
    for name in names:
        key = f"{prefix.rstrip('/')}/{name}".lstrip("/")
        store.upload(folder / name, bucket, key, CONTENT_TYPES.get(Path(name).suffix, "application/octet-stream"))
        urls.append(f"s3://{bucket}/{key}")
    return urls
