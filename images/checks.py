"""Rules that an image must keep before it is released. Pure: an index and rules in, violations out.

Where each rule looks: budgets, model files, oversized files, setuid and bytes that layers hold twice or in vain look at the whole
image; leftovers (caches, version control, credentials, tests of packages) at everything but the code and the interpreter's own
library; names of the code (`src/`, `tools/`, `*.csv`), links, imports, secrets and whiteouts at the code only, because distributions
ship such names rightfully. Secrets are looked for in the run configuration too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING

from images import code_rules
from images.globs import matches
from images.index import ImageIndex
from images.layer import SITE_FOLDER
from images.names import normalised
from images.never import CREDENTIALS, PACKAGE_CACHES, TOOL_CACHES, VERSION_CONTROL, WHEELS
from images.rules import MB, Rules, Seen, Violation, files_of, name_in_code

if TYPE_CHECKING:
    from images.file_system import FileSystem

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


def check_image(index: ImageIndex, rules: Rules | None = None) -> list[Violation]:
    """All violations, in the order of the rules, then of the layers. An empty list means that the image is fit."""
    rules = rules or Rules()

    @cache
    def seen() -> FileSystem:
        from images.file_system import file_system  # which code that has no links does without

        return file_system(index.layers)

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
    for layer, entry in files_of(index):
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
    for layer, entry in files_of(index):
        if entry.size_bytes > rules.max_file_bytes and not matches(entry.path, rules.large_file_globs):
            limit = f"{rules.max_file_bytes / MB:.0f} MB"
            message = (
                f"`{entry.path}` is {entry.size_bytes / MB:.1f} MB, above {limit} and not in `image.rules.large_files`"
            )
            yield Violation(code="oversized-file", message=message, path=entry.path, layer=layer.digest)


def _setuid_files(index: ImageIndex, seen: Seen, _rules: Rules) -> Iterator[Violation]:
    if not any(entry.mode & _SETUID for _, entry in files_of(index, "file", "hardlink")):
        return
    # Only those that a container sees: an upper layer can take the right from what an official image ships.
    for file in seen().placed.values():
        if file.kind == "file" and file.mode & _SETUID:
            message = f"`{file.path}` has mode {file.mode:04o}: it runs with the rights of its owner or group"
            yield Violation(code="setuid-file", message=message, path=file.path, layer=index.layers[file.layer].digest)


_SETUID = 0o6000

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
    for layer, entry in files_of(index):
        # Official Python images carry pip's own wheel here, in a layer that no later layer can shrink.
        if (
            "/ensurepip/" in entry.path
            or name_in_code(entry.path) is not None
            or not matches(entry.path, _ANY_LEFTOVER)
        ):
            continue
        for code, what, globs in _LEFTOVERS:
            if matches(entry.path, globs):
                yield Violation(code=code, message=f"`{entry.path}` is {what}", path=entry.path, layer=layer.digest)


def _stale_bytecode(index: ImageIndex, _rules: Rules) -> Iterator[Violation]:
    for layer, entry in files_of(index):
        if "stale-bytecode" in entry.flags:
            message = f"`{entry.path}` is bound to its source's time; compile with unchecked hashes"
            yield Violation(code="stale-bytecode", message=message, path=entry.path, layer=layer.digest)


def _packages(index: ImageIndex, rules: Rules) -> Iterator[Violation]:
    if rules.allowed_packages is None:
        return
    found: dict[str, tuple[str, str]] = {}
    for layer, entry in files_of(index):
        inside = re.fullmatch(rf"{SITE_FOLDER}/([^/]+)-([^/-]+)\.dist-info/METADATA", entry.path)
        if inside:
            found[f"{normalised(inside[1])}=={inside[2]}"] = (entry.path, layer.digest)
    for package in sorted(found.keys() - rules.allowed_packages):
        path, digest = found[package]
        yield Violation(code="package-not-locked", message=f"`{package}` is not in the lock", path=path, layer=digest)
    for package in sorted(rules.allowed_packages - found.keys()):
        yield Violation(code="package-missing", message=f"`{package}` is in the lock but not in the image")


def _wasted_bytes(index: ImageIndex, seen: Seen, rules: Rules) -> Iterator[Violation]:
    if len(index.layers) < 2:
        return
    wasted_bytes = sum(file.entry.size_bytes for file in seen().hidden)
    if wasted_bytes > rules.max_wasted_bytes:
        file = max(seen().hidden, key=lambda file: file.entry.size_bytes)
        path, layer = file.entry.path, index.layers[file.layer].digest
        message = f"{wasted_bytes / MB:.1f} MB are replaced or deleted by upper layers, most in `{path}`"
        yield Violation(code="wasted-bytes", message=message, path=path, layer=layer)


def _duplicate_bytes(index: ImageIndex, seen: Seen, rules: Rules) -> Iterator[Violation]:
    if len(index.layers) < 2:
        return
    copies = list(seen().copies())
    duplicate_bytes = sum(file.own_bytes for file, _ in copies)
    if duplicate_bytes > rules.max_duplicate_bytes:
        file, same = max(copies, key=lambda copy: copy[0].own_bytes)
        message = (
            f"{duplicate_bytes / MB:.1f} MB are in several layers, most in `{file.path}`, which is `{same.path}` again"
        )
        yield Violation(code="duplicate-bytes", message=message, path=file.path, layer=index.layers[file.layer].digest)


_Check = Callable[[ImageIndex, Rules], Iterator[Violation]]
_CheckOfWhatIsSeen = Callable[[ImageIndex, Seen, Rules], Iterator[Violation]]

_CHECKS: tuple[_Check, ...] = (
    _over_budget,
    _model_files,
    _oversized_files,
    _leftovers,
    _stale_bytecode,
    code_rules.code_names,
    code_rules.broken_code,
    code_rules.secrets,
    code_rules.code_layer_bounds,
    _packages,
)
_CHECKS_OF_WHAT_IS_SEEN: tuple[_CheckOfWhatIsSeen, ...] = (
    _setuid_files,
    code_rules.links,
    code_rules.imports,
    code_rules.hidden_modules,
    _wasted_bytes,
    _duplicate_bytes,
)
