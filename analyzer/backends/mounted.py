"""The models that a checked model set holds, by role; None for what is not there."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.backends.appearance import AppearanceEmbedder
from analyzer.backends.base import AttributeModel, Captioner, Detector, Embedder, OrientationModel
from analyzer.contract import MODEL_PATHS, Device, ModelFile, ModelSettings, Role
from analyzer.errors import Mismatch
from analyzer.manifest import ModelSet

if TYPE_CHECKING:
    from analyzer.backends.onnx.fastvlm import VisionTower
    from analyzer.backends.onnx.session import Engine, Network
    from analyzer.backends.onnx.turns import Urgency
    from analyzer.backends.onnx.vlm_files import VlmConfig


class Mounted:
    """Every method raises Mismatch, naming the file, for one that is not what its role needs."""

    def __init__(self, model_set: ModelSet, settings: ModelSettings) -> None:
        self._set, self._settings = model_set, settings
        self._has_networks = False

    def detector(self) -> Detector:
        """The YOLO network, which must be there."""
        from analyzer.backends.onnx.loading import require_onnx
        from analyzer.backends.onnx.turns import Urgency
        from analyzer.backends.onnx.yolo import YoloDetector

        path = self._path(Role.DETECTOR)
        if not path.is_file():
            for beside in sorted(path.parent.glob(f"{path.stem}.*")):
                require_onnx(beside)
            raise self._missing(Role.DETECTOR)
        return YoloDetector(self._open(path, Urgency.DETECT), self._described({"detector": path}))

    def attributes(self) -> AttributeModel | None:
        """MiVOLO where it is, the dlib networks where they are; paths that are named come before those that are only there."""
        named = self._settings.paths.keys()
        is_dlib_named = bool(named & {Role.AGE, Role.GENDER}) and Role.MIVOLO not in named
        return self._dlib() if is_dlib_named or not self._has(Role.MIVOLO) else self._mivolo()

    def orientation(self) -> OrientationModel | None:
        if not self._has(Role.ORIENTATION):
            return None
        from analyzer.backends.onnx.mebow import MebowOrientation
        from analyzer.backends.onnx.turns import Urgency

        path = self._path(Role.ORIENTATION)
        return MebowOrientation(self._open(path, Urgency.ATTRIBUTES), self._described({"orientation": path}))

    def captioner_and_embedder(self) -> tuple[Captioner | None, Embedder]:
        """Both look through the same tower, which is loaded once; without it, vectors tell colours and edges."""
        if not self._has(Role.CAPTION):
            return None, AppearanceEmbedder()
        from analyzer.backends.onnx import vlm_files
        from analyzer.backends.onnx.fastvlm import FastVlmCaptioner, TokenizerFile
        from analyzer.backends.onnx.generation import Decoder
        from analyzer.backends.onnx.turns import Urgency

        files = vlm_files.find_files(self._path(Role.CAPTION))
        described = self._described(files)
        config = vlm_files.read_config(files)
        tokenizer = TokenizerFile(files[vlm_files.TOKENIZER])
        tower = self._tower(files, config)
        # Without words a result is poorer, without vectors of the same space it would be another.
        embed, decoder = (
            self._open(files[name], Urgency.CAPTION, can_be_spared=True)
            for name in (vlm_files.EMBED, vlm_files.DECODER)
        )
        words = Decoder(embed, decoder, config)
        captioner = FastVlmCaptioner(tower, words, tokenizer, config, described, spare=self._engine.spare)
        return captioner, self._embedder(files, tower)

    def embedder(self) -> Embedder:
        """The same embedder alone: of a vision-language model, nothing but the tower is loaded."""
        if not self._has(Role.CAPTION):
            return AppearanceEmbedder()
        from analyzer.backends.onnx import vlm_files

        files = vlm_files.find_files(self._path(Role.CAPTION))
        return self._embedder(files, self._tower(files, vlm_files.read_config(files)))

    def require_device_used(self) -> None:
        """Raises: Mismatch, when CUDA was asked for and no network is there that could run on it."""
        if self._settings.device is Device.CUDA and not self._has_networks:
            raise Mismatch(
                "gpu-unused",
                f"CUDA is asked for, and no network below `{self._set.root}` could run on it",
                hint="Mount the model set, choose the backend `onnx`, or give `--device cpu` (a job: `DEVICE=cpu`)",
            )

    def _dlib(self) -> AttributeModel | None:
        present = [role for role in (Role.AGE, Role.GENDER) if self._has(role)]
        if not present:
            return None
        for role in (Role.AGE, Role.GENDER):
            if role not in present:
                raise self._missing(role)
        from analyzer.backends.dlib import DlibAttributes
        from analyzer.backends.onnx.turns import Urgency

        paths = {str(role): self._path(role) for role in present}
        described = self._described(paths)
        age, gender = (self._open(path, Urgency.ATTRIBUTES) for path in paths.values())
        return DlibAttributes(age, gender, described)

    def _mivolo(self) -> AttributeModel:
        from analyzer.backends.onnx.mivolo import MivoloAttributes
        from analyzer.backends.onnx.turns import Urgency

        path = self._path(Role.MIVOLO)
        described = self._described({"age": path, "gender": path})
        return MivoloAttributes(self._open(path, Urgency.ATTRIBUTES), described)

    def _tower(self, files: Mapping[str, Path], config: VlmConfig) -> VisionTower:
        from analyzer.backends.onnx import vlm_files
        from analyzer.backends.onnx.fastvlm import VisionTower
        from analyzer.backends.onnx.turns import Urgency

        return VisionTower(self._open(files[vlm_files.VISION], Urgency.CAPTION), config)

    def _embedder(self, files: Mapping[str, Path], tower: VisionTower) -> Embedder:
        from analyzer.backends.onnx import vlm_files
        from analyzer.backends.onnx.fastvlm import FastVlmEmbedder

        return FastVlmEmbedder(tower, self._described({vlm_files.VISION: files[vlm_files.VISION]}))

    @cached_property
    def _engine(self) -> Engine:
        # Here, because a job without networks does not load the runtime.
        from analyzer.backends.onnx.provider import find_provider
        from analyzer.backends.onnx.session import Engine

        return Engine(provider=find_provider(self._settings.device, mount=self._settings.runtime_mount))

    def _open(self, path: Path, urgency: Urgency, *, can_be_spared: bool = False) -> Network:
        self._checked(path)
        self._has_networks = True
        return self._engine.open(path, urgency, can_be_spared=can_be_spared)

    def _described(self, paths: Mapping[str, Path]) -> dict[str, object]:
        """What the result says about a model: runtime, provider and its checked files by role."""
        return {**self._engine.description, **{name: self._checked(path).entry for name, path in paths.items()}}

    def _path(self, role: Role) -> Path:
        return self._settings.paths.get(role) or self._set.root / MODEL_PATHS[role]

    def _has(self, role: Role) -> bool:
        if self._path(role).exists():
            return True
        if role in self._settings.paths:
            raise self._missing(role)
        return False

    def _missing(self, role: Role) -> Mismatch:
        hint = f"Mount the model set that holds it, or name another path in `{role.variable}`"
        if role in {Role.AGE, Role.GENDER}:
            hint = "Mount the model set that holds both networks, or none of them"
        return Mismatch("model-missing", f"The {role} network `{self._path(role)}` does not exist", hint=hint)

    def _checked(self, path: Path) -> ModelFile:
        found = self._set.find(path)
        if found is None:
            raise Mismatch(
                "model-unchecked",
                f"The model file `{path}` is not a file of the checked model set below `{self._set.root}`",
                hint="Add it to `models.lock.yaml` and bake, so that its digest is known",
            )
        return found
