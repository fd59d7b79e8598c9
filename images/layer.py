"""The code layer: the same files give the same bytes, on every machine and in every order.

The layer owns one top folder, `/app`. It holds no bytecode: a compiled file depends on the interpreter's build and
hash seed, so it would make the layer more than a function of its sources.
"""

from __future__ import annotations

import hashlib
import io
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from images.digests import canonical_json, digest_of
from images.errors import LayerRejected, LayerTooLarge
from images.names import in_image, on_disk

if TYPE_CHECKING:
    import tarfile

APP_FOLDER = "app"
# Where the base image has the packages.
SITE_FOLDER = "opt/site"
# Part of the tree hash: raise it when the layer's bytes or the image config change for the same sources.
FORMAT_VERSION = 2
# 1980-01-01T00:00:00Z, the earliest time that zip files can hold too.
FIXED_MTIME_S = 315532800
MAX_LAYER_BYTES = 100_000_000
# For Python sources, half the time of the usual 6 and 5 % more bytes; 1 would take two thirds of its time and add 16 %.
_GZIP_LEVEL = 4

Mode = Literal["0644", "0755", "link"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeFile:
    """One file of the code, or one symbolic link whose target is `content`."""

    path: str
    sha256: str
    mode: Mode
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeTree:
    """The code of the job: files sorted by the bytes of their paths."""

    files: tuple[CodeFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A gzip-compressed layer: `diff_id` names the tar, `digest` the blob; `size_bytes` is the blob's length."""

    diff_id: str
    digest: str
    blob: bytes = field(repr=False)
    size_bytes: int
    unpacked_bytes: int
    entries: tuple[str, ...]


def read_tree(root: Path, paths: Iterable[str]) -> CodeTree:
    """Read `paths` (relative to `root`) into memory.

    Raises: LayerRejected, for a name or a file type that a layer must not hold; LayerTooLarge, above 100 MB.
    """
    files: list[CodeFile] = []
    total_bytes = 0
    for path in paths:
        file = _read_file(root, path, most_bytes=MAX_LAYER_BYTES - total_bytes)
        total_bytes += len(file.content)
        files.append(file)
    if not files:
        message = f"No file below `{root}` is selected"
        raise LayerRejected(message, hint="Check the include and exclude globs, and `git add` new files")
    return CodeTree(files=tuple(sorted(files, key=lambda file: file.path.encode())))


def treehash(tree: CodeTree, *, base_digest: str, settings: Mapping[str, object]) -> str:
    """64 hex digits that name the code image before it is built, independent of the compressor.

    Covers each `sha256  path  mode` line, the base image, `settings` (what goes into the image config) and the format.
    """
    lines = "".join(f"{file.sha256}  {file.path}  {file.mode}\n" for file in tree.files)
    head = canonical_json({"base": base_digest, "format": FORMAT_VERSION, "settings": settings})
    return hashlib.sha256(head + b"\n" + lines.encode()).hexdigest()


def build_layer(tree: CodeTree) -> Layer:
    """Pack `tree` below `/app`: sorted PAX tar, root-owned, fixed times and modes, gzip without name or time."""
    import gzip  # which code that was pushed before does not need, nor tar
    import tarfile

    out = io.BytesIO()
    entries: list[str] = []
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, file in _members(tree):
            tar.addfile(_member(name, file), io.BytesIO(file.content) if file and file.mode != "link" else None)
            entries.append(name)
    unpacked = out.getvalue()
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=_GZIP_LEVEL, fileobj=packed, mtime=0) as stream:
        stream.write(unpacked)
    blob = packed.getvalue()
    return Layer(
        diff_id=digest_of(unpacked),
        digest=digest_of(blob),
        blob=blob,
        size_bytes=len(blob),
        unpacked_bytes=sum(len(file.content) for file in tree.files if file.mode != "link"),
        entries=tuple(entries),
    )


def _members(tree: CodeTree) -> list[tuple[str, CodeFile | None]]:
    """Names with their file, or with None for a folder; each folder comes before what is in it."""
    members: dict[str, CodeFile | None] = {}
    for file in tree.files:
        name = f"{APP_FOLDER}/{file.path}"
        for parent in _parents(name):
            members.setdefault(parent, None)
        members[name] = file
    return sorted(members.items(), key=lambda member: member[0].encode())


def _parents(name: str) -> list[str]:
    pieces = name.split("/")
    return ["/".join(pieces[:count]) for count in range(1, len(pieces))]


def _member(name: str, file: CodeFile | None) -> tarfile.TarInfo:
    import tarfile

    member = tarfile.TarInfo(name)
    member.mtime = FIXED_MTIME_S
    if file is None:
        member.type, member.mode = tarfile.DIRTYPE, 0o755
    elif file.mode == "link":
        member.type, member.mode, member.linkname = tarfile.SYMTYPE, 0o777, file.content.decode()
    else:
        member.size, member.mode = len(file.content), int(file.mode, 8)
    return member


def _read_file(root: Path, path: str, *, most_bytes: int) -> CodeFile:
    _check_name(path)
    full = root / on_disk(path)
    try:
        status = full.lstat()
        if stat.S_ISLNK(status.st_mode):
            content = _link_target(path, in_image(str(full.readlink()))).encode()
            mode: Mode = "link"
        elif stat.S_ISREG(status.st_mode):
            # Asked before it is read, since a model may be larger than the memory.
            if status.st_size > most_bytes:
                message = f"With `{path}` the code below `{root}` is larger than {MAX_LAYER_BYTES // 10**6} MB"
                raise LayerTooLarge(
                    message, hint="The limit is fixed: keep models in the AMI and libraries in the base image"
                )
            content = full.read_bytes()
            mode = "0755" if status.st_mode & stat.S_IXUSR else "0644"
        else:
            message = f"`{path}` is neither a file nor a symbolic link"
            raise LayerRejected(message, hint="Exclude devices, sockets, pipes and nested checkouts from the code")
    except OSError as err:
        message = f"`{path}` cannot be read: {err.strerror}"
        raise LayerRejected(message, hint="Check that the file still exists and is readable") from err
    return CodeFile(path=path, sha256=hashlib.sha256(content).hexdigest(), mode=mode, content=content)


def _check_name(path: str) -> None:
    pieces = path.split("/")
    if path.startswith("/") or any(piece in ("", ".", "..") for piece in pieces):
        message = f"`{path}` is not a plain relative path"
        raise LayerRejected(message, hint="Pass paths relative to the code folder, without `..`")
    if any(piece.startswith(".wh.") for piece in pieces):
        message = f"`{path}` would delete files of the base image: names that start with `.wh.` are whiteouts"
        raise LayerRejected(message, hint="Rename or exclude the file")
    # A line of the tree hash is one file.
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in path):
        message = f"`{path!a}` holds control characters"
        raise LayerRejected(message, hint="Rename or exclude the file")
    try:
        path.encode()
    except UnicodeEncodeError as err:
        message = f"`{path!a}` is not UTF-8"
        raise LayerRejected(message, hint="Rename the file") from err


def _link_target(path: str, target: str) -> str:
    if not target.isprintable():
        message = f"`{path}` links to {target!a}, which is not printable text"
        raise LayerRejected(message, hint="Replace the link by the file")
    return target
