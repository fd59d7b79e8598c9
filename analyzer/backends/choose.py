"""Choose detector and attribute model by name and by what the model set holds."""

from __future__ import annotations

from pathlib import Path

from analyzer.backends.base import AttributeModel, Detector
from analyzer.errors import Mismatch, RequestInvalid
from analyzer.manifest import ModelFile, ModelSet

DETECTORS = ("opencv", "null")
AGE_MODEL = "models/age-v1.onnx"
GENDER_MODEL = "models/gender-v1.onnx"


def choose_detector(name: str) -> Detector:
    """Raises: RequestInvalid, for a name outside `DETECTORS`."""
    if name == "opencv":
        from analyzer.backends.opencv import OpenCvDetector

        return OpenCvDetector()
    if name == "null":
        from analyzer.backends.null import NullDetector

        return NullDetector()
    raise RequestInvalid("backend-unknown", f"Backend `{name}` is not one of {', '.join(DETECTORS)}")


def choose_attributes(model_set: ModelSet, *, age: Path | None, gender: Path | None) -> AttributeModel | None:
    """The dlib networks when both are in the checked set, None when neither is there.

    Raises: Mismatch, for a path that was asked for but is absent, one network without the other, or a file that the
    set's marker does not cover.
    """
    paths = {"age": age or model_set.root / AGE_MODEL, "gender": gender or model_set.root / GENDER_MODEL}
    present = {kind: path for kind, path in paths.items() if path.is_file()}
    for kind, asked in (("age", age), ("gender", gender)):
        if kind not in present and (asked is not None or present):
            raise Mismatch(
                "model-missing",
                f"The {kind} network `{paths[kind]}` does not exist",
                hint="Mount the model set that holds both networks, or none of them",
            )
    if not present:
        return None
    from analyzer.backends.dlib import DlibAttributes

    age_file, gender_file = (_checked(model_set, kind, paths[kind]) for kind in ("age", "gender"))
    return DlibAttributes(paths["age"], paths["gender"], age_file=age_file, gender_file=gender_file)


def _checked(model_set: ModelSet, kind: str, path: Path) -> ModelFile:
    found = model_set.find(path)
    if found is None:
        raise Mismatch(
            "model-unchecked",
            f"The {kind} network `{path}` is not a file of the checked model set below `{model_set.root}`",
            hint="Add it to `models.lock.yaml` and bake, so that its digest is known",
        )
    return found
