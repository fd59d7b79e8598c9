"""Images: the base by an engine, the code layer over the registry API, and what an image holds."""

from dataclasses import dataclass
from typing import Protocol

from lifecycle.domain.digest import Digest
from lifecycle.domain.image import ImageRef
from lifecycle.domain.measures import counted, size_text


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggedImage:
    """An image in the registry, by digest and by the tag that names its content."""

    ref: ImageRef
    tag: str

    def __str__(self) -> str:
        return str(self.ref.digest)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A rule that an image breaks; `path` is "" for rules about the whole image."""

    code: str
    message: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """The largest image that may ship, in bytes."""

    compressed_bytes: int
    unpacked_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageReport:
    """What an image costs and which rules it breaks. Sizes in bytes."""

    ref: ImageRef
    budgets: Budgets
    compressed_bytes: int
    unpacked_bytes: int
    layers: int
    files: int
    violations: tuple[Violation, ...]


class Images(Protocol):
    """Errors: `CapctlError("engine-missing" | "registry-unreachable" | "registry-refused" | "base-missing" | …)`, `Denied`."""

    def base_tag(self) -> str:
        """The tag of the base image that the current lock asks for."""

    def base(self) -> TaggedImage | None:
        """The base image of the current lock, if the registry has it."""

    def build_base(self) -> TaggedImage:
        """Build the base image with the container engine and push it; returns at once if the registry has it."""

    def code_tag(self) -> str:
        """The tag of the image that the working tree gives on the current base."""

    def code_layer(self) -> CodeLayer:
        """The layer that the working tree gives, on the current base."""

    def push_code(self) -> PushedImage:
        """Push base + code layer; one request when nothing changed."""

    def pushed_code(self) -> TaggedImage:
        """The code image of the working tree; raises `CapctlError("image-missing")` if it was not pushed."""

    def inspect(self, ref: ImageRef) -> ImageReport:
        """Read an image from the registry, without an engine, and check it."""
