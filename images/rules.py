"""What rules for images are written in: the limits that a configuration sets, what a broken rule says, and which files a rule looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from images.index import FileEntry, ImageIndex, LayerIndex
from images.layer import APP_FOLDER

if TYPE_CHECKING:
    from images.file_system import FileSystem

MB = 10**6
# What a container sees of the image, for rules that cannot be told without: it takes longer to find out than all the others.
Seen: TypeAlias = "Callable[[], FileSystem]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What an image may be; globs are of paths in the image, those of the code relative to `/app`.

    `allowed_packages` are `name==version` with normalised names, as `locked_packages` gives; None leaves packages unchecked, as does
    `allowed_code` for the top-level names below `/app`. `runtime_modules` are the top-level modules that are not missed,
    as the host has them or the code does without; `mounted_modules` those of them that the host mounts, behind the image's own.
    `code_globs_not_compiled` are of Python files that nobody runs, such as templates.
    """

    max_compressed_bytes: int = 300 * MB
    max_unpacked_bytes: int = 500 * MB
    max_file_bytes: int = 20 * MB
    # Shared libraries of wheels and of the system are large and wanted.
    large_file_globs: tuple[str, ...] = ("**/*.so", "**/*.so.*")
    model_globs_allowed: tuple[str, ...] = ()
    code_globs_forbidden: tuple[str, ...] = ()
    code_globs_without_secrets: tuple[str, ...] = ()
    max_wasted_bytes: int = 1 * MB
    max_duplicate_bytes: int = 1 * MB
    allowed_packages: frozenset[str] | None = None
    allowed_code: frozenset[str] | None = None
    runtime_modules: frozenset[str] = frozenset()
    code_globs_not_compiled: tuple[str, ...] = ()
    mounted_modules: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A broken rule: `path` and `layer` (a digest) say where, and are empty for rules on the whole image.

    `hint` says what mends this one, where that is more than what mends every other one of its rule.
    """

    code: str
    message: str
    path: str = ""
    layer: str = ""
    hint: str = ""


def files_of(index: ImageIndex, *kinds: str) -> Iterator[tuple[LayerIndex, FileEntry]]:
    """The entries of these kinds, of files by default, with their layers; no whiteouts."""
    wanted = kinds or ("file",)
    return (
        (layer, entry)
        for layer in index.layers
        for entry in layer.entries
        if entry.kind in wanted and not entry.is_whiteout
    )


def name_in_code(path: str) -> str | None:
    """The path relative to `/app`; None for what is not below it."""
    return path.removeprefix(f"{APP_FOLDER}/") if path.startswith(f"{APP_FOLDER}/") else None
