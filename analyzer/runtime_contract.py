"""Whether the runtime that the host mounts is the one that the image was built for.

Asked before anything is imported from it: what another runtime breaks, it breaks with errors that name neither side.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from analyzer.errors import Mismatch

# Set in an image that was built against such a runtime: the digest of its contract, and where it is mounted.
ENV_CONTRACT = "CAPCTL_RUNTIME_CONTRACT"
ENV_MOUNT = "CAPCTL_RUNTIME_MOUNT"
_FILE = "contract.json"


def require_runtime(environment: Mapping[str, str]) -> None:
    """Compare the mounted contract with the one of the image; an image that holds its own runtime names none.

    Raises: Mismatch("runtime-missing" | "runtime-mismatch").
    """
    expected = environment.get(ENV_CONTRACT)
    if not expected:
        return
    contract = Path(environment.get(ENV_MOUNT, "")) / _FILE
    try:
        found = hashlib.sha256(contract.read_bytes()).hexdigest()
    except OSError as error:
        raise Mismatch(
            "runtime-missing",
            f"The runtime that this image needs is not mounted: `{contract}` cannot be read: {error.strerror}",
            hint="Mount the AMI's runtime there, read-only, or build the base image without `image.base.runtime_contract`",
        ) from error
    if found != expected:
        raise Mismatch(
            "runtime-mismatch",
            f"`{contract}` has the digest `{found}`, and this image was built for `{expected}`",
            hint="Deploy the image with the AMI whose runtime it was built for",
        )
