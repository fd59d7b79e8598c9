"""What proofs of non-use have in common, of AMIs and of images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from lifecycle.domain.release import DeployedRelease, Pointer
from lifecycle.domain.usage import Unread, Use, UseReport
from lifecycle.errors import CapctlError, Inconclusive, Interrupted
from lifecycle.ports import Ports
from lifecycle.ports.clock import Clock
from lifecycle.workflows.status import roles_of

T = TypeVar("T")

_LASTS = timedelta(minutes=1)


class Recent(Generic[T]):
    """What `read` gives, read again once it is a minute old; what `is_unread` says could not be read to its end is not tried again."""

    def __init__(self, clock: Clock, read: Callable[[], T], *, is_unread: Callable[[T], bool]) -> None:
        self._clock, self._read, self._is_unread = clock, read, is_unread
        self._found: tuple[datetime, T] | None = None

    def get(self) -> T:
        """What was read last, or now."""
        now = self._clock.now()
        if self._found is None or not (self._is_unread(self._found[1]) or now - self._found[0] < _LASTS):
            self._found = now, self._read()
        return self._found[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """It stays after all; `unread` is what could not be read when it was asked once more."""

    why: str
    unread: tuple[Unread, ...] = ()

    def __str__(self) -> str:
        return f"kept: {self.why}"


def release_uses(ports: Ports, *, what: str, of: Callable[[DeployedRelease], str]) -> UseReport:
    """What the releases that exist have, and each release's role; `of` tells it of one, and `what` is it called, such as `AMI`.

    A release that does not tell counts as unread, as does an active one that is not among them. A region without a table for the
    pointer, as one of copies, has no release that takes jobs.
    """
    try:
        releases, pointer = ports.stack.releases(), _pointer(ports)
    except Interrupted:
        raise
    except CapctlError as error:
        return UseReport(unread=(Unread(source="releases", why=error.message),))
    silent = [release.id for release in releases if not of(release)]
    if pointer and pointer.release_id not in {release.id for release in releases}:
        silent.append(pointer.release_id)
    roles = roles_of(releases, pointer)
    return UseReport(
        uses=tuple(
            Use(of=of(release), kind="release", name=release.id, detail=roles.get(release.id, ""))
            for release in releases
            if of(release)
        ),
        unread=tuple(
            Unread(source="releases", why=f"release {one} does not say which {what} it has") for one in silent
        ),
    )


def use_unproven(unread: Sequence[Unread], *, command: str, so: str, what: str = "AMI") -> Inconclusive:
    """The error of a command that needs to know that nobody uses an AMI, or what `what` says; `so` says what does not happen therefore."""
    return Inconclusive(
        "use-unproven",
        f"Not everything that may use an {what} could be read ({', '.join(dict.fromkeys(one.source for one in unread))}), so {so}",
        hint=f"Mend what the details name; where AWS refused, the role needs the row of `capctl {command}` in docs/iam.md",
        details=tuple(map(str, unread)),
    )


def _pointer(ports: Ports) -> Pointer | None:
    try:
        return ports.pointers.read()
    except CapctlError as error:
        if error.code != "base-missing":
            raise
        return None
