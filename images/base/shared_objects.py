"""Make the shared libraries of unpacked wheels smaller, without changing a byte that is ever mapped. Runs inside the image build.

Standard library only, because the root filesystem has nothing else.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from pathlib import Path

_MAGIC = b"\x7fELF\x02\x01"  # 64 bits, little-endian
_HEADER_BYTES = 64
_PROGRAM_HEADER_BYTES = 56
_LOAD = 1

# `libavcodec-57aca189.so.62.28.102`: auditwheel puts a hash of the build into the name of each library that it bundles.
_BUNDLED = re.compile(r"(?P<name>lib.+)-[0-9a-f]{8,}(?P<version>\.so(?:\.\d+)*)")
_FFMPEG = re.compile(r"lib(?:avcodec|avdevice|avfilter|avformat|avutil|swresample|swscale)")


def compacted(content: bytes) -> bytes:
    """The ELF file without its unmapped bytes: symbols and debug sections, which a loader never reads.

    `strip` would do, but it is on no slim root, and it breaks libraries whose headers have been patched. Here the mapped segments stay
    as they are, at the same addresses; only where they lie in the file changes. A file of any unforeseen shape is returned unchanged.
    """
    if not content.startswith(_MAGIC) or len(content) < _HEADER_BYTES:
        return content
    (program_headers,) = struct.unpack_from("<Q", content, 32)
    entry_bytes, entries = struct.unpack_from("<HH", content, 54)
    if entry_bytes < _PROGRAM_HEADER_BYTES or program_headers + entries * entry_bytes > len(content):
        return content
    segments = [struct.unpack_from("<IIQQQQQQ", content, program_headers + n * entry_bytes) for n in range(entries)]
    loads = [
        (offset, address, size, align) for kind, _, offset, address, _, size, _, align in segments if kind == _LOAD
    ]
    end_of_headers = program_headers + entries * entry_bytes
    if not loads or loads != sorted(loads) or loads[0][0] != 0 or end_of_headers > loads[0][2]:
        return content
    if any(offset + size > len(content) for offset, _, size, _ in loads):
        return content
    out, moved = bytearray(), []
    for offset, address, size, align in loads:
        # A segment is mapped by pages: its place in the file has to agree with its address within one.
        out += bytes((address - len(out)) % max(align, 1))
        moved.append((offset, size, len(out)))
        out += content[offset : offset + size]
    if len(out) >= len(content):
        return content
    for n, (_, _, offset, _, _, size, _, _) in enumerate(segments):
        place = next(
            (new + offset - old for old, held, new in moved if old <= offset and offset + size <= old + held), 0
        )
        struct.pack_into("<Q", out, program_headers + n * entry_bytes + 8, place)
    struct.pack_into("<Q", out, 40, 0)  # there is no table of sections any more,
    struct.pack_into("<HH", out, 60, 0, 0)  # which means none of them, and none with their names
    return bytes(out)


def share_ffmpeg(owner: Path, guest: Path, users: Iterable[Path], link: str) -> None:
    """Where both folders of bundled libraries hold the same versions of FFmpeg's, keep the owner's and let the guest's names lead to them.

    They are other builds of one version: equal in what they offer to programs, but configured otherwise.

    `users` are the files that load the guest's libraries; what none of them needs then goes too. `link` leads from the guest's folder to
    the owner's. Does nothing unless every FFmpeg library of the guest is the owner's in the same version.
    """
    theirs = {_identity(path): path for path in owner.glob("*.so*")} if owner.is_dir() else {}
    doubles = {path: theirs.get(_identity(path)) for path in guest.glob("*.so*") if _FFMPEG.match(path.name)}
    if not doubles or None in doubles.values():
        return
    for path in doubles:
        path.unlink()
    _remove_unneeded(guest, users)
    for path, other in doubles.items():
        path.symlink_to(f"{link}/{other.name}" if other else "")
    # The owner's libraries look for each other beside the name by which they were opened.
    for path in theirs.values():
        if not (guest / path.name).exists():
            (guest / path.name).symlink_to(f"{link}/{path.name}")


def _identity(path: Path) -> tuple[str, str]:
    bundled = _BUNDLED.fullmatch(path.name)
    return (bundled["name"], bundled["version"]) if bundled else (path.name, "")


def _remove_unneeded(folder: Path, users: Iterable[Path]) -> None:
    """A library that is needed is named, with its hash, in the file that needs it."""
    waiting, needed = [path.read_bytes() for path in users], set[Path]()
    libraries = sorted(folder.glob("*.so*"))
    while waiting:
        content = waiting.pop()
        found = {path for path in libraries if path not in needed and path.name.encode() in content}
        needed |= found
        waiting += [path.read_bytes() for path in sorted(found)]
    for path in libraries:
        if path not in needed:
            path.unlink()
