"""The model set: which files, byte for byte, a bake puts under `/opt/dl-models`: models, and perhaps a runtime for their jobs."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatch
from pathlib import PurePosixPath

from lifecycle.domain.digest import Digest, digest_of
from lifecycle.domain.job import contract
from lifecycle.errors import UsageError

ROOT = PurePosixPath("/opt/dl-models")
# Packages and libraries that lie on the AMI instead of in the image, and the file that tells which; images/README.md has its format.
RUNTIME = "runtime"
CONTRACT = f"{RUNTIME}/contract.json"
FOLDERS = ("checkpoints", "experiments", "models", RUNTIME)
MARKER = ".model-set.json"
MODE = "0444"

# The ~15 GB of training sources, tools and result tables that must reach neither AMI nor image, and what tools leave behind.
EXCLUDED = ("src/*", "*/src/*", "tools/*", "*/tools/*", "*.csv", "__pycache__/*", "*/__pycache__/*", ".cache/*", "*/.cache/*",
            "*.pyc", ".git/*", "*/.git/*", ".DS_Store", "*/.DS_Store", MARKER, f"*/{MARKER}")  # fmt: skip
# A package may well hold a folder `tools`, and needs its bytecode, which nobody can write into a read-only mount.
_EXCLUDED_IN_RUNTIME = ("*/.cache/*", "*/.git/*", "*/.DS_Store", f"*/{MARKER}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """One file of the set; `path` is relative to `ROOT`, `source` the URI it is fetched from."""

    path: str
    bytes: int
    sha256: str
    mode: str = MODE
    source: str = ""
    licence: str = ""
    permitted_use: str = ""

    @property
    def terms(self) -> dict[str, str]:
        """What a person wrote into the lock about its use; it enters no digest of the set."""
        told = {"licence": self.licence, "permitted_use": self.permitted_use}
        return {key: value for key, value in told.items() if value}

    @property
    def marked(self) -> contract.ModelFile:
        """As jobs know it."""
        return contract.ModelFile(
            path=self.path,
            size_bytes=self.bytes,
            sha256=self.sha256,
            mode=self.mode,
            licence=self.licence,
            permitted_use=self.permitted_use,
        )

    @property
    def is_of_runtime(self) -> bool:
        """Whether it is no model, but of the packages and libraries that jobs use."""
        return self.path.startswith(f"{RUNTIME}/")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSet:
    """Files sorted by path; equal content gives an equal digest, whatever the source."""

    files: tuple[ModelFile, ...]

    @property
    def digest(self) -> Digest:
        """Digest over the sorted `sha256  path  mode` lines."""
        return Digest(contract.set_digest(file.marked for file in self.files))

    @property
    def total_bytes(self) -> int:
        """Payload size."""
        return sum(file.bytes for file in self.files)

    @property
    def runtime(self) -> tuple[ModelFile, ...]:
        """The files of the runtime, its contract included."""
        return tuple(file for file in self.files if file.is_of_runtime)

    @property
    def models(self) -> tuple[ModelFile, ...]:
        """The files that are not of the runtime."""
        return tuple(file for file in self.files if not file.is_of_runtime)

    @property
    def runtime_bytecode(self) -> tuple[str, ...]:
        """Paths of what Python compiled for the runtime."""
        return tuple(file.path for file in self.runtime if file.path.endswith(".pyc"))

    @property
    def runtime_contract(self) -> str:
        """SHA-256, in hex, of the runtime's contract; "" where there is none."""
        return next((file.sha256 for file in self.files if file.path == CONTRACT), "")

    @property
    def runtime_tree(self) -> str:
        """SHA-256, in hex, of the sorted lines `sha256  path  mode` of all files of the runtime but the contract."""
        files = (
            replace(file, path=file.path.removeprefix(f"{RUNTIME}/")) for file in self.runtime if file.path != CONTRACT
        )
        return digest_of("".join(sorted(file.marked.line for file in files)).encode()).removeprefix("sha256:")

    @property
    def folders(self) -> tuple[str, ...]:
        """Top-level folders in use, each mounted into the container by itself."""
        return tuple(sorted({file.path.split("/", 1)[0] for file in self.files}))

    def marker(self) -> bytes:
        """The marker file: what a machine or a container needs to check its copy of the set, and what it may be used for."""
        return contract.marker_content(file.marked for file in self.files)


