"""The marker beside the models, `.model-set.json`: which files the set has. Whoever writes one, a bake or `models mark`, writes it here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

from analyzer.contract.names import MARKER_SCHEMA


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """One file of the set; `path` is relative to the model root, `mode` is four octal digits.

    `licence` and `permitted_use` are what the set's owner wrote down, "" for nothing; no digest covers them.
    """

    path: str
    size_bytes: int
    sha256: str
    mode: str
    licence: str = ""
    permitted_use: str = ""

    @property
    def entry(self) -> dict[str, str | int]:
        """As the marker and the result document write it."""
        return {"path": self.path, "bytes": self.size_bytes, "sha256": self.sha256, "mode": self.mode}

    @property
    def terms(self) -> dict[str, str]:
        """What its owner says one may do with it."""
        return {"licence": self.licence, "permitted_use": self.permitted_use}

    @property
    def line(self) -> str:
        """The line that enters the set's digest."""
        return f"{self.sha256}  {self.path}  {self.mode}\n"


def set_digest(files: Iterable[ModelFile]) -> str:
    """`sha256:` of the lines `{sha256}  {path}  {mode}`, sorted by the bytes of the path."""
    lines = "".join(file.line for file in _sorted(files))
    return "sha256:" + hashlib.sha256(lines.encode()).hexdigest()


def marker_content(files: Iterable[ModelFile]) -> bytes:
    """The marker of the set of `files`: equal, byte for byte, whenever they are equal; terms that nobody stated are left out."""
    listed = _sorted(files)
    entries = [file.entry | {name: text for name, text in file.terms.items() if text} for file in listed]
    document = {"schema": MARKER_SCHEMA, "digest": set_digest(listed), "files": entries}
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def _sorted(files: Iterable[ModelFile]) -> list[ModelFile]:
    return sorted(files, key=lambda file: file.path.encode())
