"""Names of files, UTF-8 in an image whatever the locale of the process that reads them from disk; and of packages."""

from __future__ import annotations

import os
import re


def on_disk(name: str) -> str:
    """The name in an image, as this process must write it to open the file."""
    return os.fsdecode(name.encode(errors="surrogateescape"))


def in_image(name: str) -> str:
    """What a folder or a link told this process, as an image has it; a byte that is no UTF-8 stays as a lone surrogate."""
    return os.fsencode(name).decode(errors="surrogateescape")


def normalised(package: str) -> str:
    """The name of a package as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", package).lower()
