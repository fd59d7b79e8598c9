"""A published result, read back: the document, and the folder in which its thumbnails lie; and what else a job writes there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analyzer.contract import RESULT_NAME, RESULT_SCHEMA, THUMBNAIL_FOLDER, WORK_FOLDER, Location, Table
from analyzer.errors import InputUnreadable

HINT = f"Name the folder that a job wrote its result to, or the `{RESULT_NAME}` in it"
# What a writer may call a thumbnail; anything else could lead out of the folder.
_THUMBNAIL = re.compile(rf"{THUMBNAIL_FOLDER}/[a-z0-9-]+\.jpg")
# What jobs write in the folder of their session.
_WRITTEN_FOLDERS = (f"{THUMBNAIL_FOLDER}/", f"{WORK_FOLDER}/")
_WRITTEN_FILES = (RESULT_NAME, *(f"{table}.jsonl" for table in Table))
# Thumbnails are at most 256 pixels a side; a larger file is something else.
THUMBNAIL_BYTES_MAX = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """`document` says that it is a `capctl.analysis/1`; whether it follows that schema shows when it is read."""

    path: Path
    document: Mapping[str, Any]

    @property
    def own_files(self) -> tuple[Path, ...]:
        """The files and folders that a job writes where the result lies."""
        # Of the folder `work` no more than is a job's: people call folders so.
        names = (*_WRITTEN_FILES, THUMBNAIL_FOLDER, f"{WORK_FOLDER}/attempt.json", f"{WORK_FOLDER}/segments")
        return (self.path, *(self.path.parent / name for name in names))

    def thumbnail(self, name: str) -> bytes | None:
        """The JPEG that the document calls `name`; None when it is missing, unreadable or no JPEG.

        Raises: ValueError, for a name that no writer gives.
        """
        if not _THUMBNAIL.fullmatch(name):
            message = f"`{name[:80]}` is no name of a thumbnail"
            raise ValueError(message)
        path = self.path.parent / name
        try:
            if not path.is_file() or path.stat().st_size > THUMBNAIL_BYTES_MAX:
                return None
            content = path.read_bytes()
        except OSError:
            return None
        return content if content.startswith(b"\xff\xd8\xff") else None

    @contextmanager
    def well_formed(self) -> Iterator[None]:
        """What cannot be read inside is the document's fault; raises InputUnreadable."""
        try:
            yield
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            what = f"`{self.path}` does not follow `{RESULT_SCHEMA}`: {type(error).__name__}: {error}"
            raise InputUnreadable("result-malformed", what, hint="Publish it again with `analyzer run`") from error


def is_own(thing: Location, results: Location) -> bool:
    """Whether an object is part of a session's result below `results`, `results/SESSION_ID/…`.

    Told by its name, since a video may be kept below the place of the results, which may be a whole bucket.
    """
    if thing.bucket is None or thing.bucket != results.bucket:
        return False
    below = f"{results.key.strip('/')}/".lstrip("/")
    _session, _, name = thing.key.removeprefix(below).partition("/")
    return thing.key.startswith(below) and (name in _WRITTEN_FILES or name.startswith(_WRITTEN_FOLDERS))


def read_result(place: Path) -> Published:
    """Read `result.json`, or the one in the folder `place`.

    Raises: InputUnreadable, when it is missing, no JSON, or of another schema.
    """
    path = place
    try:
        path = place / RESULT_NAME if place.is_dir() else place
        content = path.read_bytes()
    except OSError as error:
        if isinstance(error, FileNotFoundError) and _holds_attempts(path.parent):
            what = (
                f"`{path.parent}` holds what a job keeps, but no result: it has not finished, or the result was removed"
            )
            hint = "Run it again with the same `--out` and the same video: it goes on where it was cut off, or publishes again"
            raise InputUnreadable("result-unfinished", what, hint=hint) from error
        what = f"The result `{path}` cannot be read: {error.strerror or error}"
        raise InputUnreadable("result-missing", what, hint=HINT) from error
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputUnreadable("result-malformed", f"The result `{path}` is no JSON: {error}", hint=HINT) from error
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != RESULT_SCHEMA:
        found = f"has the schema `{str(schema)[:80]}`" if schema else "names no schema"
        what = f"The result `{path}` {found}, expected `{RESULT_SCHEMA}`"
        raise InputUnreadable("result-not-ours", what, hint=HINT)
    return Published(path=path, document=document)


def _holds_attempts(folder: Path) -> bool:
    with suppress(OSError):
        return (folder / WORK_FOLDER / "attempt.json").exists()
    return False
