"""An image with the way to its bytes, as it goes from the working tree or the registry to a folder or an engine."""

import json
from dataclasses import dataclass

from images.content import ImageContent as ImageContent
from images.manifest import Blob as Blob
from lifecycle.domain.runtime import WantedRuntime, wanted_runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalImage:
    """An image under the name that it has on this machine: `repository:tag`, without a registry."""

    name: str
    content: ImageContent

    @property
    def tag(self) -> str:
        """What follows the repository."""
        return self.name.rpartition(":")[2]

    @property
    def runtime(self) -> WantedRuntime | None:
        """What the image wants its host to mount."""
        return wanted_runtime(json.loads(self.content.config))

    @property
    def ids(self) -> tuple[str, ...]:
        """What an engine may take for its id; the second where it keeps its images in containerd."""
        return self.content.config_digest, self.content.digest
