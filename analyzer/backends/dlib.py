"""Age and gender by the two dlib networks in ONNX form, on the CPU through ONNX Runtime.

Source: dlib's `dnn_age_train_v1` and `dnn_gender_train_v1`: RGB, minus the channel means, divided by 256.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from analyzer.backends.base import Attributes, PersonCrop, Pixels
from analyzer.backends.runtime import onnxruntime
from analyzer.errors import Mismatch
from analyzer.manifest import ModelFile

AGE_SIDE_PX = 64
GENDER_SIDE_PX = 32
AGE_CLASSES = 81
GENDER_CLASSES = 2
FEMALE = 0
MEANS_RGB = np.array([122.781998, 117.000999, 104.297997], np.float32)
SCALE = np.float32(256)
# Class 0 is "below one year", so it weighs a quarter of a year.
YEARS = np.concatenate([[0.25], np.arange(1, AGE_CLASSES)])
PROVIDER = "CPUExecutionProvider"
THREADS_MAX = 4


class DlibAttributes:
    """Both networks, loaded once. Raises: Mismatch, naming the file, when one does not load or has another shape."""

    def __init__(self, age: Path, gender: Path, *, age_file: ModelFile, gender_file: ModelFile) -> None:
        self._age = _load(age, AGE_SIDE_PX, AGE_CLASSES)
        self._gender = _load(gender, GENDER_SIDE_PX, GENDER_CLASSES)
        self._files = {"age": age_file.entry, "gender": gender_file.entry}

    @property
    def description(self) -> Mapping[str, object]:
        return {
            "name": "dlib",
            "runtime": f"onnxruntime {onnxruntime.__version__}",
            "provider": PROVIDER,
            **self._files,
        }

    def predict(self, people: Sequence[PersonCrop]) -> Attributes:
        """Estimate by the face alone; NaN for people without one."""
        seen = [index for index, person in enumerate(people) if person.face is not None]
        faces = [person.face for person in people if person.face is not None]
        told = np.full((4, len(people)), np.nan)
        if faces:
            told[:, seen] = self._estimate(faces)
        return Attributes(age=told[0], age_low=told[1], age_high=told[2], female=told[3])

    def _estimate(self, faces: Sequence[Pixels]) -> NDArray[np.float64]:
        ages = self._run(self._age, faces, AGE_SIDE_PX)
        genders = self._run(self._gender, faces, GENDER_SIDE_PX)
        below = np.cumsum(ages, axis=1)
        low = YEARS[np.argmax(below >= 0.1, axis=1)]
        # The last class catches rounding: the probabilities may add up to a little less than one.
        high = YEARS[np.where(below[:, -1] >= 0.9, np.argmax(below >= 0.9, axis=1), AGE_CLASSES - 1)]
        return np.stack([ages @ YEARS, low, high, genders[:, FEMALE]])

    @staticmethod
    def _run(session: onnxruntime.InferenceSession, faces: Sequence[Pixels], side_px: int) -> NDArray[np.float64]:
        batch = np.stack([normalise(face, side_px) for face in faces])
        name = session.get_inputs()[0].name
        probabilities: NDArray[np.float64] = session.run(None, {name: batch})[0].astype(np.float64)
        return probabilities


def normalise(face: Pixels, side_px: int) -> NDArray[np.float32]:
    """Turn a BGR crop into float32 (3, side_px, side_px) RGB as the networks were trained on."""
    method = cv2.INTER_AREA if min(face.shape[:2]) > side_px else cv2.INTER_LINEAR
    square = cv2.resize(face, (side_px, side_px), interpolation=method)
    rgb = square[:, :, ::-1].astype(np.float32)
    return np.ascontiguousarray(((rgb - MEANS_RGB) / SCALE).transpose(2, 0, 1))


def _load(path: Path, side_px: int, classes: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # These networks take a few milliseconds; on a large machine more threads cost more than they gain.
    options.intra_op_num_threads = min(THREADS_MAX, len(os.sched_getaffinity(0)))
    hint = "Put the network that the job asks for into the model set and bake again"
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=[PROVIDER])
    # ONNX Runtime's own exception classes share no base below Exception.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise Mismatch("model-unloadable", f"`{path}` does not load: {reason}", hint=hint) from error
    inputs, outputs = session.get_inputs(), session.get_outputs()
    shapes = [list(each.shape[1:]) for each in (*inputs, *outputs)]
    if shapes != [[3, side_px, side_px], [classes]]:
        wanted = f"one input (n, 3, {side_px}, {side_px}) and one output (n, {classes})"
        raise Mismatch("model-signature", f"`{path}` has the shapes {shapes}, expected {wanted}", hint=hint)
    return session
