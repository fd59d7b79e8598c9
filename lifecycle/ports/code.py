"""The code: the working tree as one layer on the base image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from lifecycle.domain.measures import counted, size_text

if TYPE_CHECKING:
    from lifecycle.domain.checkout import Checkout
    from lifecycle.domain.digest import Digest
    from lifecycle.domain.image import ImageRef
    from lifecycle.domain.image_content import ImageContent
    from lifecycle.domain.image_report import ImageIndex, Violation
    from lifecycle.domain.push_preview import PushPreview


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeLayer:
    """The code as one layer: what would be pushed. Sizes in bytes."""

    treehash: Digest
    tag: str
    files: int
    unpacked_bytes: int
    compressed_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PushedImage:
    """`requests` and `bytes_sent` count what went to the registry."""

    ref: ImageRef
    tag: str
    unchanged: bool
    requests: int
    bytes_sent: int

    def __str__(self) -> str:
        what = "unchanged" if self.unchanged else str(self.ref.digest)
        return f"{what}, {counted(self.requests, 'request')}, {size_text(self.bytes_sent)}"


class Code(Protocol):
    """Errors: `CapctlError("base-missing" | "code-unreadable" | "layer-rejected" | "layer-too-large")`, those of `ports.Registry`."""

    def tag(self) -> str:
        """The tag of the image that the working tree gives on the current base."""

    def layer(self) -> CodeLayer:
        """The layer that the working tree gives, on the current base."""

    def index(self) -> ImageIndex:
        """What the layer would hold, as an image of nothing else."""

    def missing_imports(self, provided: frozenset[str]) -> tuple[Violation, ...]:
        """The imports of the code that will fail, beside modules that are `provided` elsewhere; asks no registry.

        What only the base could tell is judged where its layers were read here before.
        """

    def image(self) -> ImageContent:
        """The image that `push` would push, to the byte; the layers of its base come from the registry when they are read."""

    def preview(self) -> PushPreview:
        """What `push` would do. Sends nothing, and asks no more than a push does."""

    def checkout(self) -> Checkout:
        """From which source the code is."""

    def prepare_push(self) -> None:
        """Do in the background what changes nothing, where a push of something new is to be expected; failures are those of `push`."""

    def push(self) -> PushedImage:
        """Push base + code layer; one request when nothing changed."""
