"""`image build`: the code of the working tree as one layer, or as a whole image in a folder; nothing is pushed."""

from dataclasses import dataclass
from pathlib import Path

from lifecycle.config.target import Target
from lifecycle.domain.image_content import LocalImage
from lifecycle.domain.measures import size_text
from lifecycle.domain.permissions import READ_IMAGES
from lifecycle.domain.plan import Plan
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.ports.code import CodeLayer
from lifecycle.workflows.shippable import require_shippable

PERMISSIONS = {"image build": READ_IMAGES}


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteLayout:
    """Make an image layout hold the code image."""

    ports: Ports
    folder: Path
    image: LocalImage
    permissions: tuple[str, ...] = READ_IMAGES

    def describe(self) -> str:
        return f"write code image {self.image.tag} into `{self.folder}`, {size_text(self.image.content.size_bytes)}"

    def apply(self) -> str:
        self.ports.layouts.write(self.folder, self.image.content, self.image.tag)
        return self.image.content.digest

    def verify(self, _: str) -> None:
        if not self.ports.layouts.holds(self.folder, self.image.content, self.image.tag):
            raise CapctlError(
                "layout-incomplete",
                f"`{self.folder}` does not hold {self.image.content.digest} as `{self.image.tag}` after it was written",
                hint="Somebody changed the folder meanwhile: run the command again",
            )


def build_layer(ports: Ports, target: Target) -> CodeLayer:
    """The layer that `image push` would push. Raises as `plan_push_image`."""
    require_shippable(ports, target)
    return ports.code.layer()


def plan_layout(ports: Ports, folder: Path, image: LocalImage) -> Plan:
    """One step, or none when the layout holds the image under its tag. Raises `CapctlError("layout-foreign")`."""
    title = f"write the code image into `{folder}`"
    if ports.layouts.holds(folder, image.content, image.tag):
        return Plan(title=title, because=f"it holds `{image.tag}`, {image.content.digest}")
    step = WriteLayout(ports=ports, folder=folder, image=image)
    return Plan(title=title, because=f"the code of the working tree is `{image.tag}`", steps=(step,))
