"""The place of a result: which session's it is, and the pictures that lie there beside the document."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from analyzer.contract import RESULT_NAME, RESULT_SCHEMA, THUMBNAIL_FOLDER
from analyzer.errors import InputUnreadable, Mismatch
from analyzer.store.place import Place
from analyzer.store.state import taken

# How `result.write` begins a document, which is too long to be read for one word.
_HEAD = re.compile(rf'\s*{{\s*"schema":\s*"{re.escape(RESULT_SCHEMA)}",\s*"session_id":\s*"([^"]*)"'.encode())
# What a job calls its pictures; anything else there is somebody else's.
_PICTURE = re.compile(r"(track-\d+-[a-z]+|scene-\d+)\.jpg")


def require_own(place: Place, session_id: str) -> bool:
    """Whether a result of this session lies in `place`. Raises: RequestInvalid, where another's does; DependencyDown or Mismatch."""
    match = None
    with suppress(InputUnreadable):
        match = _HEAD.match(next(place.chunks(RESULT_NAME), b""))
    if match and (holder := match[1].decode(errors="replace")) != session_id:
        raise taken(place.url, holder, session_id)
    return match is not None


def keep_only(place: Place, document: Mapping[str, Any]) -> None:
    """Delete the pictures that `document` does not name, which earlier work left.

    Raises: Mismatch, where one that it names is not there.
    """
    there, named = set(place.names(THUMBNAIL_FOLDER)), set(_named(document))
    if missing := sorted(named - there):
        raise Mismatch(
            "pictures-missing",
            f"`{place.url}` lacks {len(missing)} of the result's {len(named)} pictures, "
            f"`{THUMBNAIL_FOLDER}/{missing[0]}` first",
            hint="Bring them back, or give the video another `--session` (a job: `SESSION_ID`), whose job makes them again",
        )
    for name in sorted(there - named):
        if _PICTURE.fullmatch(name):
            place.delete(f"{THUMBNAIL_FOLDER}/{name}")


def _named(document: Mapping[str, Any]) -> Iterator[str]:
    for track in document["tracks"]:
        for name in track["thumbnails"].values():
            yield name.removeprefix(f"{THUMBNAIL_FOLDER}/")
    for scene in document["scenes"]:
        yield scene["thumbnail"].removeprefix(f"{THUMBNAIL_FOLDER}/")
