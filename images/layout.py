"""An OCI image layout: images in a folder, blobs by digest, named in `index.json`.

A blob gets its name when it is whole and proven, and the index names an image when all its blobs are there. What a killed run left below
`.partial` is gone on with. An image keeps its bytes, and with them its digest: one with Docker's media types lies in the layout with them.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event, Semaphore
from typing import Any

from images.content import ImageContent
from images.digests import canonical_json
from images.errors import DigestMismatch, DiskFull, LayoutBusy, LayoutForeign
from images.manifest import Blob
from images.media_types import OCI
from images.parallel import together
from images.room import room_watched

LAYOUT_FILE = "oci-layout"
LAYOUT_DOCUMENT = {"imageLayoutVersion": "1.0.0"}
INDEX_FILE = "index.json"
REF_NAME = "org.opencontainers.image.ref.name"
PARTIAL = ".partial"
_OF_NO_LAYOUT = {LAYOUT_FILE, PARTIAL}

_MAKE_ROOM = "Make room, or name a folder on another disk; what is there is used again"
# For the index and the file system's own.
_MARGIN_BYTES = 1_000_000
# The longest wait for a download to see that it shall stop; it may hang.
_STOP_S = 2.0

Advance = Callable[[int], object]


def blob_path(digest: str) -> str:
    """Where a layout holds the blob."""
    return f"blobs/{digest.replace(':', '/')}"


def descriptor_of(image: ImageContent, **annotations: str) -> dict[str, Any]:
    """The entry of an index that names the image."""
    return {
        "mediaType": image.media_type,
        "digest": image.digest,
        "size": len(image.manifest),
        "platform": dict(image.platform),
        "annotations": annotations,
    }


def index_of(descriptors: list[dict[str, Any]]) -> dict[str, Any]:
    """An index of images."""
    return {"schemaVersion": 2, "mediaType": OCI.index, "manifests": descriptors}


def layout_holds(folder: Path, image: ImageContent, name: str) -> bool:
    """Whether the layout names the whole image so; every blob is read. Raises: LayoutForeign, if something else is at `folder`."""
    _require_layout(folder)
    named = [entry for entry in _read_index(folder)["manifests"] if _name_of(entry) == name]
    is_named = [entry.get("digest") for entry in named] == [image.digest]
    return is_named and all(_is_whole(folder / blob_path(blob.digest), blob) for blob in image.blobs)


def write_layout(folder: Path, image: ImageContent, name: str, *, advance: Advance = lambda _: None) -> None:
    """Make `folder` a layout that holds the image under `name`, beside those that it holds under other names.

    Blobs that are there are used again. `advance` gets the bytes of `image` that are in place, as they come, from any thread.
    Raises: LayoutForeign; LayoutBusy; DiskFull, before anything is fetched where that can be known; DigestMismatch; the registry
    failures of `images.errors`; OSError.
    """
    _require_layout(folder)
    with room_watched(f"The image in `{folder}` took the last byte that was free", hint=_MAKE_ROOM):
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            index = _read_index(folder)
            (folder / PARTIAL).mkdir(exist_ok=True)
            missing = _missing(folder, image, advance)
            _require_room(folder, missing)
            _fetch_all(folder, image, missing, advance)
            others = [entry for entry in index["manifests"] if _name_of(entry) != name]
            _write_index(folder, {**index, "manifests": [*others, descriptor_of(image, **{REF_NAME: name})]})
            shutil.rmtree(folder / PARTIAL)


def _require_layout(folder: Path) -> None:
    """Raises: LayoutForeign, unless a layout is there, or can be made without touching anything else."""
    if not folder.exists() and not folder.is_symlink():
        return
    if not folder.is_dir():
        what = "a link that leads nowhere" if folder.is_symlink() and not folder.exists() else "not a folder"
        raise _foreign(folder, what)
    try:
        layout = (folder / LAYOUT_FILE).read_bytes()
    except FileNotFoundError:
        layout = b""
    # An empty one is left by a run that was killed in its first moment.
    if not layout:
        if others := sorted(path.name for path in folder.iterdir() if path.name not in _OF_NO_LAYOUT):
            raise _foreign(folder, f"a folder that holds `{others[0]}` and is no image layout")
        return
    try:
        version = str(json.loads(layout)["imageLayoutVersion"])
    except (ValueError, TypeError, KeyError) as error:
        raise _foreign(folder, f"a folder whose `{LAYOUT_FILE}` cannot be read") from error
    if not version.startswith("1."):
        raise _foreign(folder, f"an image layout of version `{version}`")


def _foreign(folder: Path, what: str) -> LayoutForeign:
    return LayoutForeign(
        f"`{folder}` is {what}", hint="Name an empty folder, one that does not exist, or an image layout"
    )


def _read_index(folder: Path) -> dict[str, Any]:
    try:
        index = json.loads((folder / INDEX_FILE).read_bytes())
        for entry in index["manifests"]:
            _name_of(entry)
    except FileNotFoundError:
        return index_of([])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _foreign(folder, f"a folder whose `{INDEX_FILE}` cannot be read") from error
    found: dict[str, Any] = index
    return found


def _name_of(entry: dict[str, Any]) -> str | None:
    name: str | None = (entry.get("annotations") or {}).get(REF_NAME)
    return name


def _missing(folder: Path, image: ImageContent, advance: Advance) -> list[Blob]:
    """The blobs that are not there, or damaged: those are replaced, for the index may name them."""
    missing = []
    for blob in image.blobs:
        if _is_whole(folder / blob_path(blob.digest), blob):
            advance(blob.size_bytes)
        else:
            missing.append(blob)
    return missing


def _is_whole(path: Path, blob: Blob) -> bool:
    try:
        with path.open("rb") as stored:
            is_its_size = os.fstat(stored.fileno()).st_size == blob.size_bytes
            return is_its_size and f"sha256:{hashlib.file_digest(stored, 'sha256').hexdigest()}" == blob.digest
    except FileNotFoundError:
        return False


def _require_room(folder: Path, missing: list[Blob]) -> None:
    begun = sum(path.stat().st_size for blob in missing if (path := _partial(folder, blob)).exists())
    needed = sum(blob.size_bytes for blob in missing) - begun + _MARGIN_BYTES
    free = shutil.disk_usage(folder).free
    if missing and needed > free:
        kept = f"{_MARGIN_BYTES} of them kept free"
        message = f"The image in `{folder}` needs {needed} bytes more, {kept}, and {free} are free"
        raise DiskFull(message, hint=_MAKE_ROOM)


def _partial(folder: Path, blob: Blob) -> Path:
    return folder / PARTIAL / blob.digest.removeprefix("sha256:")


def _fetch_all(folder: Path, image: ImageContent, missing: list[Blob], advance: Advance) -> None:
    (folder / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
    stopped, ended = Event(), Semaphore(0)
    begun: list[Blob] = []

    def fetch(blob: Blob) -> None:
        begun.append(blob)
        try:
            if not stopped.is_set():
                _fetch(folder, image, blob, advance, stopped)
        finally:
            ended.release()

    # The largest first, so that the others come beside it.
    work = sorted(missing, key=lambda blob: blob.size_bytes, reverse=True)
    try:
        together([partial(fetch, blob) for blob in work])
    finally:
        # What still runs after a failure has the lock's protection until it sees that it shall stop.
        stopped.set()
        for _ in tuple(begun):
            if not ended.acquire(timeout=_STOP_S):
                break


def _fetch(folder: Path, image: ImageContent, blob: Blob, advance: Advance, stopped: Event) -> None:
    begun = _partial(folder, blob)
    with begun.open("a+b") as out:
        out.seek(0)
        hasher = hashlib.file_digest(out, "sha256")
        start = out.tell()
        advance(start)
        for piece in image.pieces(blob, start) if start < blob.size_bytes else ():
            if stopped.is_set():
                return
            out.write(piece)
            hasher.update(piece)
            advance(len(piece))
        length = out.tell()
    received = f"sha256:{hasher.hexdigest()}"
    if received == blob.digest:
        begun.replace(folder / blob_path(blob.digest))
        return
    begun.unlink()
    advance(-length)
    if not start:
        message = f"The registry returned `{received}` for `{blob.digest}`"
        raise DigestMismatch(
            message, hint="Run the command again; if it stays, the registry or a proxy damages content"
        )
    # What an earlier run left was damaged.
    _fetch(folder, image, blob, advance, stopped)


def _write_index(folder: Path, index: dict[str, Any]) -> None:
    (folder / PARTIAL / INDEX_FILE).write_bytes(canonical_json(index))
    (folder / PARTIAL / INDEX_FILE).replace(folder / INDEX_FILE)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two that write at once would each take the other's image out of the index. What says that this is a layout is the lock, too."""
    with (folder / LAYOUT_FILE).open("a+b") as layout:
        try:
            fcntl.flock(layout, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"Another run writes into `{folder}`"
            raise LayoutBusy(message, hint="Wait until it has ended, then run the command again") from error
        if not layout.seek(0, os.SEEK_END):
            layout.write(canonical_json(LAYOUT_DOCUMENT))
            layout.flush()
        yield
