"""The runtime contract: what the host brings, mounted read-only into the container, so that the image must not hold it too.

A JSON file, the same byte for byte beside the lock and, as `contract.json`, in the mount; images/README.md tells what it says.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from images.errors import BaseInvalid
from images.names import normalised

SCHEMA = "capctl.runtime-contract/1"
LABEL_CONTRACT = "dev.capctl.runtime-contract-sha256"
# What the job's entry point reads: the digest that the mounted contract must have, and where it is mounted.
ENV_CONTRACT = "CAPCTL_RUNTIME_CONTRACT"
ENV_MOUNT = "CAPCTL_RUNTIME_MOUNT"

# Where distributions and images keep nothing of their own.
_MOUNT = r"/(?:opt|srv|mnt)(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)+"
# Those of the packages in the image, and of the model set on the host.
_TAKEN = ("/opt/site", "/opt/dl-models")
_KEYS = frozenset({"schema", "python", "mount", "packages", "modules", "libraries", "tree_sha256"})
_HINT = "Take the file that the AMI's mount has, or write one with `capctl models contract`; images/README.md tells its format"
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_REQUIREMENT = re.compile(rf"(?P<name>{_NAME})(?:\[[^\]]*\])?==(?P<version>[^\s;\\]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedRuntime:
    """What an image needs its host to mount: a folder whose contract has this digest (hex), at `mount`; "" where it names no place."""

    sha256: str
    mount: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeContract:
    """`packages` maps normalised names to versions, `libraries` names to major versions; `sha256` is of the file."""

    sha256: str
    python: str
    mount: str
    packages: dict[str, str]
    modules: frozenset[str]
    libraries: dict[str, str]
    tree_sha256: str

    @property
    def environment(self) -> dict[str, str]:
        """What a container needs to find the mount and to check it, beside PYTHONPATH."""
        found = {ENV_CONTRACT: self.sha256, ENV_MOUNT: self.mount}
        return {**found, "LD_LIBRARY_PATH": f"{self.mount}/lib"} if self.libraries else found


def wanted_runtime(config: Mapping[str, Any]) -> WantedRuntime | None:
    """What an image with this `config` needs its host to mount, by the variables that its job will look at; None for nothing."""
    told = dict(line.partition("=")[::2] for line in (config.get("config") or {}).get("Env") or ())
    sha256, mount = told.get(ENV_CONTRACT), told.get(ENV_MOUNT, "")
    return WantedRuntime(sha256=sha256, mount=mount if _may_be_mount(mount) else "") if sha256 else None


def read_contract(path: Path) -> RuntimeContract:
    """The contract in a file. Raises: BaseInvalid, naming what is wrong."""
    try:
        content = path.read_bytes()
    except OSError as error:
        message = f"The runtime contract `{path}` cannot be read: {error.strerror}"
        raise BaseInvalid(message, hint="Correct `image.base.runtime_contract` in capctl.yaml") from error
    return parse_contract(content, name=path.name)


def parse_contract(content: bytes, *, name: str) -> RuntimeContract:
    """The contract that the file `name` holds. Raises: BaseInvalid, naming what is wrong."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _invalid(name, f"it is not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise _invalid(name, f"its schema is not `{SCHEMA}`")
    if odd := sorted(_KEYS ^ document.keys()):
        raise _invalid(name, f"it {'lacks' if odd[0] in _KEYS else 'has an unknown key'} `{odd[0]}`")
    mount, modules = document["mount"], document["modules"]
    if not isinstance(modules, list) or not all(_fits(r"[A-Za-z_]\w*", module) for module in modules):
        raise _invalid(name, "`modules` is not a list of module names")
    for key, pattern in (("python", r"3\.\d+"), ("tree_sha256", r"[0-9a-f]{64}")):
        if not _fits(pattern, document[key]):
            raise _invalid(name, f"`{key}` is not of the form `{pattern}`")
    if not _may_be_mount(mount):
        own = " or ".join(f"`{folder}`" for folder in _TAKEN)
        raise _invalid(name, f"`mount` is not a folder below `/opt`, `/srv` or `/mnt` that is not in {own}")
    return RuntimeContract(
        sha256=hashlib.sha256(content).hexdigest(),
        python=document["python"],
        mount=mount,
        packages=_packages(name, document),
        modules=frozenset(modules),
        libraries=_versions(name, document, "libraries", r"[0-9]+"),
        tree_sha256=document["tree_sha256"],
    )


def without_contract(lock: str, contract: RuntimeContract | None) -> str:
    """The lock without the requirements that the contract brings; it must want the very versions.

    Raises: BaseInvalid, naming every package of which the two want different versions.
    """
    if contract is None:
        return lock
    kept, clashes = [], []
    for requirement in _requirements(lock):
        found = _REQUIREMENT.match(requirement)
        brought = contract.packages.get(normalised(found["name"])) if found else None
        if found is None or brought is None:
            kept.append(requirement)
        elif brought != found["version"]:
            clashes.append(f"`{normalised(found['name'])}` ({found['version']} and {brought})")
    if clashes:
        message = f"The lock and the runtime contract want different versions of {', '.join(clashes)}"
        raise BaseInvalid(
            message, hint="Lock the versions that the AMI has, or bake the runtime with those of the lock"
        )
    return "".join(kept)


def _requirements(lock: str) -> list[str]:
    """Each requirement or option with its hashes and the comments below it; what comes before the first is one part more."""
    parts = [""]
    for line in lock.splitlines(keepends=True):
        if _REQUIREMENT.match(line) or line.startswith("-"):
            parts.append("")
        parts[-1] += line
    return parts


def _versions(name: str, document: dict[str, object], key: str, pattern: str) -> dict[str, str]:
    value = document[key]
    if not isinstance(value, dict) or not all(_fits(pattern, version) for version in value.values()):
        raise _invalid(name, f"`{key}` does not map each name to a version of the form `{pattern}`")
    return value


def _packages(name: str, document: dict[str, object]) -> dict[str, str]:
    told = _versions(name, document, "packages", r"[0-9][A-Za-z0-9.+!_-]*")
    found = {normalised(package): version for package, version in told.items()}
    if odd := [package for package in told if not _fits(_NAME, package)]:
        raise _invalid(name, f"`{odd[0]}` is not the name of a package")
    if len(found) < len(told):
        raise _invalid(name, "`packages` names one of them twice")
    return found


def _may_be_mount(text: object) -> bool:
    return _fits(_MOUNT, text) and not f"{text}/".startswith(tuple(f"{own}/" for own in _TAKEN))


def _fits(pattern: str, value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(pattern, value, re.ASCII) is not None


def _invalid(name: str, reason: str) -> BaseInvalid:
    return BaseInvalid(f"The runtime contract `{name}` is not one: {reason}", hint=_HINT)
