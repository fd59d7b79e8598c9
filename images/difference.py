"""What tells two images apart: the files that a container sees, packages, settings, and the layers that a host must fetch.

Pure. Owners and times of files are not compared: an index does not hold them.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from images.file_system import PlacedFile, file_system
from images.index import ImageIndex, LayerIndex
from images.instructions import readable
from images.packages import package_costs

Change = Literal["added", "removed", "changed"]

_SETTINGS = (
    ("entrypoint", "Entrypoint"),
    ("command", "Cmd"),
    ("user", "User"),
    ("working folder", "WorkingDir"),
    ("stop signal", "StopSignal"),
    ("health check", "Healthcheck"),
    ("ports", "ExposedPorts"),
    ("volumes", "Volumes"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileState:
    """A file, link or other path as a container sees it; `size_bytes` are of the content, also for a hard link."""

    kind: str
    size_bytes: int
    mode: int
    sha256: str
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PathChange:
    """A path, absolute, that is not the same; None where it is not there at all. A folder is told only if its mode is another."""

    path: str
    before: FileState | None
    after: FileState | None

    @property
    def change(self) -> Change:
        """What became of it."""
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"

    @property
    def size_bytes(self) -> int:
        """Bytes of the larger one."""
        return max(state.size_bytes for state in (self.before, self.after) if state)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueChange:
    """A package by its version, or a setting; "" where it is not there at all."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerOf:
    """A layer that only one of two images has; `number` counts from 1, the lowest."""

    number: int
    digest: str
    made_by: str
    compressed_bytes: int
    unpacked_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of two images. `seen_bytes` and `files` are what a container sees."""

    digest: str
    layers: int
    compressed_bytes: int
    unpacked_bytes: int
    seen_bytes: int
    files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDifference:
    """What is not the same in `after` as it is in `before`. `files` in the order of their paths.

    `download_bytes` (compressed) are those of the layers that a host with `before` has to fetch for `after`.
    """

    before: Side
    after: Side
    files: tuple[PathChange, ...]
    packages: tuple[ValueChange, ...]
    settings: tuple[ValueChange, ...]
    shared_layers: int
    shared_bytes: int
    only_before: tuple[LayerOf, ...]
    only_after: tuple[LayerOf, ...]

    @property
    def is_equal(self) -> bool:
        """Whether a container of either sees the same; the layers may be others all the same."""
        return not (self.files or self.settings)

    @property
    def download_bytes(self) -> int:
        """Compressed bytes of the layers that only `after` has."""
        return sum(layer.compressed_bytes for layer in {layer.digest: layer for layer in self.only_after}.values())


def difference(before: ImageIndex, after: ImageIndex) -> ImageDifference:
    """Compare two images."""
    one, other = (file_system(image.layers).placed for image in (before, after))
    had, has = ({layer.digest for layer in image.layers} for image in (before, after))
    shared = {layer.digest: layer.compressed_bytes for layer in after.layers if layer.digest in had}
    return ImageDifference(
        before=_side(before, one),
        after=_side(after, other),
        files=tuple(_files(one, other)),
        packages=_values(_versions(one), _versions(other)),
        settings=_values(_settings(before.config), _settings(after.config)),
        shared_layers=len(shared),
        shared_bytes=sum(shared.values()),
        only_before=tuple(_only(before, has)),
        only_after=tuple(_only(after, had)),
    )


def _side(image: ImageIndex, placed: Mapping[str, PlacedFile]) -> Side:
    return Side(
        digest=image.digest,
        layers=len(image.layers),
        compressed_bytes=image.compressed_bytes,
        unpacked_bytes=image.unpacked_bytes,
        seen_bytes=sum(file.own_bytes for file in placed.values()),
        files=sum(file.kind == "file" for file in placed.values()),
    )


def _files(before: Mapping[str, PlacedFile], after: Mapping[str, PlacedFile]) -> Iterator[PathChange]:
    for path in sorted(before.keys() | after.keys()):
        one, other = _compared(before, after, path), _compared(after, before, path)
        if one != other:
            yield PathChange(path=f"/{path}", before=one, after=other)


def _compared(placed: Mapping[str, PlacedFile], others: Mapping[str, PlacedFile], path: str) -> FileState | None:
    """The state of a path; a folder has one only beside another folder, since what is in it tells that it came or went."""
    file, other = placed.get(path), others.get(path)
    if file is None or (file.kind == "folder" and not (other and other.kind == "folder")):
        return None
    return _state(file)


def _state(file: PlacedFile) -> FileState:
    """A hard link is told as the file that it is."""
    is_file = file.kind in ("file", "hardlink") and bool(file.sha256)
    return FileState(
        kind="file" if is_file else file.kind,
        size_bytes=file.size_bytes,
        mode=file.mode,
        sha256=file.sha256,
        link="" if is_file else file.entry.link,
    )


def _only(image: ImageIndex, others: set[str]) -> Iterator[LayerOf]:
    told: list[tuple[LayerIndex, str]] = list(zip(image.layers, image.instructions, strict=True))
    for number, (layer, instruction) in enumerate(told, start=1):
        if layer.digest not in others:
            yield LayerOf(
                number=number,
                digest=layer.digest,
                made_by=readable(instruction),
                compressed_bytes=layer.compressed_bytes,
                unpacked_bytes=layer.unpacked_bytes,
            )


def _versions(placed: Mapping[str, PlacedFile]) -> dict[str, str]:
    """Versions by package; of one that is installed in several folders all of them."""
    versions: dict[str, str] = {}
    for name, version in sorted({(cost.name, cost.version) for cost in package_costs(placed)}):
        versions[name] = f"{versions[name]}, {version}" if name in versions else version
    return versions


def _settings(config: Mapping[str, Any]) -> dict[str, str]:
    """Settings by the name that people know; a variable as `env NAME`, a label as `label NAME`."""
    run = config.get("config") or {}
    named = {name: _text(run.get(key)) for name, key in _SETTINGS}
    named |= {"platform": "/".join(str(config[key]) for key in ("os", "architecture", "variant") if config.get(key))}
    for line in run.get("Env") or ():
        name, _, value = str(line).partition("=")
        named[f"env {name}"] = value
    return named | {f"label {name}": str(value) for name, value in (run.get("Labels") or {}).items()}


def _text(value: Any) -> str:
    if not value:
        return ""
    if isinstance(value, dict) and not any(value.values()):
        return ", ".join(sorted(value))
    if isinstance(value, list):
        return shlex.join(map(str, value))
    return str(value)


def _values(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[ValueChange, ...]:
    names = sorted(name for name in before.keys() | after.keys() if before.get(name, "") != after.get(name, ""))
    return tuple(ValueChange(name=name, before=before.get(name, ""), after=after.get(name, "")) for name in names)
