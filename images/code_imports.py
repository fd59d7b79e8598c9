"""Whether the imports of code that is about to be pushed will succeed, at no more than the price of the files that changed.

What the code itself decides is decided at once. What leads out of it is asked of the base's layers, where they were read before, and the
answer is remembered: a push does not fetch the base's bytes, and leaves what it cannot know to who reads the whole image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from images.code_memory import CodeMemory
from images.file_system import PlacedFile, file_system
from images.index import FileEntry, ImageIndex, Import, LayerIndex
from images.layer import APP_FOLDER, CodeFile, CodeTree
from images.modules import Modules, modules_of, search_path


class Missing(NamedTuple):
    """An import of the file `path` (below the code's folder) that fails. `module` is the dotted name that is missing, and `places` are
    where, below the code's folder, a file of the code could provide it. It is not `proven` where only the unknown base could tell."""

    path: str
    needed: Import
    module: str
    places: tuple[str, ...]
    proven: bool


def missing_imports(
    tree: CodeTree,
    env: Mapping[str, str],
    memory: CodeMemory,
    *,
    provided: frozenset[str],
    base: Callable[[], ImageIndex | None],
) -> Iterator[Missing]:
    """Each import of `tree` that will fail in an image with the variables `env`, each missing name once for each file.

    `memory` has looked at the tree. `base` is asked at most once, for what it does not know, and gives None where the layers of the base
    were never read.
    """
    code = _layer(tree, memory)
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
        self, code: LayerIndex, env: Mapping[str, str], memory: CodeMemory, read: Callable[[], ImageIndex | None]
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


def _layer(tree: CodeTree, memory: CodeMemory) -> LayerIndex:
    """The code as far as imports go."""
    entries = tuple(_entry(file, memory) for file in tree.files)
    return LayerIndex(digest="", compressed_bytes=0, unpacked_bytes=0, entries=entries)


def _entry(file: CodeFile, memory: CodeMemory) -> FileEntry:
    path = f"{APP_FOLDER}/{file.path}"
    if file.mode == "link":
        return FileEntry(path=path, kind="symlink", size_bytes=0, mode=0, link=file.content.decode())
    known = memory.files[file.path]
    imports = (Import(module=module, line=line, name=name, deferred=late) for module, line, name, late in known.imports)
    return FileEntry(
        path=path,
        kind="file",
        size_bytes=0,
        mode=0,
        imports=tuple(imports),
        defines=tuple(known.defines),
        sets=tuple(known.sets),
    )


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
