"""Who uses AMIs and images, and what could not be asked."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from lifecycle.domain.ami import AmiRecord, Grant
from lifecycle.domain.measures import counted, first_few


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """Something names an AMI, a snapshot or an image: `of` is its id, digest or tag. `kind` is a noun whose plural takes an s; where
    there can be one only, `name` is empty."""

    of: str
    kind: str
    name: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.detail})".lstrip() if self.detail else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A source of uses that could not be read to its end: of nothing is it known that nobody uses it."""

    source: str
    why: str

    def __str__(self) -> str:
        return f"{self.source}: {self.why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UseReport:
    """What a scan found."""

    uses: tuple[Use, ...] = ()
    unread: tuple[Unread, ...] = ()

    def __add__(self, other: "UseReport") -> "UseReport":
        return UseReport(uses=(*self.uses, *other.uses), unread=(*self.unread, *other.unread))

    def by_id(self) -> dict[str, list[Use]]:
        """The uses of each thing that has any."""
        found: dict[str, list[Use]] = {}
        for use in self.uses:
            found.setdefault(use.of, []).append(use)
        return found


def uses_of(ami: AmiRecord, uses: Mapping[str, Collection[Use]]) -> tuple[Use, ...]:
    """Those of the AMI and of its snapshots, out of `UseReport.by_id`."""
    return tuple(use for one in (ami.id, *ami.snapshot_ids) for use in uses.get(one, ()))


def kinds_text(uses: Iterable[Use], *, most: int = 3) -> tuple[str, ...]:
    """One phrase for each kind: `release r-1 (active)`, `5 instances: i-1, i-2, i-3, …`."""
    kinds: dict[str, list[str]] = {}
    for use in uses:
        kinds.setdefault(use.kind, []).append(str(use))
    return tuple(
        f"{kind} {names[0]}" if len(names) == 1 else f"{counted(len(names), kind)}: {first_few(names, most=most)}"
        for kind, names in kinds.items()
    )


def uses_text(uses: Iterable[Use]) -> tuple[str, ...]:
    """One phrase for each kind: `used by release r-1 (active)`, `used by 5 instances: i-1, i-2, i-3, …`."""
    return tuple(f"used by {kind}" for kind in kinds_text(uses))


def unread_text(unread: Iterable[Unread]) -> tuple[str, ...]:
    """One phrase for each source."""
    return tuple(f"not known whether it is used: {one.source} could not be read" for one in unread)


def shared_text(grants: Collection[Grant] | None) -> tuple[str, ...]:
    """One phrase for each grant; one where they could not be read, which is None."""
    if grants is None:
        return ("not known with whom it is shared",)
    return tuple(f"shared with {grant}" for grant in sorted(grants, key=str))
