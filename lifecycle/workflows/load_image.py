"""Give the container engine of this machine an image, for who runs it by hand."""

from dataclasses import dataclass
from pathlib import Path

from lifecycle.config.target import Target
from lifecycle.domain.digest import Digest, short
from lifecycle.domain.hand_run import run_words
from lifecycle.domain.image import LOADED_DIGEST
from lifecycle.domain.image_content import LocalImage
from lifecycle.domain.permissions import FIND_IMAGES, READ_IMAGES
from lifecycle.domain.plan import Plan
from lifecycle.domain.runtime import mount_place
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.ports.engine import LoadedImage
from lifecycle.workflows.lookups import image_of
from lifecycle.workflows.shippable import require_shippable

PERMISSIONS = {"image load": FIND_IMAGES}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadImage:
    """Load an image under a name that names no other."""

    ports: Ports
    image: LocalImage
    permissions: tuple[str, ...] = READ_IMAGES

    def describe(self) -> str:
        return f"load {self.image.content.digest} as {self.image.name}"

    def apply(self) -> LoadedImage:
        return self.ports.engine.load(self.image.content, self.image.name)

    def verify(self, _: LoadedImage) -> None:
        found = self.ports.engine.find(self.image.name)
        if found not in self.image.ids:
            raise CapctlError(
                "image-not-loaded",
                f"The engine has {found or 'nothing'} as `{self.image.name}` after {self.image.content.config_digest} was loaded",
                hint="Run the command again; if it stays so, read the engine's log",
            )


def local_code(ports: Ports, target: Target) -> LocalImage:
    """The code image of the working tree, which nobody has to have pushed. Raises `CapctlError("base-missing" | "image-rejected")`."""
    require_shippable(ports, target)
    return LocalImage(name=f"{target.repository_name}:{ports.code.tag()}", content=ports.code.image())


def stored_image(ports: Ports, target: Target, text: str) -> LocalImage:
    """An image of the repository, named as `lookups.image_of` takes it. Raises `CapctlError("image-missing")`."""
    ref = image_of(ports, target, text)
    name = f"{target.repository_name}:{LOADED_DIGEST}{short(ref.digest, 16)}"
    return LocalImage(name=name, content=ports.registry.content(ref))


def plan_load(ports: Ports, image: LocalImage) -> Plan:
    """One step, or none when the engine has the image. Raises `CapctlError("engine-missing" | "image-name-taken")`."""
    title = f"load {image.name}"
    found = ports.engine.find(image.name)
    if found in image.ids:
        return Plan(title=title, because=f"the engine has it, {found}")
    if found:
        raise CapctlError(
            "image-name-taken",
            f"The engine has another image as `{image.name}`: {found}",
            hint=f"If nobody needs it, remove it: `docker image rm {image.name}`",
        )
    step = LoadImage(ports=ports, image=image)
    return Plan(title=title, because=f"the engine has no `{image.name}`", steps=(step,))


def run_by_hand(ports: Ports, target: Target, image: LocalImage, video: Path | None) -> tuple[str, ...]:
    """The words of the command line that analyses a video in the image as a job would."""
    release = target.settings.release
    return run_words(
        image.name,
        ports.hand_runs.prepare(ports.model_lock.read()),
        video=str(video.resolve()) if video else None,
        environment=release.environment,
        gpus=release.gpus,
        runtime_mount=mount_place(image.runtime, image.name),
    )


def image_id(ports: Ports, image: LocalImage) -> Digest:
    """The engine's id of a loaded image. Raises `CapctlError("image-not-loaded")`."""
    found = ports.engine.find(image.name)
    if found is None:
        raise CapctlError("image-not-loaded", f"The engine has no `{image.name}`", hint="Run the command again")
    return Digest(found)
