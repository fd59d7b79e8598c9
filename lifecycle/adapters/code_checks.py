"""What can be said of the code of the working tree before it is sent, without its base's bytes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from images.code_index import code_index
from images.code_memory import CodeMemory
from images.code_rules import import_unresolved, own_module_hint
from images.digests import DigestCache, canonical_json
from images.index import PYTHON_LABEL
from images.layer import APP_FOLDER, CodeTree
from images.manifest import known_config
from images.selection import DEFAULT_EXCLUDE, would_ship
from lifecycle.adapters.cache_folder import cache_folder
from lifecycle.adapters.image_errors import image_errors_translated
from lifecycle.config.target import Target

if TYPE_CHECKING:
    from images.code_imports import Missing
    from lifecycle.domain.image_report import ImageIndex, Violation


class CodeChecks:
    """Of one tree on the base image `base`, a digest, or "" where there is none yet.

    Reads only the files that changed since the last time, and asks no registry.
    """

    def __init__(self, target: Target, tree: CodeTree, base: str) -> None:
        self._target = target
        self._settings = target.settings.image
        self._tree = tree
        self._base = base

    @cached_property
    def index(self) -> ImageIndex:
        """The code as an image of nothing else."""
        return code_index(self._tree, self._memory.files, self._settings.environment, python=self._python())

    def missing_imports(self, provided: frozenset[str]) -> tuple[Violation, ...]:
        """The imports that will fail."""
        found = () if self._memory.is_settled(provided) else self._find_missing(provided)
        self._memory.keep()
        told = [(each, self._not_shipped(each.places)) for each in found]
        names = [file.path for file in self._tree.files]
        return tuple(
            import_unresolved(
                f"{APP_FOLDER}/{each.path}", each.needed, each.module, hint=hint or own_module_hint(each.module, names)
            )
            for each, hint in told
            if each.proven or hint
        )

    @cached_property
    def _memory(self) -> CodeMemory:
        """It has looked at the tree."""
        file = self._target.folder / ".capctl" / f"code-{self._target.name}.json"
        key = {"base": self._base, "environment": dict(self._settings.environment)}
        memory = CodeMemory(file, canonical_json(key).decode())
        memory.look(self._tree)
        return memory

    def _find_missing(self, provided: frozenset[str]) -> tuple[Missing, ...]:
        from images.code_imports import missing_imports  # which code without new imports does without

        environment = self._settings.environment
        return tuple(missing_imports(self._tree, environment, self._memory, provided=provided, base=self._known_base))

    def _not_shipped(self, places: Iterable[str]) -> str:
        """What to do about the first of these files that is in the working tree, though not in the code; "" if none is."""
        name = next((name for name in places if (self._target.path(self._settings.root) / name).is_file()), "")
        if not name:
            return ""
        if would_ship(name, self._settings.include, (*DEFAULT_EXCLUDE, *self._settings.exclude)):
            return f"`{name}` is not tracked by git: `git add` it"
        return (
            f"`{name}` is left out of the code, by `image.include`, by `image.exclude` or because its like never ships"
        )

    def _python(self) -> str:
        """As the base's label tells; "" before its config was read for the first time."""
        if not self._memory.python and (known := known_config(self._base, self._blobs)):
            labels = (known.get("config") or {}).get("Labels") or {}
            if python := labels.get(PYTHON_LABEL):
                self._memory.know_python(python)
        return self._memory.python

    def _known_base(self) -> ImageIndex | None:
        from images.inspect import known_index

        with image_errors_translated():
            return known_index(self._base, self._blobs, cache_folder() / "layers")

    @property
    def _blobs(self) -> DigestCache:
        return DigestCache(cache_folder() / "blobs")
