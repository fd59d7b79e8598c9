"""The tag that every release gives its image."""

from dataclasses import dataclass

from lifecycle.domain.image import ImageRef
from lifecycle.domain.permissions import TAG_IMAGES
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports


@dataclass(frozen=True, slots=True, kw_only=True)
class TagImage:
    """Tag the image of a release, so that neither ECR nor `image prune` removes it before anything names it."""

    ports: Ports
    tag: str
    image: ImageRef
    permissions: tuple[str, ...] = TAG_IMAGES

    def describe(self) -> str:
        return f"tag image {self.image.digest} {self.tag}, so that it never expires"

    def apply(self) -> str:
        self.ports.registry.tag(self.image, self.tag)
        return "tagged"

    def verify(self, _: str) -> None:
        found = self.ports.registry.find(self.tag)
        if found is None or found.digest != self.image.digest:
            raise CapctlError(
                "tag-not-set",
                f"Tag `{self.tag}` names {found.digest if found else 'nothing'} after it was given to {self.image.digest}",
                hint="Run the command again",
                may_pass=True,
            )
