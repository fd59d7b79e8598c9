"""The base image by a container engine. What only a build needs is imported there, for a code push makes this object too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lifecycle.adapters.cache_folder import cache_folder
from lifecycle.adapters.container_registry import ContainerRegistry
from lifecycle.adapters.image_errors import image_errors_translated
from lifecycle.adapters.requirements_lock import requirements_lock, runtime_contract
from lifecycle.config.target import Target
from lifecycle.domain.image import TaggedImage
from lifecycle.errors import CapctlError
from lifecycle.ports.ui import Ui

if TYPE_CHECKING:
    from images.base.recipe import BaseRecipe
    from lifecycle.adapters.docker_engine import DockerEngine


class EngineBaseBuilder:
    """`ports.BaseBuilder`. Only `build` asks the engine."""

    def __init__(self, target: Target, registry: ContainerRegistry, ui: Ui) -> None:
        self._target = target
        self._registry = registry
        self._ui = ui

    def packages(self) -> frozenset[str]:
        from images.base.contract import without_contract
        from images.checks import locked_packages

        lock = requirements_lock(self._target).read_text()
        with image_errors_translated():
            return locked_packages(without_contract(lock, runtime_contract(self._target)))

    def runtime_modules(self) -> frozenset[str]:
        contract = runtime_contract(self._target)
        return contract.modules if contract else frozenset()

    def tag(self) -> str:
        return self._recipe.tag

    def find(self) -> TaggedImage | None:
        ref = self._registry.find(self._recipe.tag)
        return TaggedImage(ref=ref, tag=self._recipe.tag) if ref else None

    def required(self) -> TaggedImage:
        base = self.find()
        if base is None:
            self._registry.require_repository_of(self.tag())
            raise CapctlError(
                "base-missing",
                f"Repository `{self._target.repository_name}` does not have the base image `{self.tag()}`",
                hint="Run `capctl image base`, or correct `image.repository` in capctl.yaml",
            )
        return base

    def build(self) -> TaggedImage:
        if present := self.find():
            return present
        self._registry.require_repository()  # before minutes of building
        from images.base.recipe import ROOT_CHANGES, context_tar, dockerfile_of, wheels_of
        from lifecycle.adapters.buildkit import find_buildkit
        from lifecycle.adapters.docker_engine import DockerEngine
        from lifecycle.adapters.private_folder import private_folder

        engine, recipe, login = DockerEngine(self._ui), self._recipe, self._registry.login
        buildkit = find_buildkit(self._target.settings.image.base.builder, engine.ping)
        self._ui.detail(f"building with {buildkit.name if buildkit else 'the classic builder'}")
        if recipe.root_tar and not engine.has(recipe.from_image):
            engine.import_root(recipe.root_tar, recipe.from_image, changes=ROOT_CHANGES)
        name = f"{urlsplit(login.url).netloc}/{self._target.repository_name}:{recipe.tag}"
        cache = cache_folder()
        cache.mkdir(parents=True, exist_ok=True)
        with private_folder("base-build-", within=cache) as folder, _room_watched(cache):
            context = context_tar(
                folder / "context.tar",
                dockerfile=dockerfile_of(recipe, "buildkit" if buildkit else "classic"),
                requirements_lock=recipe.requirements,
                trims=recipe.trims,
                wheels=wheels_of(recipe, cache, scratch=folder, progress=self._ui.note),
            )
            if buildkit:
                buildkit.build(context, name, self._ui)
            else:
                engine.build(context, name)
        base = self._pushed(engine, name)
        engine.untag(name)
        return base

    def _pushed(self, engine: DockerEngine, name: str) -> TaggedImage:
        # Another run, here or elsewhere, may have pushed the same base while this one built it: its tag never moves, and on one engine
        # that run takes the name away.
        if there := self.find():
            return there
        try:
            engine.push(name, credentials=self._registry.login.engine_credentials())
        except CapctlError as error:
            there = self.find() if error.code == "engine-failed" else None
            if there is None:
                raise
            self._ui.note(f"Another run has pushed `{there.tag}` meanwhile, as {there.ref.digest}: it is taken")
            return there
        return self.required()

    @cached_property
    def _recipe(self) -> BaseRecipe:
        from images.base.recipe import OfficialRoot, plan_base
        from images.base.trims import Trims

        base = self._target.settings.image.base
        root = OfficialRoot(image=base.from_image, python=base.python) if base.from_image else None
        with _room_watched(cache_folder()):
            return plan_base(
                requirements_lock(self._target),
                cache_folder(),
                official_root=root,
                contract=runtime_contract(self._target),
                trims=Trims(leave_out=base.leave_out, keep=base.keep, share_ffmpeg=base.share_ffmpeg),
                progress=self._ui.note,
            )


@contextmanager
def _room_watched(cache: Path) -> Iterator[None]:
    """`image_errors_translated` for what writes hundreds of megabytes there."""
    from images.room import room_watched

    full = f"The disk of `{cache}` is full: what the base image is made of has no room there"
    hint = "Make room, or set XDG_CACHE_HOME to a folder on another disk, then run the command again"
    with image_errors_translated(), room_watched(full, hint=hint):
        yield
