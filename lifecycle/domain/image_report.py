"""Whether an image may ship: what it holds and what is allowed in, a report out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from images.checks import check_image
from images.hints import hint_for
from images.index import ImageIndex as ImageIndex
from images.rules import Rules as Rules
from images.rules import Violation as Violation
from lifecycle.domain.digest import short
from lifecycle.domain.image import ImageRef
from lifecycle.domain.measures import counted
from lifecycle.errors import CapctlError

if TYPE_CHECKING:
    from lifecycle.domain.runtime import WantedRuntime

# Of each rule, in the lines for people: an image that was built without any rule breaks one thousands of times.
_MOST_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """The largest image that may ship, in bytes."""

    compressed_bytes: int
    unpacked_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageReport:
    """What an image costs, which rules it breaks, and the runtime that it wants of its host. Sizes in bytes; `layers` are digests from
    the lowest up. Without a lock no packages are compared."""

    ref: ImageRef
    budgets: Budgets
    compressed_bytes: int
    unpacked_bytes: int
    layers: tuple[str, ...]
    files: int
    violations: tuple[Violation, ...]
    runtime: WantedRuntime | None = None
    packages_compared: bool = True

    @property
    def ok(self) -> bool:
        """Whether the image breaks no rule."""
        return not self.violations


def report_on(ref: ImageRef, index: ImageIndex, rules: Rules) -> ImageReport:
    """Apply every rule of `rules`."""
    from lifecycle.domain.runtime import wanted_runtime  # which a push does without

    return ImageReport(
        ref=ref,
        budgets=Budgets(compressed_bytes=rules.max_compressed_bytes, unpacked_bytes=rules.max_unpacked_bytes),
        compressed_bytes=index.compressed_bytes,
        unpacked_bytes=index.unpacked_bytes,
        layers=tuple(layer.digest for layer in index.layers),
        files=sum(entry.kind == "file" for layer in index.layers for entry in layer.entries),
        violations=tuple(check_image(index, rules)),
        runtime=wanted_runtime(index.config),
        packages_compared=rules.allowed_packages is not None,
    )


def image_rejection(report: ImageReport) -> CapctlError | None:
    """The error for an image that breaks rules, with the first places of each; None for a clean one."""
    if report.ok:
        return None
    names = {digest: f"layer {number} ({short(digest)})" for number, digest in enumerate(report.layers, 1)}
    return CapctlError(
        "image-rejected",
        f"Image `{report.ref}` {broken(report.violations)}",
        hint=hint_for(report.violations),
        details=tuple(_shown(report.violations, names)),
    )


def code_rejection(index: ImageIndex, rules: Rules, missing: Iterable[Violation] = ()) -> CapctlError | None:
    """The error for code that breaks rules, naming each place; None for clean code. `index` is that of the code alone, `missing` are its
    imports that fail."""
    found = [*check_image(index, replace(rules, allowed_packages=None)), *missing]
    if not found:
        return None
    return CapctlError(
        "image-rejected",
        f"The code {broken(found)}, so no image is made of it",
        hint=hint_for(found),
        details=tuple(f"{violation.code}: {violation.message}" for violation in found),
    )


def broken(violations: Sequence[Violation]) -> str:
    """`breaks 1 rule`, `breaks 3 rules in 1204 places`."""
    rules = counted(len({violation.code for violation in violations}), "rule")
    return f"breaks {rules}" + (f" in {len(violations)} places" if len(violations) > 1 else "")


def _shown(violations: Sequence[Violation], layers: Mapping[str, str]) -> Iterator[str]:
    """A line for each place, of each rule the first ones and how many more there are."""
    by_rule: dict[str, list[Violation]] = defaultdict(list)
    for violation in violations:
        by_rule[violation.code].append(violation)
    for code, places in by_rule.items():
        for violation in places[:_MOST_SHOWN]:
            where = f", in {layers[violation.layer]}" if violation.layer in layers else ""
            yield f"{code}: {violation.message}{where}"
        if (more := len(places) - _MOST_SHOWN) > 0:
            yield f"{code}: {counted(more, 'more place')}, all listed by `-o json`"