class ChangeKind(StrEnum):
    """What became of a file."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """A file that is not the same before and after; None where it is not there at all."""

    before: ModelFile | None
    after: ModelFile | None

    @property
    def kind(self) -> ChangeKind:
        if self.before is None:
            return ChangeKind.ADDED
        return ChangeKind.REMOVED if self.after is None else ChangeKind.CHANGED

    @property
    def path(self) -> str:
        file = self.after or self.before
        assert file, "a change is of a file"
        return file.path


def model_set(files: tuple[ModelFile, ...]) -> ModelSet:
    """A set from files in any order. Raises `UsageError` for a path that cannot lie on the AMI, twice the same path, or no model."""
    if all(file.is_of_runtime for file in files):
        raise UsageError(
            "models-empty", "The model set has no models", hint="Point `models.source` at a folder with models/"
        )
    for file in files:
        parts = PurePosixPath(file.path).parts
        if len(parts) < 2 or parts[0] not in FOLDERS or ".." in parts or file.path != str(PurePosixPath(*parts)):
            raise UsageError(
                "model-path-invalid",
                f"Model path `{file.path}` is not below one of {', '.join(f'`{name}/`' for name in FOLDERS)}",
                hint="Move the file, or exclude it with `models.exclude`",
            )
        # The instance reads the paths line by line, from a table with tabs between the columns.
        if not file.path.isprintable() or "\\" in file.path:
            raise UsageError(
                "model-path-invalid",
                f"Model path {file.path!r} holds a control character or a backslash",
                hint="Rename the file",
            )
    paths = [file.path for file in files]
    if twice := {path for path in paths if paths.count(path) > 1}:
        raise UsageError(
            "model-path-twice", f"The model set names `{min(twice)}` twice", hint="Run `capctl models lock` again"
        )
    return ModelSet(files=tuple(sorted(files, key=lambda file: file.path.encode())))


def is_excluded(path: str, patterns: tuple[str, ...] = ()) -> bool:
    """Whether `path` is kept out of every model set, by the built-in patterns or by `patterns`."""
    built_in = _EXCLUDED_IN_RUNTIME if path.startswith(f"{RUNTIME}/") else EXCLUDED
    return any(fnmatch(path, pattern) for pattern in (*built_in, *patterns))


def changed_files(before: Iterable[ModelFile], after: Iterable[ModelFile]) -> tuple[FileChange, ...]:
    """The files that were added, removed, or have another content or mode, sorted by path."""
    former = {file.path: file for file in before}
    now = {file.path: file for file in after}
    pairs = ((former.get(path), now.get(path)) for path in sorted(former.keys() | now.keys()))
    return tuple(FileChange(before=one, after=other) for one, other in pairs if _content(one) != _content(other))


def changed_paths(former: ModelSet, models: ModelSet) -> tuple[str, ...]:
    """`changed`, `missing` (locked, not there) and `extra` (there, not locked) paths, one line each."""
    words = {ChangeKind.CHANGED: "changed", ChangeKind.REMOVED: "missing", ChangeKind.ADDED: "extra"}
    return tuple(
        f"{words[change.kind]}: {change.path}{_other_size(change)}"
        for change in changed_files(former.files, models.files)
    )


def _other_size(change: FileChange) -> str:
    """The sizes, where they are all that differs: one of them was written by hand."""
    before, after = change.before, change.after
    is_same = before and after and before.sha256 == after.sha256 and before.bytes != after.bytes
    return f": {after.bytes} bytes, locked as {before.bytes}" if before and after and is_same else ""


def _content(file: ModelFile | None) -> tuple[str, str, int] | None:
    return (file.sha256, file.mode, file.bytes) if file else None
