"""What AMIs cost, which is their snapshots, and what images cost, which is their layers. The rest of either is free."""

from collections.abc import Iterable
from dataclasses import dataclass

from lifecycle.domain.ami import SnapshotRecord

# us-east-1 and most other regions, standard tier; AWS bills GiB and calls them GB.
USD_PER_GIB_MONTH = 0.05
# Of ECR's storage; a repository pays for each layer once.
IMAGE_USD_PER_GIB_MONTH = 0.10
_GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """US dollars per month. `is_upper_bound`: EC2 did not tell what was written, so the whole volume counts."""

    usd: float
    is_upper_bound: bool

    def __str__(self) -> str:
        if 0 < self.usd < 0.01:
            return "< $0.01"
        return f"{'<= ' if self.is_upper_bound else ''}${self.usd:.2f}"


def monthly_usd(snapshots: Iterable[SnapshotRecord]) -> Cost:
    """What snapshots cost per month. Blocks that several share are billed once, and are counted for each here."""
    usd, is_upper_bound = 0.0, False
    for snapshot in snapshots:
        is_upper_bound = is_upper_bound or snapshot.full_bytes is None
        gib = snapshot.size_gib if snapshot.full_bytes is None else snapshot.full_bytes / _GIB
        usd += gib * USD_PER_GIB_MONTH
    return Cost(usd=usd, is_upper_bound=is_upper_bound)


def monthly_usd_of_images(size_bytes: int) -> float:
    """What layers of that many bytes, compressed, cost per month."""
    return size_bytes / _GIB * IMAGE_USD_PER_GIB_MONTH
