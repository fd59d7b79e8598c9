"""The tag that every release gives its image: by it ECR's lifecycle policy knows what it may never expire.

The tag goes with its release, so that there are never more of them than the policy keeps.
"""

from collections.abc import Collection
from dataclasses import dataclass

from lifecycle.domain.image import ImageRef
from lifecycle.domain.lifecycle_policy import release_tag
from lifecycle.domain.permissions import TAG_IMAGES
from lifecycle.errors import CapctlError, Interrupted
from lifecycle.ports import Ports


@dataclass(frozen=True, slots=True, kw_only=True)
class TagImage:
    """Tag the image of a release, so that ECR's lifecycle policy never expires it."""

    ports: Ports
    release_id: str
    image: ImageRef
    permissions: tuple[str, ...] = TAG_IMAGES

    def describe(self) -> str:
        return f"tag image {self.image.digest} {release_tag(self.release_id)}, so that it never expires"

    def apply(self) -> str:
        self.ports.registry.tag(self.image, release_tag(self.release_id))
        return "tagged"

    def verify(self, _: str) -> None:
        tag = release_tag(self.release_id)
        found = self.ports.registry.find(tag)
        if found is None or found.digest != self.image.digest:
            raise CapctlError(
                "tag-not-set",
                f"Tag `{tag}` names {found.digest if found else 'nothing'} after it was given to {self.image.digest}",
                hint="Run the command again",
                may_pass=True,
            )


def drop_release_tags(ports: Ports, release_ids: Collection[str]) -> None:
    """Take the tags of releases that are gone off their images; one that cannot be taken off keeps its image longer, and is warned of."""
    for release_id in sorted(release_ids):
        try:
            ports.image_expiry.drop_tag(release_tag(release_id))
        except Interrupted:
            raise
        except CapctlError as error:
            ports.ui.warn(
                f"The image of release {release_id} stays tagged `{release_tag(release_id)}`: {error.message}"
            )
