"""Whether the runtime that the host mounts is the one that the image was built for.

Asked before anything is imported from it: what another runtime breaks, it breaks with errors that name neither side. What there is, is told
by names alone, within milliseconds; capctl hashed the files when it baked them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from analyzer.errors import Mismatch

# Set in an image that was built against such a runtime: the digest of its contract, and where it is mounted.
ENV_CONTRACT = "CAPCTL_RUNTIME_CONTRACT"
ENV_MOUNT = "CAPCTL_RUNTIME_MOUNT"
_FILE = "contract.json"


def require_runtime(environment: Mapping[str, str]) -> None:
    """Compare the mounted contract with the one of the image, and its packages and modules with what is mounted.

    An image that holds its own runtime names no contract.

    Raises: Mismatch("runtime-missing" | "runtime-mismatch").
    """
    expected = environment.get(ENV_CONTRACT)
    if not expected:
        return
    contract = Path(environment.get(ENV_MOUNT, "")) / _FILE
    try:
        content = contract.read_bytes()
    except OSError as error:
        raise Mismatch(
            "runtime-missing",
            f"The runtime that this image needs is not mounted: `{contract}` cannot be read: {error.strerror}",
            hint="Mount the AMI's runtime there, read-only, or build the base image without `image.base.runtime_contract`",
        ) from error
    if (found := hashlib.sha256(content).hexdigest()) != expected:
        raise Mismatch(
            "runtime-mismatch",
            f"`{contract}` has the digest `{found}`, and this image was built for `{expected}`",
            hint="Deploy the image with the AMI whose runtime it was built for",
        )
    if lacking := next(_lacking(contract.parent, json.loads(content)), None):
        raise Mismatch(
            "runtime-mismatch",
            f"The runtime at `{contract.parent}` is not whole: it lacks the {lacking}, which its contract names",
            hint="Mount the runtime as the AMI has it, with all of its files",
        )


def _lacking(mount: Path, contract: Mapping[str, Any]) -> Iterator[str]:
    """What the contract names and no file or folder of the mount is called by."""
    try:
        files = [path.name for path in (mount / "site-packages").iterdir()]
    except OSError:
        files = []
    modules = {name.partition(".")[0] for name in files}
    packages = {_package(name.removesuffix(".dist-info")) for name in files if name.endswith(".dist-info")}
    yield from (f"module `{module}`" for module in contract["modules"] if module not in modules)
    for name, version in contract["packages"].items():
        if _package(f"{name}-{version}") not in packages:
            yield f"package `{name}` {version}"


def _package(named: str) -> tuple[str, str]:
    """Name, in the one form that all its spellings have, and version of `Name-1.0`."""
    name, _, version = named.rpartition("-")
    return re.sub(r"[-_.]+", "-", name).lower(), version
