"""From a name and the mounted model set to the models of a job: the name chooses the detector, what is mounted everything else.

Beside the names here, a package may bring one: an entry point in the group `analyzer.backends` whose object is called as the functions in
`_BUILT_IN` are, and gives `Backends`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points

from analyzer.backends.base import Backends, Detector, Embedder
from analyzer.backends.mounted import Mounted
from analyzer.contract import ModelSettings, Role
from analyzer.errors import AnalyzerError, Mismatch, RequestInvalid
from analyzer.licences import require_licences
from analyzer.manifest import ModelSet

GROUP = "analyzer.backends"

Backend = Callable[[ModelSet, ModelSettings], Backends]


def choose_backends(name: str, model_set: ModelSet, settings: ModelSettings) -> Backends:
    """Load the models of a job.

    Raises: RequestInvalid, for a name that nobody brings, or a detector's model that the backend does not use; Mismatch, for a file that
    was asked for but is absent, that the set's marker does not cover, that is not what it should be, or that the licence policy does not
    allow; for a device that networks would not run on.
    """
    require_licences(model_set, settings.licence_policy)
    return _backend(name)(model_set, settings)


def choose_embedder(model_set: ModelSet, settings: ModelSettings) -> Embedder:
    """Load what the built-in backends make vectors with, and nothing else. Raises: Mismatch, as `choose_backends`."""
    require_licences(model_set, settings.licence_policy)
    mounted = Mounted(model_set, settings)
    embedder = mounted.embedder()
    mounted.require_device_used()
    return embedder


def _backend(name: str) -> Backend:
    if name in _BUILT_IN:
        return _BUILT_IN[name]
    brought = {each.name: each for each in entry_points(group=GROUP)}
    if name not in brought:
        names = ", ".join([*_BUILT_IN, *sorted(brought)])
        raise RequestInvalid("backend-unknown", f"Backend `{name}` is not one of {names}")
    return _brought(brought[name])


def _brought(entry: EntryPoint) -> Backend:
    def load(model_set: ModelSet, settings: ModelSettings) -> Backends:
        try:
            found = entry.load()(model_set, settings)
        except AnalyzerError:
            raise
        # Anything may be wrong with the code of others.
        except Exception as error:
            raise _unloadable(entry, f"{type(error).__name__}: {error}") from error
        if not isinstance(found, Backends):
            raise _unloadable(entry, f"it gives {type(found).__name__}, expected Backends")
        return found

    return load


def _unloadable(entry: EntryPoint, reason: str) -> Mismatch:
    return Mismatch(
        "backend-unloadable",
        f"Backend `{entry.name}` ({entry.value}) does not load: {reason}",
        hint="Mend the package that brings it, or choose another backend",
    )


def _opencv(_: Mounted) -> Detector:
    from analyzer.backends.opencv import OpenCvDetector

    return OpenCvDetector()


def _null(_: Mounted) -> Detector:
    from analyzer.backends.null import NullDetector

    return NullDetector()


def _with_mounted(detector: Callable[[Mounted], Detector]) -> Backend:
    def load(model_set: ModelSet, settings: ModelSettings) -> Backends:
        if Role.DETECTOR in settings.paths and detector is not Mounted.detector:
            raise RequestInvalid(
                "detector-not-used",
                f"`{settings.paths[Role.DETECTOR]}` is named as the detector's model, but this backend has a detector without one",
                hint="Choose the backend `onnx`, or name no model of the detector",
            )
        mounted = Mounted(model_set, settings)
        captioner, embedder = mounted.captioner_and_embedder()
        backends = Backends(
            detector=detector(mounted),
            attributes=mounted.attributes(),
            orientation=mounted.orientation(),
            captioner=captioner,
            embedder=embedder,
        )
        mounted.require_device_used()
        return backends

    return load


_BUILT_IN: Mapping[str, Backend] = {
    "opencv": _with_mounted(_opencv),
    "onnx": _with_mounted(Mounted.detector),
    "null": _with_mounted(_null),
}
