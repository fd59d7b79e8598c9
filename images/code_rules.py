"""Rules for the code of an image, and what it may hide: nothing here looks at what distributions and packages ship, which have such names
rightfully. `images.checks` applies them.
"""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from images.digests import canonical_json
from images.globs import matches
from images.index import FileEntry, ImageIndex, Import
from images.layer import APP_FOLDER, SITE_FOLDER
from images.never import NEVER_CODE
from images.rules import Rules, Seen, Violation, files_of, name_in_code
from images.signatures import secrets_in

if TYPE_CHECKING:
    from images.file_system import PlacedFile

# A module, or a package of its own; what is none of both, several places may share.
_TOP_MODULE = re.compile(
    rf"(?:{APP_FOLDER}|{SITE_FOLDER})/(?P<name>[A-Za-z_]\w*)(?:/__init__\.pyc?|\.py|(?:\.[A-Za-z0-9_-]+)?\.so)"
)


def code_names(index: ImageIndex, rules: Rules) -> Iterator[Violation]:
    """Names that are no code of a job, whatever they hold."""
    for layer, entry in files_of(index, "file", "symlink", "hardlink"):
        name = name_in_code(entry.path)
        if name is None:
            continue
        if matches(name, NEVER_CODE) or matches(name, rules.code_globs_forbidden):
            message = f"`{entry.path}` is not code of the job"
            yield Violation(code="forbidden-path", message=message, path=entry.path, layer=layer.digest)
        if rules.allowed_code is not None and name.split("/")[0] not in rules.allowed_code:
            message = f"`{entry.path}` is below none of the allowed packages"
            yield Violation(code="code-not-allowed", message=message, path=entry.path, layer=layer.digest)


def links(index: ImageIndex, seen: Seen, _rules: Rules) -> Iterator[Violation]:
    """Links that leave the code, or lead to nothing."""
    for layer, entry in files_of(index, "symlink", "hardlink"):
        name = name_in_code(entry.path)
        if name is None:
            continue
        if not _stays(name, entry, seen):
            message = f"`{entry.path}` links to `{entry.link}`, outside the code"
            yield Violation(code="link-outside-code", message=message, path=entry.path, layer=layer.digest)
        elif entry.kind == "symlink" and seen().leads_to(entry.path) not in seen().placed:
            message = f"`{entry.path}` links to `{entry.link}`, which is not in the image"
            yield Violation(code="link-broken", message=message, path=entry.path, layer=layer.digest)


def _stays(name: str, link: FileEntry, seen: Seen) -> bool:
    """Whether a link stays within the code: as it is written, and where it leads through other links."""
    if link.kind == "hardlink":  # it names its target from the root, a symbolic one from where it stands
        return name_in_code(link.link) is not None
    written = posixpath.normpath(posixpath.join(posixpath.dirname(name), link.link))
    return not f"{written}/".startswith(("/", "../")) and name_in_code(f"{seen().leads_to(link.path)}/") is not None


def broken_code(index: ImageIndex, rules: Rules) -> Iterator[Violation]:
    """Python files that the image's Python does not compile."""
    # An image that does not tell its Python is taken for one of this Python.
    python = index.python or sys.version_info[:2]
    for layer, entry in files_of(index):
        broken, name = entry.broken, name_in_code(entry.path) or ""
        if broken is None or matches(name, rules.code_globs_not_compiled):
            continue
        if not broken.python or python <= tuple(map(int, broken.python.split("."))):
            where = f" (line {broken.line})" if broken.line else ""
            message = f"`{entry.path}`{where} is no Python {python[0]}.{python[1]}: {broken.reason}"
            yield Violation(code="python-invalid", message=message, path=entry.path, layer=layer.digest)


def import_unresolved(path: str, needed: Import, missing: str, *, layer: str = "", hint: str = "") -> Violation:
    """The violation of the file `path` of the image whose import `needed` lacks the module `missing`."""
    where = f"line {needed.line}" + (", inside a function" if needed.deferred else "")
    message = f"`{path}` ({where}) imports `{missing}`, which neither the image nor the host's runtime has"
    return Violation(code="import-unresolved", message=message, path=path, layer=layer, hint=hint)


def own_module_hint(module: str, names: Iterable[str]) -> str:
    """What to do about a missing `module` of a package that the code itself has, for no lock brings it; "" for another's.

    `names` are the files of the code, relative to its folder.
    """
    package, is_inner, _ = module.partition(".")
    if is_inner and any(name.startswith(f"{package}/") for name in names):
        return f"`{package}` is the code's own package: add the module `{module}` to it, or correct the import"
    return ""


def imports(index: ImageIndex, seen: Seen, rules: Rules) -> Iterator[Violation]:
    """Imports of modules that are nowhere."""
    # Of code that is in no image yet, `images.code_imports` tells without reading its base.
    if not index.digest:
        return
    from images.modules import unresolved_imports

    names = [name for path in seen().placed if (name := name_in_code(path))]
    for file, needed, missing in unresolved_imports(index, seen(), rules.runtime_modules):
        hint = own_module_hint(missing, names)
        yield import_unresolved(file.path, needed, missing, layer=index.layers[file.layer].digest, hint=hint)


def hidden_modules(index: ImageIndex, seen: Seen, rules: Rules) -> Iterator[Violation]:
    """Python takes the first that it finds, and says nothing of the other: a CPU build in the image for the GPU build of the host."""
    if not rules.mounted_modules:
        return
    found: dict[str, PlacedFile] = {}
    for file in seen().placed.values():
        if (
            file.kind != "folder"
            and (match := _TOP_MODULE.fullmatch(file.path))
            and match["name"] in rules.mounted_modules
        ):
            found.setdefault(match["name"], file)
    for name, file in found.items():
        message = f"`{file.path}` hides the module `{name}` of the host's runtime; only one of the two may have it"
        yield Violation(code="module-hidden", message=message, path=file.path, layer=index.layers[file.layer].digest)


def secrets(index: ImageIndex, rules: Rules) -> Iterator[Violation]:
    """Secrets, in the code and in the image's run configuration."""
    for layer, entry in files_of(index):
        found = [flag.removeprefix("secret:") for flag in entry.flags if flag.startswith("secret:")]
        if found and not matches(name_in_code(entry.path) or "", rules.code_globs_without_secrets):
            for kind, _, line in (flag.partition(":") for flag in found):
                message = f"`{entry.path}` (line {line}) seems to hold a secret ({kind})"
                yield Violation(code="secret-found", message=message, path=entry.path, layer=layer.digest)
    for kind in secrets_in(canonical_json(index.config)):
        message = f"The run configuration (environment, labels or history) seems to hold a secret ({kind})"
        yield Violation(code="secret-found", message=message)


def code_layer_bounds(index: ImageIndex, _rules: Rules) -> Iterator[Violation]:
    """What a layer of code does besides bringing code."""
    for layer in index.layers:
        if not any(entry.kind == "file" and entry.path.startswith(f"{APP_FOLDER}/") for entry in layer.entries):
            continue
        for entry in layer.entries:
            if entry.is_whiteout:
                message = f"`{entry.path}` deletes files of the base image"
                yield Violation(code="whiteout-in-code-layer", message=message, path=entry.path, layer=layer.digest)
            elif entry.path.split("/")[0] != APP_FOLDER:
                message = f"`{entry.path}` is outside `/{APP_FOLDER}`, which is all that the code layer owns"
                yield Violation(code="code-layer-outside-app", message=message, path=entry.path, layer=layer.digest)
