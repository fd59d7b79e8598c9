"""`ports.Pointers` in memory."""

from lifecycle.domain.release import Pointer, Release
from lifecycle.errors import CapctlError
from tests.fakes.stack import deployed


class FakePointers:
    """One pointer, moved by compare-and-set."""

    def __init__(self) -> None:
        self._pointer: Pointer | None = None

    def read(self) -> Pointer | None:
        return self._pointer

    def move(self, pointer: Pointer, *, expected_version: int) -> None:
        if (self._pointer.version if self._pointer else 0) != expected_version:
            raise CapctlError("pointer-moved", "Somebody else moved the pointer", hint="Look at `capctl status`")
        self._pointer = pointer


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
