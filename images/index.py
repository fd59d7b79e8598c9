"""What an image holds, as plain values: layers, files, sizes."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

# Among the names that a package defines: there are others, which only running it would tell.
ANYTHING = "*"
# Among the names that a file sets: it may look for modules in further folders.
SEARCH_PATH = "sys.path"

# The label of a base that tells its Python, as `3.12`.
PYTHON_LABEL = "dev.capctl.python"
# Labels, and annotations, of an image that stands on another one.
BASE_NAME = "org.opencontainers.image.base.name"
BASE_DIGEST = "org.opencontainers.image.base.digest"
# How the tags begin that name content.
BASE_TAG, CODE_TAG = "base-", "code-"
# Labels of a base: the patterns of files of its packages that were left out, and of those that stayed, separated by spaces.
BASE_LEFT_OUT = "dev.capctl.left-out"
BASE_KEPT = "dev.capctl.kept"
# The instruction of a code layer.
CODE_INSTRUCTION = "capctl image push"

# How the name of a file begins that deletes, in the layers below, what the rest of its name says.
WHITEOUT = ".wh."

Kind = Literal["file", "folder", "symlink", "hardlink", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """A module that code needs: `module` is its absolute dotted name, or begins with a dot where a relative import leaves the code.

    `name` is what is taken from it, a module below it or anything that it defines; "" for `import module` and `import *`. `deferred`
    says that the import stands inside a function, so that it is missed only when that runs.
    """

    module: str
    line: int
    name: str = ""
    deferred: bool = False

    @property
    def dotted(self) -> str:
        """The module and what is taken from it."""
        return f"{self.module}.{self.name}" if self.name else self.module

    def is_in(self, names: Container[str]) -> bool:
        """Whether the module, what is taken from it, or a package above is among dotted `names`."""
        return any(name in names for name in (self.dotted, *packages_above(self.dotted)))


def packages_above(name: str) -> Iterator[str]:
    """Each package around a module, from the nearest up."""
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


class Broken(NamedTuple):
    """Why no Python up to `python`, a minor version as `3.11`, compiles a file; "" for none at all. `line` is from 1, or 0."""

    python: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """One tar member. `sha256` (hex) is of a file's content, `link` is what a link leads to; both are empty for anything else.

    `flags`: `model:<format>`, `secret:<kind>:<line>`, `stale-bytecode`, found in the content. `imports` are those of a Python file of the
    code, `defines` the names that the `__init__.py` of one of its packages binds, or `ANYTHING` alone of another file. `sets` are dotted
    names that such a file binds on other modules, `SEARCH_PATH` perhaps among them. `broken`: of such a file that some Python does not
    compile. `owns`: of a package's `RECORD`, the folders and modules that it lists, beside which they lie.
    """

    path: str
    kind: Kind
    size_bytes: int
    mode: int
    sha256: str = ""
    link: str = ""
    flags: tuple[str, ...] = ()
    imports: tuple[Import, ...] = ()
    defines: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    owns: tuple[str, ...] = ()
    broken: Broken | None = None

    @property
    def model_format(self) -> str:
        """The format of model weights that the content shows; "" for none."""
        return next((flag.removeprefix("model:") for flag in self.flags if flag.startswith("model:")), "")

    @property
    def is_whiteout(self) -> bool:
        """Whether it is there to delete what lower layers brought, and no file of the image."""
        return self.path.rpartition("/")[2].startswith(WHITEOUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerIndex:
    """A layer: bytes to download, bytes of files on disk, and its members in tar order."""

    digest: str
    compressed_bytes: int
    unpacked_bytes: int
    entries: tuple[FileEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageIndex:
    """An image: its layers from the lowest up, and its run configuration."""

    digest: str
    media_type: str
    config: dict[str, Any]
    layers: tuple[LayerIndex, ...]

    @property
    def compressed_bytes(self) -> int:
        """Bytes of all layers as stored, which is what a registry reports and a pull downloads."""
        return sum(layer.compressed_bytes for layer in self.layers)

    @property
    def unpacked_bytes(self) -> int:
        """Bytes of all files of all layers, which is what `docker images` reports."""
        return sum(layer.unpacked_bytes for layer in self.layers)

    @property
    def instructions(self) -> tuple[str, ...]:
        """What made each layer, from the lowest up, as the builder wrote it; "" for a layer of which the image does not tell."""
        told = [
            str(step.get("created_by") or "")
            for step in self.config.get("history") or ()
            if not step.get("empty_layer")
        ]
        silent = len(self.layers) - len(told)
        # Who appends to an image without history tells of the top layers only.
        return (*("",) * silent, *told) if silent >= 0 else ("",) * len(self.layers)

    @property
    def python(self) -> tuple[int, int] | None:
        """The minor version of the image's Python, by a label of ours or a variable of the official images; None if it tells none."""
        run = self.config.get("config") or {}
        variables = dict(line.partition("=")[::2] for line in run.get("Env") or ())
        told = re.match(r"(\d+)\.(\d+)", self.labels.get(PYTHON_LABEL) or variables.get("PYTHON_VERSION", ""))
        return (int(told[1]), int(told[2])) if told else None

    @property
    def labels(self) -> dict[str, str]:
        """Labels of the image."""
        return dict((self.config.get("config") or {}).get("Labels") or {})
