"""What is known of the code that is about to be pushed, so that a push looks only into the files that changed.

It is kept in one file beside the configuration; whatever of it does not fit any more is found out again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from images.digests import digest_of, write_if_possible
from images.index import Broken
from images.layer import CodeFile, CodeTree
from images.signatures import MAX_SECRET_SCAN_BYTES, flags_of

# What is told of a file, and of its imports, depends on them.
_JUDGES = (
    "code_imports.py",
    "code_memory.py",
    "file_system.py",
    "imports.py",
    "index.py",
    "modules.py",
    "signatures.py",
)


class KnownFile(NamedTuple):
    """What a file of the code is whose content has this `sha256`: its flags, and of a Python file what `images.imports` tells.

    Each of `imports` are a module, a line, the name that is taken from it and whether that is deferred; `broken` are fields of `Broken`.
    """

    sha256: str
    flags: list[str]
    imports: list[Any]
    defines: list[str]
    sets: list[str]
    broken: list[Any] | None

    @property
    def why_broken(self) -> Broken | None:
        """Why some Python does not compile it."""
        return Broken(*self.broken) if self.broken else None


class CodeMemory:
    """What was seen in the files of the code, by path and content, and what one base answered.

    `key` names the base and its settings; `python` is its Python's minor version, "" as long as that is not known. `folders` are those in
    which the interpreter of the image looks, none before the base was asked; `answers` are the missing names by what was asked for, ""
    where nothing was missing.
    """

    def __init__(self, file: Path, key: str) -> None:
        self._file = file
        self.key = key
        self.python = ""
        self.folders: tuple[str, ...] = ()
        self.answers: dict[str, str] = {}
        self.files: dict[str, KnownFile] = {}
        # What was provided elsewhere when no import was missing.
        self._settled: list[str] | None = None
        self._others = ""
        self._is_changed = False
        self._version = _version()
        self._read()

    def know_python(self, version: str) -> None:
        """Remember the Python of the base."""
        self.python, self._is_changed = version, True

    def know_base(self, folders: tuple[str, ...]) -> None:
        """Remember that the base was asked, and where its interpreter looks."""
        if self.folders != folders:
            self.folders, self._is_changed = folders, True

    def know_answer(self, question: str, answer: str) -> None:
        """Remember what the base answered."""
        self.answers[question], self._is_changed = answer, True

    def settle(self, provided: frozenset[str]) -> None:
        """Remember that nothing is missing beside what is provided, which the code and the known base alone decide."""
        if self.folders:
            self._settled, self._is_changed = sorted(provided), True

    def is_settled(self, provided: frozenset[str]) -> bool:
        """Whether no import that the code has now can be missing, as far as was found out before."""
        return self._settled == sorted(provided)

    def look(self, tree: CodeTree) -> Mapping[str, KnownFile]:
        """Read the files of `tree` that are not remembered, and tell of all of them, but for links, by path."""
        before, self.files = self.files, {}
        for file in tree.files:
            if file.mode == "link":
                continue
            known = before.get(file.path)
            if known is None or known.sha256 != file.sha256:
                known, was = _look_into(file), known
                self._is_changed = True
                if was is None or not _asks_no_more(known, was):
                    self._settled = None
            self.files[file.path] = known
        others = digest_of(
            "\n".join(f"{file.mode} {file.path}" for file in tree.files if not _is_source(file)).encode()
        )
        if before.keys() - self.files.keys() or others != self._others:
            self._settled, self._others, self._is_changed = None, others, True
        return self.files

    def keep(self) -> None:
        """Write it, if it has changed since it was read and there is room for it."""
        if self._is_changed:
            document = {
                "version": self._version, "key": self.key, "python": self.python, "folders": self.folders,
                "answers": self.answers, "settled": self._settled, "others": self._others, "files": self.files,
            }  # fmt: skip
            told = json.dumps(document, separators=(",", ":")).encode()
            write_if_possible(self._file, digest_of(told).encode() + b"\n" + told)
            self._is_changed = False

    def _read(self) -> None:
        try:
            digest, _, written = self._file.read_bytes().partition(b"\n")
        except OSError:
            return
        # What is damaged, or of another form, is as good as absent: everything is found out again.
        if digest == digest_of(written).encode():
            with suppress(ValueError, TypeError, KeyError, AttributeError):
                self._take(json.loads(written))

    def _take(self, told: dict[str, Any]) -> None:
        if told["version"] != self._version:
            return
        files = {path: KnownFile(*known) for path, known in told["files"].items()}
        if told["key"] == self.key:
            self.python, self.folders, self.answers = told["python"], tuple(told["folders"]), told["answers"]
            self._settled = told["settled"]
        self._others, self.files = told["others"], files


def _version() -> str:
    """Of the file's form, and of what is told of a file: another one after each change of who tells it."""
    judges = b"".join((Path(__file__).parent / name).read_bytes() for name in _JUDGES)
    return f"3.{sys.version_info.minor} {digest_of(judges)}"


def _is_source(file: CodeFile) -> bool:
    return file.mode != "link" and file.path.endswith(".py") and len(file.content) <= MAX_SECRET_SCAN_BYTES


def _look_into(file: CodeFile) -> KnownFile:
    flags = list(flags_of(file.path, file.content, size_bytes=len(file.content), is_code=True))
    if not _is_source(file):
        return KnownFile(file.sha256, flags, [], [], [], None)
    from images.imports import scan  # which code that did not change does without

    told = scan(file.content, file.path)
    imports: list[Any] = [(one.module, one.line, one.name, one.deferred) for one in told.imports]
    broken = list(told.broken) if told.broken else None
    return KnownFile(file.sha256, flags, imports, list(told.defines), list(told.sets), broken)


def _asks_no_more(now: KnownFile, before: KnownFile) -> bool:
    """Whether a file needs nothing that it did not need before, and defines and sets all that it did."""
    needs, needed = ({(module, name) for module, _, name, _ in each.imports} for each in (now, before))
    return needs <= needed and set(now.defines) >= set(before.defines) and set(now.sets) >= set(before.sets)
