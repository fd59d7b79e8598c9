"""Rules that an image must keep before it is released. Pure: an index and a policy in, violations out.

Where each rule looks: budgets, model files, oversized files and setuid look at the whole image; leftovers (caches,
version control, tests of packages) at everything but the interpreter's own library; names of the code (`src/`,
`tools/`, `*.csv`), secrets and whiteouts at the code layer only, because distributions ship such names rightfully.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from images.globs import matches
from images.index import FileEntry, ImageIndex, LayerIndex
from images.layer import APP_FOLDER

SITE_FOLDER = "opt/site"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What an image may be. `allowed_packages` are `name==version` with normalised names, as `locked_packages` gives;
    None leaves packages unchecked, as does `allowed_code` for the top-level names below `/app`.
    """

    max_compressed_bytes: int = 300 * MB
    max_unpacked_bytes: int = 500 * MB
    max_file_bytes: int = 20 * MB
    # Shared libraries of wheels and of the system are large and wanted.
    large_file_globs: tuple[str, ...] = ("**/*.so", "**/*.so.*")
    model_suffixes: tuple[str, ...] = MODEL_SUFFIXES
    model_globs_allowed: tuple[str, ...] = ()
    code_globs_forbidden: tuple[str, ...] = ("src/**", "tools/**", "**/*.csv", "**/.env", "**/.env.*", "**/tests/**")
    max_wasted_bytes: int = 1 * MB
    allowed_packages: frozenset[str] | None = None
    allowed_code: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A broken rule: `path` and `layer` (a digest) say where, and are empty for rules on the whole image."""

    code: str
    message: str
    path: str = ""
    layer: str = ""


def check_image(index: ImageIndex, policy: Policy | None = None) -> list[Violation]:
    """All violations, in the order of the rules, then of the layers. An empty list means that the image is fit."""
    rules = policy or Policy()
    return [violation for check in _CHECKS for violation in check(index, rules)]


def locked_packages(lock: str) -> frozenset[str]:
    """`name==version` of each requirement in a lock file, with normalised names."""
    pinned = re.findall(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", lock, re.MULTILINE)
    return frozenset(f"{_normalised(name)}=={version}" for name, version in pinned)


def _over_budget(index: ImageIndex, policy: Policy) -> Iterator[Violation]:
    for what, size_bytes, limit_bytes in (
        ("compressed", index.compressed_bytes, policy.max_compressed_bytes),
        ("unpacked", index.unpacked_bytes, policy.max_unpacked_bytes),
    ):
        if size_bytes > limit_bytes:
            largest = max(index.layers, key=lambda layer: getattr(layer, f"{what}_bytes"))
            message = f"The image is {size_bytes / MB:.1f} MB {what}, {limit_bytes / MB:.0f} MB are allowed"
            yield Violation(code=f"{what}-size-over-budget", message=message, layer=largest.digest)


def _model_files(index: ImageIndex, policy: Policy) -> Iterator[Violation]:
    for layer, entry in _files(index):
        if matches(entry.path, policy.model_globs_allowed):
            continue
        formats = [flag.removeprefix("model:") for flag in entry.flags if flag.startswith("model:")]
        reason = f"content is {formats[0]}" if formats else _model_suffix(entry.path, policy.model_suffixes)
        if reason:
            message = f"`{entry.path}` is a model file ({reason}); models belong in the AMI"
            yield Violation(code="model-file", message=message, path=entry.path, layer=layer.digest)


def _model_suffix(path: str, suffixes: tuple[str, ...]) -> str:
    return next((f"suffix `{suffix}`" for suffix in suffixes if path.lower().endswith(suffix)), "")


def _oversized_files(index: ImageIndex, policy: Policy) -> Iterator[Violation]:
    for layer, entry in _files(index):
        if entry.size_bytes > policy.max_file_bytes and not matches(entry.path, policy.large_file_globs):
            limit = f"{policy.max_file_bytes / MB:.0f} MB"
            message = f"`{entry.path}` is {entry.size_bytes / MB:.1f} MB, above {limit} and not on the list"
            yield Violation(code="oversized-file", message=message, path=entry.path, layer=layer.digest)


def _setuid_files(index: ImageIndex, _policy: Policy) -> Iterator[Violation]:
    for layer, entry in _files(index):
        if entry.mode & 0o6000:
            message = f"`{entry.path}` has mode {entry.mode:04o}: it runs with the rights of its owner or group"
            yield Violation(code="setuid-file", message=message, path=entry.path, layer=layer.digest)


_LEFTOVERS = (
    ("cache-left-behind", "a package cache", ("**/.cache/**", "var/cache/apt/**", "var/lib/apt/lists/**")),
    ("cache-left-behind", "a tool's cache", ("**/.mypy_cache/**", "**/.ruff_cache/**", "**/.pytest_cache/**")),
    ("cache-left-behind", "a wheel", ("**/*.whl",)),
    ("vcs-left-behind", "version control data", ("**/.git/**", "**/.git", "**/.hg/**", "**/.svn/**")),
    (
        "tests-left-behind",
        "a package's tests",
        (f"{SITE_FOLDER}/**/tests/**/test_*.py", f"{SITE_FOLDER}/**/tests/test_*.py"),
    ),
)


def _leftovers(index: ImageIndex, _policy: Policy) -> Iterator[Violation]:
    for layer, entry in _files(index):
        # Official Python images carry pip's own wheel here, in a layer that no later layer can shrink.
        if "/ensurepip/" in entry.path:
            continue
        for code, what, globs in _LEFTOVERS:
            if matches(entry.path, globs):
                yield Violation(code=code, message=f"`{entry.path}` is {what}", path=entry.path, layer=layer.digest)


def _stale_bytecode(index: ImageIndex, _policy: Policy) -> Iterator[Violation]:
    for layer, entry in _files(index):
        if "stale-bytecode" in entry.flags:
            message = f"`{entry.path}` is bound to its source's time; compile with unchecked hashes"
            yield Violation(code="stale-bytecode", message=message, path=entry.path, layer=layer.digest)


def _packages(index: ImageIndex, policy: Policy) -> Iterator[Violation]:
    if policy.allowed_packages is None:
        return
    found: dict[str, tuple[str, str]] = {}
    for layer, entry in _files(index):
        inside = re.fullmatch(rf"{SITE_FOLDER}/([^/]+)-([^/-]+)\.dist-info/METADATA", entry.path)
        if inside:
            found[f"{_normalised(inside[1])}=={inside[2]}"] = (entry.path, layer.digest)
    for package in sorted(found.keys() - policy.allowed_packages):
        path, digest = found[package]
        yield Violation(code="package-not-locked", message=f"`{package}` is not in the lock", path=path, layer=digest)
    for package in sorted(policy.allowed_packages - found.keys()):
        yield Violation(code="package-missing", message=f"`{package}` is in the lock but not in the image")


def _wasted_bytes(index: ImageIndex, policy: Policy) -> Iterator[Violation]:
    copies: dict[str, list[tuple[LayerIndex, FileEntry]]] = defaultdict(list)
    for layer, entry in _files(index):
        copies[entry.path].append((layer, entry))
    hidden = [(layer, entry) for each in copies.values() for layer, entry in each[:-1]]
    wasted_bytes = sum(entry.size_bytes for _, entry in hidden)
    if wasted_bytes > policy.max_wasted_bytes:
        layer, entry = max(hidden, key=lambda item: item[1].size_bytes)
        message = f"{wasted_bytes / MB:.1f} MB are hidden by upper layers, most in `{entry.path}`"
        yield Violation(code="wasted-bytes", message=message, path=entry.path, layer=layer.digest)


def _code_names(index: ImageIndex, policy: Policy) -> Iterator[Violation]:
    for layer, entry in _files(index):
        name = entry.path.removeprefix(f"{APP_FOLDER}/")
        if name == entry.path:
            continue
        if matches(name, policy.code_globs_forbidden):
            message = f"`{entry.path}` is not code of the job"
            yield Violation(code="forbidden-path", message=message, path=entry.path, layer=layer.digest)
        if policy.allowed_code is not None and name.split("/")[0] not in policy.allowed_code:
            message = f"`{entry.path}` is below none of the allowed packages"
            yield Violation(code="code-not-allowed", message=message, path=entry.path, layer=layer.digest)


def _secrets(index: ImageIndex, _policy: Policy) -> Iterator[Violation]:
    for layer, entry in _files(index):
        for flag in entry.flags:
            if flag.startswith("secret:"):
                message = f"`{entry.path}` seems to hold a secret ({flag.removeprefix('secret:')})"
                yield Violation(code="secret-found", message=message, path=entry.path, layer=layer.digest)


def _code_layer_bounds(index: ImageIndex, _policy: Policy) -> Iterator[Violation]:
    for layer in index.layers:
        if not any(entry.kind == "file" and entry.path.startswith(f"{APP_FOLDER}/") for entry in layer.entries):
            continue
        for entry in layer.entries:
            if entry.path.rsplit("/", 1)[-1].startswith(".wh."):
                message = f"`{entry.path}` deletes files of the base image"
                yield Violation(code="whiteout-in-code-layer", message=message, path=entry.path, layer=layer.digest)
            elif entry.path.split("/")[0] != APP_FOLDER:
                message = f"`{entry.path}` is outside `/{APP_FOLDER}`, which is all that the code layer owns"
                yield Violation(code="code-layer-outside-app", message=message, path=entry.path, layer=layer.digest)


def _files(index: ImageIndex) -> Iterator[tuple[LayerIndex, FileEntry]]:
    return ((layer, entry) for layer in index.layers for entry in layer.entries if entry.kind == "file")


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


_Check = Callable[[ImageIndex, Policy], Iterator[Violation]]

_CHECKS: tuple[_Check, ...] = (
    _over_budget,
    _model_files,
    _oversized_files,
    _setuid_files,
    _leftovers,
    _stale_bytecode,
    _code_names,
    _secrets,
    _code_layer_bounds,
    _packages,
    _wasted_bytes,
)
