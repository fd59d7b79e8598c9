"""Which imports of the code nothing in the image provides: neither the interpreter, nor its packages, nor the code itself."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator

from images.file_system import FileSystem, PlacedFile
from images.index import ANYTHING, SEARCH_PATH, ImageIndex, Import, packages_above
from images.layer import APP_FOLDER, SITE_FOLDER

# Modules that some builds of Python carry inside the interpreter and others as files, private ones among them; and the one that runs.
_NAMES = """
__main__ array atexit audioop binascii builtins cmath errno faulthandler fcntl gc grp itertools marshal math mmap
ossaudiodev posix pwd pyexpat readline resource select spwd sys syslog termios time unicodedata zlib
"""
_COMPILED_IN = frozenset(_NAMES.split())
_LIBRARY = r"(?P<above>(?:.+/)?)(?P<name>python3(?:\.\d+)?)/os\.pyc?"
_EXTENSION = r"(?:\.[A-Za-z0-9_-]+)?\.so"
_SOURCES = frozenset((".py", ".pyc"))
# What every module has, besides the modules below it.
_OF_EVERY_MODULE = frozenset(("__doc__", "__file__", "__loader__", "__name__", "__package__", "__path__", "__spec__"))


def unresolved_imports(
    index: ImageIndex, seen: FileSystem, provided: frozenset[str]
) -> Iterator[tuple[PlacedFile, Import, str]]:
    """Each file of the code with an import that fails, and the dotted name that is missing, once; `provided` dotted names, and what is
    below them, come from elsewhere."""
    found = modules_of(index, seen)
    for file in seen.placed.values():
        missed: set[str] = set()
        for needed in file.entry.imports:
            missing = "" if needed.is_in(provided) else found.missing(needed, file.path)
            if missing and missing not in missed:
                missed.add(missing)
                yield file, needed, missing


def modules_of(index: ImageIndex, seen: FileSystem) -> Modules:
    """All modules of an image."""
    files = [file for file in seen.placed.values() if file.kind != "folder"]
    libraries = [found for file in files if (found := re.fullmatch(_LIBRARY, file.path))]
    return Modules(files, search_path(index, libraries), knows_library=bool(libraries))


class Modules:
    """The modules of files by dotted name, wherever the interpreter looks for them: in `folders`, each with its last slash.

    `knows_library`: the files tell which modules the interpreter's own library has; else it has all of them.
    """

    def __init__(self, files: Iterable[PlacedFile], folders: tuple[str, ...], *, knows_library: bool) -> None:
        self.folders = folders
        self._packages: set[str] = set()  # regular ones
        self._files: set[str] = set()
        self._folders: set[str] = set()
        self._defines: dict[str, tuple[str, ...]] = {}  # of modules of the code
        self._sets: set[str] = set()  # what the code binds on modules
        self._elsewhere: set[str] = set()  # last names of what is anywhere in the code
        self._native: set[str] = set()  # top-level names with a module in C, which may make further ones
        self._links: set[str] = set()  # folders of which only the target is known
        self._knows_library = knows_library
        for file in files:
            for folder in folders:
                if file.path.startswith(folder) and "/__pycache__/" not in file.path:
                    self._add(file.path.removeprefix(folder), file, is_code=folder == f"{APP_FOLDER}/")

    def has(self, name: str) -> bool:
        """Whether a file, a folder or a link stands for the module `name`."""
        return self._is_there(name) or self._is_linked(name)

    def is_whole(self, top: str) -> bool:
        """Whether all that can be below the top-level module `top` is here: it is no folder to which other places may add."""
        return top in self._packages or top in self._files

    def missing(self, needed: Import, path: str) -> str:
        """The dotted name that keeps the import in the file `path` from succeeding, as far as files tell; "" if nothing does."""
        missing = self._missing(needed, path)
        return "" if self._is_made(missing) else missing

    def _missing(self, needed: Import, path: str) -> str:
        folder = ".".join(path.split("/")[1:-1])
        # A script finds what stands beside it; a module of a package does not.
        if folder and folder not in self._packages and self._is_there(f"{folder}.{needed.module}"):
            return ""
        if not self._has_module(needed.module):
            return needed.module
        below = f"{needed.module}.{needed.name}"
        if not needed.name or needed.name in _OF_EVERY_MODULE or self._is_there(below) or self._is_linked(below):
            return ""
        if needed.module in self._packages:
            # Only of the code it is known what a package defines.
            defined = self._defines.get(needed.module, (ANYTHING,))
            return "" if needed.name in defined or ANYTHING in defined else below
        # A folder without a file of its own defines nothing.
        return below if needed.module in self._folders and needed.module not in self._files else ""

    def _add(self, path: str, file: PlacedFile, *, is_code: bool) -> None:
        *folders, last = path.split("/")
        for count in range(1, len(folders) + 1):
            self._folders.add(".".join(folders[:count]))
        if is_code:
            self._elsewhere.update(folders)
        stem, dot, suffix = last.partition(".")
        suffix = dot + suffix
        if file.kind == "symlink" and not suffix:
            self._links.add(".".join((*folders, stem)))
        if suffix.endswith(".so") and re.fullmatch(_EXTENSION, suffix):
            self._native.add((*folders, stem)[0])
        elif suffix not in _SOURCES:
            return
        name = ".".join(folders if stem == "__init__" else (*folders, stem))
        if is_code:
            self._elsewhere.add(stem)
            # A module in C may define and make whatever it likes, and so may what a link leads to.
            is_closed = suffix.endswith(".so") or file.kind == "symlink"
            self._defines[name] = (ANYTHING,) if is_closed else file.entry.defines
            self._sets.update(file.entry.sets)
        (self._packages if stem == "__init__" else self._files).add(name)

    def _has_module(self, name: str) -> bool:
        top = name.split(".")[0]
        if not top:
            return False  # relative, and out of the code
        if self.has(name) or top in _COMPILED_IN or self._is_of_library(top):
            return True
        # `os.path`, `six.moves`: some modules make others that have no file.
        known = next((above for above in packages_above(name) if self._is_there(above)), "")
        if known in self._defines:
            return ANYTHING in self._defines[known]
        return known in self._files or (known != "" and top in self._native)

    def _is_made(self, name: str) -> bool:
        """Whether the code itself makes what has no file, or finds it in a folder that it adds to those of the interpreter."""
        if any(each in self._sets for each in (name, *packages_above(name))):
            return True
        top = name.split(".")[0]
        return SEARCH_PATH in self._sets and top in self._elsewhere and not self.is_whole(top)

    def _is_there(self, name: str) -> bool:
        return name in self._packages or name in self._files or name in self._folders

    def _is_linked(self, name: str) -> bool:
        return any(above in self._links for above in (name, *packages_above(name)))

    def _is_of_library(self, top: str) -> bool:
        return top in sys.stdlib_module_names and (top.startswith("_") or not self._knows_library)


def search_path(index: ImageIndex, libraries: Iterable[re.Match[str]] = ()) -> tuple[str, ...]:
    """Folders in which the interpreter looks, each with its last slash."""
    folders = [APP_FOLDER, SITE_FOLDER]
    for variable in (index.config.get("config") or {}).get("Env") or ():
        if variable.startswith("PYTHONPATH="):
            folders += [folder.strip("/") for folder in variable.partition("=")[2].split(":")]
    for library in libraries:
        above, folder = library["above"], f"{library['above']}{library['name']}"
        folders += [folder, f"{folder}/lib-dynload", f"{folder}/site-packages", f"{folder}/dist-packages"]
        folders += [f"{above}python3/dist-packages", f"usr/local/lib/{library['name']}/dist-packages"]
    return tuple(f"{folder}/" for folder in dict.fromkeys(folders) if folder)
