"""The container engine of this machine, for who runs an image by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from lifecycle.domain.measures import counted, size_text

if TYPE_CHECKING:
    from lifecycle.domain.image_content import ImageContent


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedImage:
    """What went to the engine, in bytes, and how many layers it had already."""

    bytes_sent: int
    layers_known: int

    def __str__(self) -> str:
        return f"{size_text(self.bytes_sent)}, {counted(self.layers_known, 'layer')} known"


class Engine(Protocol):
    """Errors: `CapctlError("engine-missing" | "engine-failed")`."""

    def find(self, name: str) -> str | None:
        """The id of the image of that name (`repository:tag`): the digest of its config, or of its manifest where the engine keeps its
        images in containerd. None if there is none."""

    def load(self, image: ImageContent, name: str) -> LoadedImage:
        """Give the engine the image under a name, without the layers that it has. Raises those of `ports.Registry` too."""
