"""Whether the model files of a set may be used for what the job is for. Facts that their owner wrote down, not legal advice."""

from __future__ import annotations

from analyzer.contract import LicencePolicy, ModelFile
from analyzer.errors import Mismatch
from analyzer.manifest import ModelSet

# What `permitted_use` says of a file that may be used commercially; every other text, and none, says that it may not.
COMMERCIAL_USES = frozenset({"any", "commercial"})
# Licences by their SPDX names that permit commercial use, for files whose `permitted_use` is empty.
COMMERCIAL_LICENCES = frozenset(
    name.casefold()
    for name in (
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "CC-BY-4.0",
        "CC0-1.0",
        "ISC",
        "MIT",
        "Unlicense",
    )
)


def permits_commercial_use(file: ModelFile) -> bool:
    if use := file.permitted_use.strip().casefold():
        return use in COMMERCIAL_USES
    return file.licence.strip().casefold() in COMMERCIAL_LICENCES


def require_licences(model_set: ModelSet, policy: LicencePolicy) -> None:
    """Raises: Mismatch, naming the first file of the mounted set that `policy` does not allow."""
    if policy is LicencePolicy.ANY:
        return
    refused = [file for file in model_set.files if not permits_commercial_use(file)]
    if refused:
        file, more = refused[0], f" and {len(refused) - 1} more" if len(refused) > 1 else ""
        said = file.permitted_use or file.licence
        reason = f"says `{said[:60]}`" if said else "states no licence"
        raise Mismatch(
            "license-refused",
            f"`{model_set.root / file.path}`{more} may not be used under `{policy}`: the model set {reason}",
            hint="Leave it out of the model set, or write its `permitted_use`, `commercial` or `any`, into models.lock.yaml and bake, "
            "or, of models that no bake placed, into the marker",
        )
