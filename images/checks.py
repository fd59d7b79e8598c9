"""Rules that an image must keep before it is released. Pure: an index and rules in, violations out.

Where each rule looks: budgets, model files, oversized files, setuid and bytes that layers hold twice or in vain look at the whole
image; leftovers (caches, version control, credentials, tests of packages) at everything but the code and the interpreter's own
library; names of the code (`src/`, `tools/`, `*.csv`), links, imports, secrets and whiteouts at the code only, because distributions
ship such names rightfully. Secrets are looked for in the run configuration too.
"""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from images.digests import canonical_json
from images.file_system import FileSystem, PlacedFile, file_system
from images.globs import matches
from images.index import FileEntry, ImageIndex, Import, LayerIndex
from images.layer import APP_FOLDER, SITE_FOLDER
from images.never import CREDENTIALS, NEVER_CODE, PACKAGE_CACHES, TOOL_CACHES, VERSION_CONTROL, WHEELS
from images.packages import normalised
from images.signatures import secrets_in

MB = 10**6

MODEL_SUFFIXES = (
    ".onnx",
    ".pt",
    ".pth",
    ".ckpt",
    ".safetensors",
    ".engine",
    ".plan",
    ".gguf",
    ".ggml",
    ".tflite",
    ".h5",
    ".keras",
    ".caffemodel",
    ".mar",
)


# A module, or a package of its own; what is none of both, several places may share.
_TOP_MODULE = re.compile(
    rf"(?:{APP_FOLDER}|{SITE_FOLDER})/(?P<name>[A-Za-z_]\w*)(?:/__init__\.pyc?|\.py|(?:\.[A-Za-z0-9_-]+)?\.so)"
)


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


def check_image(index: ImageIndex, rules: Rules | None = None) -> list[Violation]:
    """All violations, in the order of the rules, then of the layers. An empty list means that the image is fit."""
    rules, seen = rules or Rules(), file_system(index.layers)
    found = [violation for check in _CHECKS for violation in check(index, rules)]
    return found + [violation for check in _CHECKS_OF_WHAT_IS_SEEN for violation in check(index, seen, rules)]


