"""Whether the imports of code that is about to be pushed will succeed, at no more than the price of the files that changed.

What the code itself decides is decided at once. What leads out of it is asked of the base's layers, where they were read before, and the
answer is remembered: a push does not fetch the base's bytes, and leaves what it cannot know to who reads the whole image.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from images.digests import digest_of, write_if_possible
from images.file_system import PlacedFile, file_system
from images.index import Broken, FileEntry, ImageIndex, Import, LayerIndex
from images.layer import APP_FOLDER, CodeFile, CodeTree
from images.modules import Modules, modules_of, search_path
from images.signatures import MAX_SECRET_SCAN_BYTES

# Of the file's form, and of what is told of a source.
_VERSION = f"2-3.{sys.version_info.minor}"


_Source = tuple[str, list[Any], list[str], list[str], list[Any] | None]


class Missing(NamedTuple):
    """An import of the file `path` (below the code's folder) that fails. `module` is the dotted name that is missing, and `places` are
    where, below the code's folder, a file of the code could provide it. It is not `proven` where only the unknown base could tell."""

    path: str
    needed: Import
    module: str
    places: tuple[str, ...]
    proven: bool


class ImportMemory:
    """What was read from the Python files of the code, by path and content, and what one base answered, kept in one file.

    `key` names the base and its settings; `python` is its Python's minor version, "" as long as that is not known. `folders` are those in
    which the interpreter of the image looks, none before the base was asked; `answers` are the missing names by what was asked for, ""
    where nothing was missing. `settled` is what was provided elsewhere when nothing was missing.
    """

    def __init__(self, file: Path, key: str) -> None:
        self._file = file
        self.key = key
        self.python = ""
        self.folders: tuple[str, ...] = ()
        self.answers: dict[str, str] = {}
        self.settled: list[str] | None = None
        self._others = ""
        # Per Python file: sha256 of the content, imports, names that it defines, names that it sets, why it is broken.
        self._scans: dict[str, _Source] = {}
        self._is_changed = False
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
            self.settled, self._is_changed = sorted(provided), True

    def look(self, tree: CodeTree) -> dict[str, Broken]:
        """Read the Python files of `tree` that are not remembered; those that some Python does not compile, by path."""
        before, self._scans = self._scans, {}
        for file in _sources(tree):
            known = before.get(file.path)
            if known is None or known[0] != file.sha256:
                known, was = _read_source(file), known
                self._is_changed = True
                if was is None or not _asks_no_more(known, was):
                    self.settled = None
            self._scans[file.path] = known
        others = digest_of(
            "\n".join(f"{file.mode} {file.path}" for file in tree.files if file.path not in self._scans).encode()
        )
        if before.keys() - self._scans.keys() or others != self._others:
            self.settled, self._others, self._is_changed = None, others, True
        return {path: Broken(*broken) for path, (*_, broken) in self._scans.items() if broken}

    def layer(self, tree: CodeTree) -> LayerIndex:
        """The code as far as imports go; `look` comes first."""
        entries = []
        for file in tree.files:
            _, imports, defines, sets, _ = self._scans.get(file.path, ("", [], [], [], None))
            entry = FileEntry(
                path=f"{APP_FOLDER}/{file.path}",
                kind="symlink" if file.mode == "link" else "file",
                size_bytes=0,
                mode=0,
                link=file.content.decode() if file.mode == "link" else "",
                imports=tuple(
                    Import(module=module, line=line, name=name, deferred=late) for module, line, name, late in imports
                ),
                defines=tuple(defines),
                sets=tuple(sets),
            )
            entries.append(entry)
        return LayerIndex(digest="", compressed_bytes=0, unpacked_bytes=0, entries=tuple(entries))

    def keep(self) -> None:
        """Write it, if it has changed since it was read and there is room for it."""
        if self._is_changed:
            document = {
                "version": _VERSION, "key": self.key, "python": self.python, "folders": self.folders, "answers": self.answers,
                "settled": self.settled, "others": self._others, "scans": self._scans,
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
        if digest != digest_of(written).encode() or (told := json.loads(written))["version"] != _VERSION:
            return
        if told["key"] == self.key:
            self.python, self.folders, self.answers = told["python"], tuple(told["folders"]), told["answers"]
            self.settled = told["settled"]
        self._others, self._scans = told["others"], told["scans"]


def missing_imports(
    tree: CodeTree,
    env: Mapping[str, str],
    memory: ImportMemory,
    *,
    provided: frozenset[str],
    base: Callable[[], ImageIndex | None],
) -> Iterator[Missing]:
    """Each import of `tree` that will fail in an image with the variables `env`, each missing name once for each file.

    `memory` has looked at the tree. `base` is asked at most once, for what it does not know, and gives None where the layers of the base
    were never read.
    """
    if memory.settled == sorted(provided):
        return
    code = memory.layer(tree)
    asked = _Base(code, env, memory, base)
    files = [
        PlacedFile(path=entry.path, kind=entry.kind, mode=0, layer=0, entry=entry, own_bytes=0)
        for entry in code.entries
    ]
    own = Modules(files, asked.folders(), knows_library=True)
    is_settled = True
    for file in files:
        missed: set[str] = set()
        for needed in file.entry.imports:
            top = needed.module.split(".")[0]
            missing, proven = "" if needed.is_in(provided) else own.missing(needed, file.path), True
            if missing and top:
                is_shared = own.has(top)
                proven = asked.is_known or (is_shared and own.is_whole(top))
                missing = asked.about(needed, file, missing, is_shared=is_shared)
            if missing and missing not in missed:
                is_settled = False
                missed.add(missing)
                path, places = file.path.removeprefix(f"{APP_FOLDER}/"), _places(missing, file.path, own.folders)
                yield Missing(path, needed, missing, places, proven)
    if is_settled:
        memory.settle(provided)


class _Base:
    """What the base has, and with it the image."""

    def __init__(
        self, code: LayerIndex, env: Mapping[str, str], memory: ImportMemory, read: Callable[[], ImageIndex | None]
    ) -> None:
        self._code = code
        self._env = env
        self._memory = memory
        self._read = read
        self._found: Modules | None = None
        self._is_read = False

    @property
    def is_known(self) -> bool:
        """Whether the base was asked, now or before."""
        return bool(self._memory.folders)

    def folders(self) -> tuple[str, ...]:
        """Where the interpreter of the image looks, as far as it is known."""
        if not self._memory.folders:
            self._modules()
        return self._memory.folders or search_path(_whole((self._code,), {}, self._env))

    def about(self, needed: Import, file: PlacedFile, otherwise: str, *, is_shared: bool) -> str:
        """What is missing for an import of which the code lacks `otherwise`, which it is if the base is not known. `is_shared`: the code
        has a part of it, and the base may have another; such an answer depends on both, and is not remembered."""
        question = f"{needed.module}:{needed.name}"
        answer = None if is_shared else self._memory.answers.get(question)
        if answer is not None:
            return answer
        modules = self._modules()
        if modules is None:
            return otherwise
        answer = modules.missing(needed, file.path)
        if not is_shared:
            self._memory.know_answer(question, answer)
        return answer

    def _modules(self) -> Modules | None:
        if not self._is_read:
            self._is_read = True
            if base := self._read():
                whole = _whole((*base.layers, self._code), _variables(base), self._env)
                self._found = modules_of(whole, file_system(whole.layers))
                self._memory.know_base(self._found.folders)
        return self._found


def _sources(tree: CodeTree) -> Iterator[CodeFile]:
    for file in tree.files:
        if file.mode != "link" and file.path.endswith(".py") and len(file.content) <= MAX_SECRET_SCAN_BYTES:
            yield file


def _read_source(file: CodeFile) -> _Source:
    from images.imports import scan  # which code that did not change does without

    told = scan(file.content, file.path)
    imports: list[Any] = [(one.module, one.line, one.name, one.deferred) for one in told.imports]
    return file.sha256, imports, list(told.defines), list(told.sets), list(told.broken) if told.broken else None


def _asks_no_more(now: _Source, before: _Source) -> bool:
    """Whether a file needs nothing that it did not need before, and defines and sets all that it did."""
    needs, needed = ({(module, name) for module, _, name, _ in scan[1]} for scan in (now, before))
    return needs <= needed and set(now[2]) >= set(before[2]) and set(now[3]) >= set(before[3])


def _whole(layers: tuple[LayerIndex, ...], variables: Mapping[str, str], env: Mapping[str, str]) -> ImageIndex:
    config = {"config": {"Env": [f"{name}={value}" for name, value in {**variables, **env}.items()]}}
    return ImageIndex(digest="", media_type="", config=config, layers=layers)


def _variables(index: ImageIndex) -> dict[str, str]:
    return dict(line.partition("=")[::2] for line in (index.config.get("config") or {}).get("Env") or ())


def _places(module: str, path: str, folders: tuple[str, ...]) -> tuple[str, ...]:
    """Files of the code that would be the module, for who imports it in the file `path` of the image."""
    prefix, below = f"{APP_FOLDER}/", module.replace(".", "/")
    searched = dict.fromkeys((*folders, f"{path.rpartition('/')[0]}/"))
    stems = [f"{folder.removeprefix(prefix)}{below}" for folder in searched if folder.startswith(prefix)]
    return tuple(name for stem in stems for name in (f"{stem}.py", f"{stem}/__init__.py"))
