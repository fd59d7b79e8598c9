"""The runtime contract: what the host brings, mounted read-only into the container, so that the image must not hold it too.

A JSON file, the same byte for byte beside the lock and, as `contract.json`, in the mount; images/README.md tells what it says.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from images.errors import BaseInvalid
from images.packages import normalised

SCHEMA = "capctl.runtime-contract/1"
LABEL_CONTRACT = "dev.capctl.runtime-contract-sha256"
# What the job's entry point reads: the digest that the mounted contract must have, and where it is mounted.
ENV_CONTRACT = "CAPCTL_RUNTIME_CONTRACT"
ENV_MOUNT = "CAPCTL_RUNTIME_MOUNT"

_KEYS = frozenset({"schema", "python", "mount", "packages", "modules", "libraries", "tree_sha256"})
_HINT = "Take the file that the AMI's mount has; images/README.md tells its format"
_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==(?P<version>[^\s;\\]+)")


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


def read_contract(path: Path) -> RuntimeContract:
    """The contract in a file. Raises: BaseInvalid, naming what is wrong."""
    try:
        content = path.read_bytes()
        document = json.loads(content)
    except OSError as error:
        message = f"The runtime contract `{path}` cannot be read: {error.strerror}"
        raise BaseInvalid(message, hint="Correct `image.base.runtime_contract` in capctl.yaml") from error
    except ValueError as error:
        raise _invalid(path, f"it is not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise _invalid(path, f"its schema is not `{SCHEMA}`")
    if odd := sorted(_KEYS ^ document.keys()):
        raise _invalid(path, f"it {'lacks' if odd[0] in _KEYS else 'has an unknown key'} `{odd[0]}`")
    mount, modules = document["mount"], document["modules"]
    if not isinstance(modules, list) or not all(_fits(r"[A-Za-z_]\w*", name) for name in modules):
        raise _invalid(path, "`modules` is not a list of module names")
    for key, pattern in (
        ("python", r"3\.\d+"),
        ("mount", r"(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)+"),
        ("tree_sha256", r"[0-9a-f]{64}"),
    ):
        if not _fits(pattern, document[key]):
            raise _invalid(path, f"`{key}` is not of the form `{pattern}`")
    if any(f"{mount}/".startswith(own) for own in ("/app/", "/opt/site/", "/usr/")):
        raise _invalid(path, f"the mount `{mount}` would hide files of the image")
    packages = _versions(path, document, "packages", r"[0-9][A-Za-z0-9.+!_-]*")
    return RuntimeContract(
        sha256=hashlib.sha256(content).hexdigest(),
        python=document["python"],
        mount=mount,
        packages={normalised(name): version for name, version in packages.items()},
        modules=frozenset(modules),
        libraries=_versions(path, document, "libraries", r"[0-9]+"),
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


def _versions(path: Path, document: dict[str, object], key: str, pattern: str) -> dict[str, str]:
    value = document[key]
    if not isinstance(value, dict) or not all(_fits(pattern, version) for version in value.values()):
        raise _invalid(path, f"`{key}` does not map each name to a version of the form `{pattern}`")
    return value


def _fits(pattern: str, value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(pattern, value, re.ASCII) is not None


def _invalid(path: Path, reason: str) -> BaseInvalid:
    return BaseInvalid(f"The runtime contract `{path.name}` is not one: {reason}", hint=_HINT)
