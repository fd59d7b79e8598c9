"""The base image that is remembered: true as long as nothing changed that decides which one it is."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from images.base import fingerprint
from lifecycle.adapters.base_record import RecordedBase
from lifecycle.domain.image import TaggedImage
from lifecycle.errors import CapctlError
from tests.fakes.images import FakeBaseBuilder, FakeImageRegistry
from tests.fakes.targets import make_target

FROM_IMAGE = ("from_image", "python@sha256:" + "a" * 64)


class CountingBuilder(FakeBaseBuilder):
    """`asked` counts the questions to the registry."""

    asked = 0

    def find(self) -> TaggedImage | None:
        self.asked += 1
        return super().find()


@dataclass
class Scene:
    """A project whose base image is in the registry and recorded."""

    folder: Path
    builder: CountingBuilder
    url: str = "https://registry"
    base: tuple[tuple[str, object], ...] = (FROM_IMAGE, ("python", "3.12"), ("runtime_contract", "contract.json"))
    image: tuple[tuple[str, str], ...] = ()

    def recorded(self) -> RecordedBase:
        image = {**dict(self.image), "base": {"requirements": "requirements.lock", **dict(self.base)}}
        return RecordedBase(self.builder, make_target(self.folder, image=image), self.url)

    def questions(self) -> int:
        """How often the registry is asked for the base that code stands on."""
        before = self.builder.asked
        self.recorded().required()
        return self.builder.asked - before


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "cache" / "capctl" / "rootfs").mkdir(parents=True)
    root_tar(tmp_path).write_bytes(b"root")
    (tmp_path / "requirements.lock").write_text("numpy==2\n")
    (tmp_path / "contract.json").write_text("{}")
    made = Scene(tmp_path, CountingBuilder(FakeImageRegistry()))
    made.recorded().build()
    return made


def root_tar(folder: Path) -> Path:
    return folder / "cache" / "capctl" / "rootfs" / "bookworm.tar"


def test_base_is_not_asked_for_again(scene: Scene) -> None:
    assert scene.questions() == 0
    assert scene.recorded().required() == scene.builder.find()


CHANGES: dict[str, Callable[[Scene], Scene]] = {
    "image.base.python": lambda scene: replace(scene, base=(FROM_IMAGE, ("python", "3.13"), scene.base[2])),
    "image.base.from_image": lambda scene: replace(
        scene, base=(("from_image", "python@sha256:" + "b" * 64), *scene.base[1:])
    ),
    "image.repository": lambda scene: replace(scene, image=(("repository", "other"),)),
    "registry": lambda scene: replace(scene, url="https://other"),
    "lock": lambda scene: written(scene, scene.folder / "requirements.lock", b"numpy==3\n"),
    "runtime contract": lambda scene: written(scene, scene.folder / "contract.json", b"{ }"),
    "image.base.runtime_contract": lambda scene: replace(scene, base=scene.base[:2]),
    "image.base.leave_out": lambda scene: replace(scene, base=(*scene.base, ("leave_out", ("cv2/data/**",)))),
    "image.base.keep": lambda scene: replace(scene, base=(*scene.base, ("keep", ("cv2/data/**",)))),
    "image.base.share_ffmpeg": lambda scene: replace(scene, base=(*scene.base, ("share_ffmpeg", False))),
    "root filesystem": lambda scene: written(scene, root_tar(scene.folder), b"another root"),
    "another root of the same size": lambda scene: touched(scene, root_tar(scene.folder)),
}


def written(scene: Scene, path: Path, content: bytes) -> Scene:
    path.write_bytes(content)
    return scene


def touched(scene: Scene, path: Path) -> Scene:
    os.utime(path, ns=(1, 1))
    return scene


@pytest.mark.parametrize("change", CHANGES)
def test_registry_is_asked_when_something_changed_that_decides_the_base(scene: Scene, change: str) -> None:
    changed = CHANGES[change](scene)
    assert changed.questions() == 1
    assert changed.questions() == 0


def test_registry_is_asked_when_the_recipe_changed(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "recipe").mkdir()
    (tmp_path / "recipe" / "Dockerfile.j2").write_text("FROM scratch")
    monkeypatch.setattr(fingerprint, "_FOLDER", tmp_path / "recipe")
    assert scene.questions() == 1


def test_base_that_no_registry_has_is_not_remembered(scene: Scene) -> None:
    scene.builder.lock = "numpy==3"
    (scene.folder / "requirements.lock").write_text("numpy==3\n")
    for _ in range(2):
        with pytest.raises(CapctlError) as failed:
            scene.recorded().required()
        assert failed.value.code == "base-missing"
