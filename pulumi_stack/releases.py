"""The releases stack: its input is the list of releases that shall exist."""

from collections.abc import Sequence

import pulumi

from pulumi_stack.components.release import Release
from pulumi_stack.config import ReleasesConfig, ReleaseSpec


def releases(config: ReleasesConfig, specs: Sequence[ReleaseSpec]) -> None:
    """Declare every release of `specs`, oldest first; one that is left out is deleted."""
    for spec in specs:
        Release(config, spec)
    pulumi.export("releases", [spec.id for spec in specs])
