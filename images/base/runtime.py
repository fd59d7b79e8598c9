"""What a folder with a runtime holds, told by the names of its files: its contract."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping

from images.base.contract import SCHEMA
from images.errors import BaseInvalid
from images.names import normalised

SITE, LIBRARIES = "site-packages", "lib"
HOW_TO_COMPILE = (
    f"Install it anew with the base's Python: `pip install --no-compile --target …/{SITE} …`, then "
    f"`python3 -m compileall -q --invalidation-mode unchecked-hash …/{SITE}`"
)

_PACKAGE = re.compile(rf"{SITE}/(?P<name>[^/]+)-(?P<version>[^/-]+)\.dist-info/METADATA")
# A module, or a folder that holds one at any depth; `pip install --target` puts scripts into `bin`.
_MODULE = re.compile(rf"{SITE}/(?!bin/)(?P<name>[A-Za-z_]\w*)(?:/.*)?\.(?:py|so|[A-Za-z0-9_-]+\.so)", re.ASCII)
_BYTECODE = re.compile(r".*\.cpython-3(?P<minor>\d+)(?:\.opt-\d)?\.pyc")
_EXTENSION = re.compile(r".*\.cpython-3(?P<minor>\d+)-[^/]*\.so")
_LIBRARY = re.compile(rf"{LIBRARIES}/lib(?P<name>[^/]+?)\.so\.(?P<major>\d+)(?:\.[^/]*)?")


def contract_of(paths: Iterable[str], *, mount: str, tree_sha256: str) -> bytes:
    """The contract of the folder with these files, for a container that sees it at `mount`; `images.base.contract` reads it.

    Raises: BaseInvalid, for files of no Python or of several, and for what is there in two versions.
    """
    names = sorted(paths)
    # There are packages with an extension for each Python.
    pythons = _pythons(names, _BYTECODE) or _pythons(names, _EXTENSION)
    if len(pythons) != 1:
        said = f"bytecode or extensions of Python {' and '.join(sorted(pythons))}" if pythons else "no bytecode"
        raise BaseInvalid(f"The runtime holds {said}", hint=HOW_TO_COMPILE)
    document = {
        "schema": SCHEMA,
        "python": pythons.pop(),
        "mount": mount,
        "packages": _versions(names, _PACKAGE, "version", named=normalised),
        "modules": sorted({found["name"] for path in names if (found := _MODULE.fullmatch(path))}),
        "libraries": _versions(names, _LIBRARY, "major"),
        "tree_sha256": tree_sha256,
    }
    return json.dumps(document, indent=2).encode() + b"\n"


def _pythons(names: Iterable[str], pattern: re.Pattern[str]) -> set[str]:
    return {f"3.{match['minor']}" for match in filter(None, map(pattern.fullmatch, names))}


def _versions(
    names: Iterable[str], pattern: re.Pattern[str], version: str, *, named: Callable[[str], str] = str
) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for match in filter(None, map(pattern.fullmatch, names)):
        name = named(match["name"])
        if found.setdefault(name, match[version]) != match[version]:
            message = f"The runtime holds `{name}` twice, {found[name]} and {match[version]}"
            raise BaseInvalid(message, hint="Remove one of the two")
    return found
