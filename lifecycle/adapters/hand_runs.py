"""A folder below `.capctl` for containers that a person starts by hand."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from lifecycle.config.target import Target
from lifecycle.domain.hand_run import HandRun, Mount, models_elsewhere, runtime_elsewhere
from lifecycle.domain.job import contract
from lifecycle.domain.models import MARKER, RUNTIME, ModelFile, ModelSet


class HandRunFolder:
    """`ports.HandRuns`."""

    def __init__(self, target: Target) -> None:
        self._folder = target.folder.resolve() / ".capctl" / "by-hand"
        source = target.settings.models.source
        self._models = None if source.startswith("s3://") else target.path(source).resolve()

    def prepare(self, models: ModelSet | None) -> HandRun:
        results = self._folder / "results"
        results.mkdir(parents=True, exist_ok=True)
        root = self._models
        mounts = self._mounted(models, root) if models and root and root.is_dir() else models_elsewhere()
        runtime = root / RUNTIME if root else None
        return HandRun(
            user=f"{os.getuid()}:{os.getgid()}",
            results=str(results),
            models=mounts,
            runtime=str(runtime) if runtime and runtime.is_dir() else runtime_elsewhere(),
        )

    def _mounted(self, models: ModelSet, root: Path) -> tuple[Mount, ...]:
        # A bake gives the files their mode; these have the one that their owner gave them.
        as_here = ModelSet(files=tuple(replace(file, mode=_mode(root, file)) for file in models.files))
        marker = self._folder / "model-set.json"
        marker.write_bytes(as_here.marker())
        folders = [folder for folder in models.folders if folder != RUNTIME]
        sources = [source for folder in folders for source in _sources(root, folder, models)]
        return (
            *(_mount(root / source, source) for source in sources),
            _mount(marker, MARKER),
        )


def _sources(root: Path, folder: str, models: ModelSet) -> list[str]:
    """The folder; or its files of the set, if it holds links or anything else, which a container would see too and refuse."""
    files = dict.fromkeys(file.path for file in models.files if file.path.startswith(f"{folder}/"))
    for base, folders, names in os.walk(root / folder):
        for place in (Path(base, name) for name in (*folders, *names)):
            is_own = place.is_dir() or place.relative_to(root).as_posix() in files
            if place.is_symlink() or not is_own:
                return list(files)
    return [folder]


def _mount(source: Path, path: str) -> Mount:
    return Mount(source=str(source.resolve()), target=f"{contract.DEFAULT_MODEL_ROOT}/{path}")


def _mode(root: Path, file: ModelFile) -> str:
    try:
        return f"{(root / file.path).stat().st_mode & 0o7777:04o}"
    except FileNotFoundError:  # which the container tells
        return file.mode
