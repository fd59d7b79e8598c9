"""Image layouts on this machine."""

from __future__ import annotations

from pathlib import Path

from images.content import ImageContent
from images.layout import layout_holds, write_layout
from lifecycle.adapters.image_errors import image_errors_translated
from lifecycle.ports.ui import Ui


class LayoutFolders:
    """`ports.Layouts`."""

    def __init__(self, ui: Ui) -> None:
        self._ui = ui

    def holds(self, folder: Path, image: ImageContent, name: str) -> bool:
        with image_errors_translated():
            return layout_holds(folder, image, name)

    def write(self, folder: Path, image: ImageContent, name: str) -> None:
        with image_errors_translated(), self._ui.progress(f"write {name}", image.size_bytes) as bar:
            write_layout(folder, image, name, advance=bar.advance)
