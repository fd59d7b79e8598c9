"""The releases stack: its input are the releases that shall exist."""

from collections.abc import Sequence

import pulumi

from pulumi_stack.components.release import Release
from pulumi_stack.components.standing import Standing
from pulumi_stack.config import ReleasesConfig, ReleaseSpec, StandingRelease


def releases(config: ReleasesConfig, standing: Sequence[StandingRelease], specs: Sequence[ReleaseSpec]) -> None:
    """Keep what is `standing`, untouched, and make what `specs` describe; a release that is in neither is deleted."""
    for release in standing:
        Standing(release)
    for spec in specs:
        Release(config, spec)
    pulumi.export("releases", [*(release.id for release in standing), *(spec.id for spec in specs)])
