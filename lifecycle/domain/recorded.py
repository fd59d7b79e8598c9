"""Releases as the stack recorded them when it made them: what everything else is compared with."""

from dataclasses import dataclass

from lifecycle.domain.release import DeployedRelease


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRelease:
    """A release, and what its compute environment was given. `created` is ISO 8601 in UTC.

    `max_vcpus` is None, and the others are "", where the stack does not say.
    """

    deployed: DeployedRelease
    created: str
    max_vcpus: int | None
    template_id: str
    template_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StackRecord:
    """The releases that exist, oldest first, and the ids of those of which something exists and something is missing."""

    releases: tuple[RecordedRelease, ...] = ()
    half_made: frozenset[str] = frozenset()

    @property
    def deployed(self) -> tuple[DeployedRelease, ...]:
        """The releases alone, as `ports.Stack.releases` gives them."""
        return tuple(recorded.deployed for recorded in self.releases)

    @property
    def ids(self) -> frozenset[str]:
        """Of every release of which anything exists."""
        return self.half_made | {deployed.id for deployed in self.deployed}
