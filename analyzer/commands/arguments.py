"""What commands are told on the command line, read strictly: what cannot be meant is refused before any work."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from analyzer.contract import local_path
from analyzer.errors import RequestInvalid

PORT_MAX = 65_535


def whole_number(text: str, *, name: str, code: str, least: int, most: int) -> int:
    """Read a number of `least` to `most`; raises RequestInvalid with `code`."""
    digits = text.lstrip("0") or "0"
    # Python reads no number of thousands of digits.
    if text.isascii() and text.isdecimal() and len(digits) <= len(str(most)) and least <= int(digits) <= most:
        return int(digits)
    raise RequestInvalid(code, f"{name} is `{text[:40]}`, expected {least} to {most}")


def output_file(text: str, *, name: str, inputs: Iterable[Path]) -> Path:
    """Where a command writes one file, which may be there already, but is neither a folder nor one of `inputs`; its folder is there.

    Raises: RequestInvalid.
    """
    path = local_path(text, name=name)
    is_folder, has_folder = not path.name or path.name == "..", True
    with suppress(OSError):
        # What may not be looked at is told when it is written.
        is_folder = is_folder or path.is_dir()
        has_folder = path.parent.exists()
    if is_folder:
        raise RequestInvalid("output-is-folder", f"{name} `{text}` is a folder", hint="Name a file in it")
    # Links are followed: where they lead counts.
    place = os.path.realpath(path)
    for each in inputs:
        own = os.path.realpath(each)
        if place == own or place.startswith(f"{own}/"):
            what = f"{name} `{text}` is what is read, or a part of it"
            raise RequestInvalid("output-is-input", what, hint="Name another file")
    if not has_folder:
        what = f"{name} is `{text}`, and there is no folder `{path.parent}`"
        raise RequestInvalid("output-folder-missing", what, hint="Make it, or name a file in another folder")
    return path
