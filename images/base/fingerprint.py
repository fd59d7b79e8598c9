"""Whether the same lock and configuration still give the same base, found out without planning it: a code push has no time for that."""

from __future__ import annotations

import hashlib
from pathlib import Path

_FOLDER = Path(__file__).parent
# The build runs it too.
_GLOBS = _FOLDER.parent / "globs.py"


def fingerprint(cache: Path) -> str:
    """A digest that changes with this package's own files and with the root filesystems that `cache` holds.

    Of a root filesystem, which is large, its name, size and time count instead of its content.
    """
    files = (path for path in (*sorted(_FOLDER.iterdir()), _GLOBS) if path.suffix in {".py", ".j2"})
    parts = [f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files]
    for tar in sorted((cache / "rootfs").glob("*.tar")):
        about = tar.stat()
        parts.append(f"{tar.name} {about.st_size} {about.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