def locked_packages(lock: str) -> frozenset[str]:
    """`name==version` of each requirement in a lock file, with normalised names."""
    pinned = re.findall(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", lock, re.MULTILINE)
    return frozenset(f"{normalised(name)}=={version}" for name, version in pinned)


def _over_budget(index: ImageIndex, rules: Rules) -> Iterator[Violation]:
    for what, size_bytes, limit_bytes in (
        ("compressed", index.compressed_bytes, rules.max_compressed_bytes),
        ("unpacked", index.unpacked_bytes, rules.max_unpacked_bytes),
    ):
        if size_bytes > limit_bytes:
            largest = max(index.layers, key=lambda layer: getattr(layer, f"{what}_bytes"))
            message = f"The image is {size_bytes / MB:.1f} MB {what}, {limit_bytes / MB:.0f} MB are allowed"
            yield Violation(code=f"{what}-size-over-budget", message=message, layer=largest.digest)


def _model_files(index: ImageIndex, rules: Rules) -> Iterator[Violation]:
    for layer, entry in _files(index):
        if matches(entry.path, rules.model_globs_allowed):
            continue
        suffix = model_suffix(entry.path)
        if entry.model_format or suffix:
            reason = f"content is {entry.model_format}" if entry.model_format else f"suffix `{suffix}`"
            message = f"`{entry.path}` is a model file ({reason}); models belong in the AMI"
            yield Violation(code="model-file", message=message, path=entry.path, layer=layer.digest)


def model_suffix(path: str) -> str:
    """The suffix of model files that the name of a file has; "" for none."""
    return next((suffix for suffix in MODEL_SUFFIXES if path.lower().endswith(suffix)), "")


def _oversized_files(index: ImageIndex, rules: Rules) -> Iterator[Violation]:
    for layer, entry in _files(index):
        if entry.size_bytes > rules.max_file_bytes and not matches(entry.path, rules.large_file_globs):
            limit = f"{rules.max_file_bytes / MB:.0f} MB"
            message = (
                f"`{entry.path}` is {entry.size_bytes / MB:.1f} MB, above {limit} and not in `image.rules.large_files`"
            )
            yield Violation(code="oversized-file", message=message, path=entry.path, layer=layer.digest)


def _setuid_files(index: ImageIndex, seen: FileSystem, _rules: Rules) -> Iterator[Violation]:
    # Only those that a container sees: an upper layer can take the right from what an official image ships.
    for file in seen.placed.values():
        if file.kind == "file" and file.mode & 0o6000:
            message = f"`{file.path}` has mode {file.mode:04o}: it runs with the rights of its owner or group"
            yield Violation(code="setuid-file", message=message, path=file.path, layer=index.layers[file.layer].digest)


_LEFTOVERS = (
    ("cache-left-behind", "a package cache", (*PACKAGE_CACHES, "var/cache/apt/**", "var/lib/apt/lists/**")),
    ("cache-left-behind", "a tool's cache", TOOL_CACHES),
    ("cache-left-behind", "a wheel", WHEELS),
    ("vcs-left-behind", "version control data", VERSION_CONTROL),
    ("credentials-left-behind", "where a tool keeps credentials", CREDENTIALS),
    (
        "tests-left-behind",
        "a package's tests",
        (f"{SITE_FOLDER}/**/tests/**/test_*.py", f"{SITE_FOLDER}/**/tests/test_*.py"),
    ),
)


# Asked first, since hardly any file is one.
_ANY_LEFTOVER = tuple(glob for _, _, globs in _LEFTOVERS for glob in globs)


def _leftovers(index: ImageIndex, _rules: Rules) -> Iterator[Violation]:
    for layer, entry in _files(index):
        # Official Python images carry pip's own wheel here, in a layer that no later layer can shrink.
        if (
            "/ensurepip/" in entry.path
            or _name_in_code(entry.path) is not None
            or not matches(entry.path, _ANY_LEFTOVER)
        ):
            continue
        for code, what, globs in _LEFTOVERS:
            if matches(entry.path, globs):
                yield Violation(code=code, message=f"`{entry.path}` is {what}", path=entry.path, layer=layer.digest)


def _stale_bytecode(index: ImageIndex, _rules: Rules) -> Iterator[Violation]:
    for layer, entry in _files(index):
        if "stale-bytecode" in entry.flags:
            message = f"`{entry.path}` is bound to its source's time; compile with unchecked hashes"
            yield Violation(code="stale-bytecode", message=message, path=entry.path, layer=layer.digest)


def _packages(index: ImageIndex, rules: Rules) -> Iterator[Violation]:
    if rules.allowed_packages is None:
        return
    found: dict[str, tuple[str, str]] = {}
    for layer, entry in _files(index):
        inside = re.fullmatch(rf"{SITE_FOLDER}/([^/]+)-([^/-]+)\.dist-info/METADATA", entry.path)
        if inside:
            found[f"{normalised(inside[1])}=={inside[2]}"] = (entry.path, layer.digest)
    for package in sorted(found.keys() - rules.allowed_packages):
        path, digest = found[package]
        yield Violation(code="package-not-locked", message=f"`{package}` is not in the lock", path=path, layer=digest)
    for package in sorted(rules.allowed_packages - found.keys()):
        yield Violation(code="package-missing", message=f"`{package}` is in the lock but not in the image")


def _wasted_bytes(index: ImageIndex, seen: FileSystem, rules: Rules) -> Iterator[Violation]:
    wasted_bytes = sum(file.entry.size_bytes for file in seen.hidden)
    if wasted_bytes > rules.max_wasted_bytes:
        file = max(seen.hidden, key=lambda file: file.entry.size_bytes)
        path, layer = file.entry.path, index.layers[file.layer].digest
        message = f"{wasted_bytes / MB:.1f} MB are replaced or deleted by upper layers, most in `{path}`"
        yield Violation(code="wasted-bytes", message=message, path=path, layer=layer)


def _duplicate_bytes(index: ImageIndex, seen: FileSystem, rules: Rules) -> Iterator[Violation]:
    copies = list(seen.copies())
    duplicate_bytes = sum(file.own_bytes for file, _ in copies)
    if duplicate_bytes > rules.max_duplicate_bytes:
        file, same = max(copies, key=lambda copy: copy[0].own_bytes)
        message = (
            f"{duplicate_bytes / MB:.1f} MB are in several layers, most in `{file.path}`, which is `{same.path}` again"
        )
        yield Violation(code="duplicate-bytes", message=message, path=file.path, layer=index.layers[file.layer].digest)


def _code_names(index: ImageIndex, rules: Rules) -> Iterator[Violation]:
    for layer, entry in _files(index, "file", "symlink", "hardlink"):
        name = _name_in_code(entry.path)
        if name is None:
            continue
        if matches(name, NEVER_CODE) or matches(name, rules.code_globs_forbidden):
            message = f"`{entry.path}` is not code of the job"
            yield Violation(code="forbidden-path", message=message, path=entry.path, layer=layer.digest)
        if rules.allowed_code is not None and name.split("/")[0] not in rules.allowed_code:
            message = f"`{entry.path}` is below none of the allowed packages"
            yield Violation(code="code-not-allowed", message=message, path=entry.path, layer=layer.digest)


def _links(index: ImageIndex, seen: FileSystem, _rules: Rules) -> Iterator[Violation]:
    for layer, entry in _files(index, "symlink", "hardlink"):
        name = _name_in_code(entry.path)
        if name is not None and not _stays(name, entry, seen):
            message = f"`{entry.path}` links to `{entry.link}`, outside the code"
            yield Violation(code="link-outside-code", message=message, path=entry.path, layer=layer.digest)


def _stays(name: str, link: FileEntry, seen: FileSystem) -> bool:
    """Whether a link stays within the code: as it is written, and where it leads through other links."""
    if link.kind == "hardlink":  # it names its target from the root, a symbolic one from where it stands
        return _name_in_code(link.link) is not None
    written = posixpath.normpath(posixpath.join(posixpath.dirname(name), link.link))
    return not f"{written}/".startswith(("/", "../")) and _name_in_code(f"{seen.leads_to(link.path)}/") is not None


def _broken_code(index: ImageIndex, rules: Rules) -> Iterator[Violation]:
    # An image that does not tell its Python is taken for one of this Python.
    python = index.python or sys.version_info[:2]
    for layer, entry in _files(index):
        broken, name = entry.broken, _name_in_code(entry.path) or ""
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


def _imports(index: ImageIndex, seen: FileSystem, rules: Rules) -> Iterator[Violation]:
    # Of code that is in no image yet, `images.code_imports` tells without reading its base.
    if not index.digest:
        return
    from images.modules import unresolved_imports

    for file, needed, missing in unresolved_imports(index, seen, rules.runtime_modules):
        yield import_unresolved(file.path, needed, missing, layer=index.layers[file.layer].digest)


def _hidden_modules(index: ImageIndex, seen: FileSystem, rules: Rules) -> Iterator[Violation]:
    """Python takes the first that it finds, and says nothing of the other: a CPU build in the image for the GPU build of the host."""
    found: dict[str, PlacedFile] = {}
    for file in seen.placed.values():
        if (
            file.kind != "folder"
            and (match := _TOP_MODULE.fullmatch(file.path))
            and match["name"] in rules.mounted_modules
        ):
            found.setdefault(match["name"], file)
    for name, file in found.items():
        message = f"`{file.path}` hides the module `{name}` of the host's runtime; only one of the two may have it"
        yield Violation(code="module-hidden", message=message, path=file.path, layer=index.layers[file.layer].digest)


def _secrets(index: ImageIndex, rules: Rules) -> Iterator[Violation]:
    for layer, entry in _files(index):
        found = [flag.removeprefix("secret:") for flag in entry.flags if flag.startswith("secret:")]
        if found and not matches(_name_in_code(entry.path) or "", rules.code_globs_without_secrets):
            for kind, _, line in (flag.partition(":") for flag in found):
                message = f"`{entry.path}` (line {line}) seems to hold a secret ({kind})"
                yield Violation(code="secret-found", message=message, path=entry.path, layer=layer.digest)
    for kind in secrets_in(canonical_json(index.config)):
        message = f"The run configuration (environment, labels or history) seems to hold a secret ({kind})"
        yield Violation(code="secret-found", message=message)


def _code_layer_bounds(index: ImageIndex, _rules: Rules) -> Iterator[Violation]:
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


def _files(index: ImageIndex, *kinds: str) -> Iterator[tuple[LayerIndex, FileEntry]]:
    wanted = kinds or ("file",)
    return (
        (layer, entry)
        for layer in index.layers
        for entry in layer.entries
        if entry.kind in wanted and not entry.is_whiteout
    )


def _name_in_code(path: str) -> str | None:
    """The path relative to `/app`; None for what is not below it."""
    return path.removeprefix(f"{APP_FOLDER}/") if path.startswith(f"{APP_FOLDER}/") else None


_Check = Callable[[ImageIndex, Rules], Iterator[Violation]]
_CheckOfWhatIsSeen = Callable[[ImageIndex, FileSystem, Rules], Iterator[Violation]]

_CHECKS: tuple[_Check, ...] = (
    _over_budget,
    _model_files,
    _oversized_files,
    _leftovers,
    _stale_bytecode,
    _code_names,
    _broken_code,
    _secrets,
    _code_layer_bounds,
    _packages,
)
_CHECKS_OF_WHAT_IS_SEEN: tuple[_CheckOfWhatIsSeen, ...] = (
    _setuid_files,
    _links,
    _imports,
    _hidden_modules,
    _wasted_bytes,
    _duplicate_bytes,
)
