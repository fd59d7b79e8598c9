"""Whether an image may ship: what it holds and what is allowed in, a report out."""

from dataclasses import dataclass

from images.checks import Policy, Violation, check_image
from images.index import ImageIndex as ImageIndex
from lifecycle.domain.image import ImageRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """The largest image that may ship, in bytes."""

    compressed_bytes: int
    unpacked_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageReport:
    """What an image costs and which rules it breaks. Sizes in bytes."""

    ref: ImageRef
    budgets: Budgets
    compressed_bytes: int
    unpacked_bytes: int
    layers: int
    files: int
    violations: tuple[Violation, ...]

    @property
    def ok(self) -> bool:
        """Whether the image breaks no rule."""
        return not self.violations


def report_on(ref: ImageRef, index: ImageIndex, *, budgets: Budgets, packages: frozenset[str]) -> ImageReport:
    """Apply every rule; `packages` (`name==version`) are those that the image must hold, and no others."""
    policy = Policy(
        max_compressed_bytes=budgets.compressed_bytes,
        max_unpacked_bytes=budgets.unpacked_bytes,
        allowed_packages=packages,
    )
    return ImageReport(
        ref=ref,
        budgets=budgets,
        compressed_bytes=index.compressed_bytes,
        unpacked_bytes=index.unpacked_bytes,
        layers=len(index.layers),
        files=sum(entry.kind == "file" for layer in index.layers for entry in layer.entries),
        violations=tuple(check_image(index, policy)),
    )
