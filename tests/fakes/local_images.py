"""`ports.Layouts`, `ports.Engine` and `ports.HandRuns` in memory."""

from pathlib import Path

from lifecycle.domain.hand_run import HandRun, Mount, models_elsewhere
from lifecycle.domain.image_content import ImageContent
from lifecycle.domain.models import ModelSet
from lifecycle.errors import CapctlError
from lifecycle.ports.engine import LoadedImage


class FakeLayouts:
    """`images` are the digests by folder and name; `foreign` are folders that hold something else."""

    def __init__(self) -> None:
        self.images: dict[tuple[Path, str], str] = {}
        self.foreign: set[Path] = set()

    def holds(self, folder: Path, image: ImageContent, name: str) -> bool:
        self._require_layout(folder)
        return self.images.get((folder, name)) == image.digest

    def write(self, folder: Path, image: ImageContent, name: str) -> None:
        self._require_layout(folder)
        self.images[folder, name] = image.digest

    def _require_layout(self, folder: Path) -> None:
        if folder in self.foreign:
            raise CapctlError("layout-foreign", f"`{folder}` is no image layout", hint="Name an empty folder")


class FakeEngine:
    """`images` are ids by name, `layers` the diff ids that the engine has."""

    def __init__(self) -> None:
        self.images: dict[str, str] = {}
        self.layers: set[str] = set()

    def find(self, name: str) -> str | None:
        return self.images.get(name)

    def load(self, image: ImageContent, name: str) -> LoadedImage:
        known = len(self.layers & {*image.diff_ids})
        fresh = [
            layer.size_bytes
            for layer, diff_id in zip(image.layers, image.diff_ids, strict=True)
            if diff_id not in self.layers
        ]
        self.layers |= {*image.diff_ids}
        self.images[name] = image.config_digest
        return LoadedImage(bytes_sent=sum(fresh) + len(image.manifest) + len(image.config), layers_known=known)


class FakeHandRuns:
    """A person's folder."""

    def prepare(self, models: ModelSet | None) -> HandRun:
        mounts = (
            tuple(Mount(source=f"/models/{name}", target=f"/workspace/{name}") for name in models.folders)
            if models
            else ()
        )
        return HandRun(
            user="1000:1000",
            results="/project/.capctl/by-hand/results",
            models=mounts or models_elsewhere(),
            runtime="/models/runtime",
        )
