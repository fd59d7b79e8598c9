"""Image layouts: folders that hold images as the OCI wrote it down, for programs that take no registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from lifecycle.domain.image_content import ImageContent


class Layouts(Protocol):
    """Errors: `CapctlError("layout-foreign")` for a place where something else is; those of `ports.Registry`."""

    def holds(self, folder: Path, image: ImageContent, name: str) -> bool:
        """Whether the layout names the image so and holds every byte of it."""

    def write(self, folder: Path, image: ImageContent, name: str) -> None:
        """Make the layout hold the image under this name, beside others. Raises `CapctlError("layout-busy" | "disk-full")`.

        What is interrupted leaves a layout without the image, and the next call goes on from there.
        """
