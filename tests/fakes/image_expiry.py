"""`ports.ImageExpiry` in memory: the images of the registry, by ECR's own rules."""

from lifecycle.domain.digest import Digest
from lifecycle.domain.lifecycle_policy import Expiring
from lifecycle.errors import CapctlError
from lifecycle.ports.clock import Clock
from lifecycle.rehearsal.emulator.ecr_lifecycle import StoredImage, marked
from tests.fakes.images import FakeImageRegistry
from tests.fakes.stack import FakeStack


class FakeImageExpiry:
    """The repository is there once the stack is bootstrapped. `current` is the text of its policy; `unreadable` is raised by every preview.

    `previews` holds what was previewed.
    """

    def __init__(self, registry: FakeImageRegistry, clock: Clock, stack: FakeStack) -> None:
        self._registry = registry
        self._clock = clock
        self._stack = stack
        self.current: str | None = None
        self.unreadable: CapctlError | None = None
        self.previews: list[str] = []

    def policy(self) -> str | None:
        self._require_repository()
        return self.current

    def preview(self, policy: str) -> tuple[Expiring, ...]:
        self._require_repository()
        if self.unreadable:
            raise self.unreadable
        self.previews.append(policy)
        return tuple(
            Expiring(digest=Digest(one.image.digest), tags=one.image.tags, pushed_at=one.image.pushed_at, rule=one.rule)
            for one in marked(policy, self._images(), now=self._clock.now())
        )

    def _images(self) -> list[StoredImage]:
        tags = self._registry.tags.items()
        return [
            StoredImage(
                digest=ref.digest,
                tags=tuple(sorted(tag for tag, of in tags if of == ref)),
                pushed_at=self._registry.pushed.get(ref, self._clock.now()),
            )
            for ref in self._registry.held()
        ]

    def _require_repository(self) -> None:
        if not self._stack.bootstrapped:
            raise CapctlError(
                "repository-missing", "ECR has no repository `vision`", hint="Run `capctl bootstrap` once"
            )
