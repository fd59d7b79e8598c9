"""`ports.Pointers` in memory."""

from collections.abc import Collection

from lifecycle.domain.release import LOOK_AGAIN, Pointer, Release
from lifecycle.errors import CapctlError
from tests.fakes.stack import deployed


class FakePointers:
    """One pointer, moved by compare-and-set; every version of it, and the ids of the releases that are retired."""

    def __init__(self) -> None:
        self._pointer: Pointer | None = None
        self._past: dict[int, Pointer] = {}
        self.retired: set[str] = set()

    def read(self) -> Pointer | None:
        return self._pointer

    def move(self, pointer: Pointer, *, expected_version: int) -> None:
        if (self._pointer.version if self._pointer else 0) != expected_version:
            told = f": {self._pointer.told}" if self._pointer else ""
            raise CapctlError("pointer-moved", f"Somebody else moved the pointer{told}", hint=LOOK_AGAIN)
        if pointer.release_id in self.retired:
            raise CapctlError("release-retired", f"Release `{pointer.release_id}` is being removed", hint="Deploy it")
        self._pointer = self._past[pointer.version] = pointer

    def past(self, versions: Collection[int]) -> tuple[Pointer, ...]:
        return tuple(self._past[version] for version in sorted(versions, reverse=True) if version in self._past)

    def retire(self, release_id: str) -> None:
        if self._pointer and release_id in {self._pointer.release_id, self._pointer.previous_release_id}:
            raise CapctlError("release-active", "The pointer names the release", hint="Look at `capctl status`")
        self.retired.add(release_id)

    def readmit(self, release_id: str) -> None:
        self.retired.discard(release_id)


def pointer_at(release: Release) -> Pointer:
    """A first pointer, which names `release`."""
    return Pointer(
        version=1,
        release_id=release.id,
        previous_release_id="",
        job_queue_arn=deployed(release).job_queue_arn,
        job_definition_arn=deployed(release).job_definition_arn,
        moved_at="2026-01-01T00:00:00+00:00",
        moved_by="tester",
        reason="",
        promoted=(release.id,),
    )
