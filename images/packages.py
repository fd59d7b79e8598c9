"""Which Python package brought which files: what its `RECORD` lists, or its own names where it has none."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from images.file_system import PlacedFile
from images.names import normalised

RECORD = ".dist-info/RECORD"
# That of a package with 100,000 files.
MAX_RECORD_BYTES = 20_000_000

_METADATA = re.compile(r"(?P<info>(?:(?P<site>.+)/)?(?P<name>[^/]+)-(?P<version>[^/-]+)\.dist-info)/METADATA")
# Enough to tell the packages apart that share a namespace: `nvidia/cublas`, `azure/mgmt/batch`.
_DEPTH = 3
_CACHE = "__pycache__"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageCost:
    """An installed package. `name` is normalised as PEP 503 says, `folder` is where it lies; `layers` count from 1, the lowest.

    `is_recorded` is False where no `RECORD` says what is its own, so that only files under its own name are counted.
    """

    name: str
    version: str
    folder: str
    size_bytes: int
    files: int
    layers: tuple[int, ...]
    is_recorded: bool


def listed_names(record: bytes) -> tuple[str, ...]:
    """The folders, at most three deep, and the modules beside them that a `RECORD` lists."""
    rows = csv.reader(record.decode(errors="replace").splitlines())
    paths = [row[0].split("/") for row in rows if row]
    # What leaves the folder, such as `../../bin/f2py`, is little.
    inside = [pieces for pieces in paths if pieces[0] not in ("", "..", _CACHE)]
    return tuple(sorted({"/".join(pieces[:-1][:_DEPTH]) or pieces[0] for pieces in inside}))


def package_costs(placed: Mapping[str, PlacedFile]) -> tuple[PackageCost, ...]:
    """The packages of a file system, the largest first."""
    found = {match["info"]: match for path in placed if (match := _METADATA.fullmatch(path))}
    owners: dict[str, str] = {}
    for info, match in found.items():
        for name in _names(match, placed):
            # Of a folder that several list, such as `nvidia`, they share next to nothing.
            owners.setdefault(name, info)
    files: dict[str, list[PlacedFile]] = defaultdict(list)
    for file in placed.values():
        if file.kind == "file" and (owner := _owner(file.path, owners)):
            files[owner].append(file)
    costs = [_cost(match, files[info], recorded=bool(_record(match, placed))) for info, match in found.items()]
    return tuple(sorted(costs, key=lambda cost: (-cost.size_bytes, cost.name, cost.folder)))


def _record(match: re.Match[str], placed: Mapping[str, PlacedFile]) -> tuple[str, ...]:
    record = placed.get(f"{match['info']}/RECORD")
    return record.entry.owns if record else ()


def _names(match: re.Match[str], placed: Mapping[str, PlacedFile]) -> Iterator[str]:
    """The paths that are a package's own."""
    site, name = match["site"], match["name"]
    yield match["info"]
    for listed in _record(match, placed) or (name, f"{name}.py", f"{name}.libs"):
        yield f"{site}/{listed}" if site else listed


def _owner(path: str, owners: Mapping[str, str]) -> str | None:
    folder, _, name = path.rpartition("/")
    if folder.endswith(_CACHE):
        # Of a module beside the folders: `six.cpython-312.pyc` is of `six.py`.
        module = f"{folder.removesuffix(_CACHE)}{name.split('.')[0]}.py"
        if module in owners:
            return owners[module]
    return next((owners[each] for each in _upwards(path) if each in owners), None)


def _upwards(path: str) -> Iterable[str]:
    while path:
        yield path
        path = path.rpartition("/")[0]


def _cost(match: re.Match[str], files: list[PlacedFile], *, recorded: bool) -> PackageCost:
    return PackageCost(
        name=normalised(match["name"]),
        version=match["version"],
        folder=f"/{match['site'] or ''}",
        size_bytes=sum(file.own_bytes for file in files),
        files=len(files),
        layers=tuple(sorted({file.layer + 1 for file in files})),
        is_recorded=recorded,
    )
