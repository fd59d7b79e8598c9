"""Age and gender by the two dlib networks in ONNX form.

Source: dlib's `dnn_age_train_v1` and `dnn_gender_train_v1`: RGB, minus the channel means, divided by 256.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from analyzer.backends.base import RANGE_OF_ERROR, Attributes, PersonCrop, Pixels
from analyzer.backends.eyes import EyeAligner
from analyzer.backends.onnx.session import Network, require_finite
from analyzer.backends.onnx.signature import require_signature

AGE_SIDE_PX = 64
GENDER_SIDE_PX = 32
AGE_CLASSES = 81
GENDER_CLASSES = 2
FEMALE = 0
MEANS_RGB = np.array([122.781998, 117.000999, 104.297997], np.float32)
SCALE = np.float32(256)
# Class 0 is "below one year", so it weighs a quarter of a year.
YEARS = np.concatenate([[0.25], np.arange(1, AGE_CLASSES)])
# The network is surer of itself than it may be: by so many years, in the mean, its age of one portrait changes with scale and angle.
DEVIATION_YEARS = 3.8


class DlibAttributes:
    """Raises: Mismatch, naming the file, when one has another shape."""

    def __init__(self, age: Network, gender: Network, files: Mapping[str, object]) -> None:
        for network, side_px, classes in ((age, AGE_SIDE_PX, AGE_CLASSES), (gender, GENDER_SIDE_PX, GENDER_CLASSES)):
            require_signature(network, inputs=[(None, 3, side_px, side_px)], outputs=[(None, classes)])
            network.warm_up((3, side_px, side_px))
        self._age, self._gender, self._files = age, gender, files
        self._aligner = EyeAligner()

    @property
    def description(self) -> Mapping[str, object]:
        return {"name": "dlib", **self._files}

    def predict(self, people: Sequence[PersonCrop]) -> Attributes:
        """Estimate by the face alone; NaN for people without one. Raises: Mismatch, when a network itself gives it."""
        seen = [index for index, person in enumerate(people) if person.face is not None]
        chips = [self._aligner.chip(person.face) for person in people if person.face is not None]
        told = np.full((4, len(people)), np.nan)
        if chips:
            told[:, seen] = self._estimate(chips)
        return Attributes(age=told[0], age_low=told[1], age_high=told[2], female=told[3])

    def _estimate(self, chips: Sequence[Pixels]) -> NDArray[np.float64]:
        ages = self._run(self._age, chips, AGE_SIDE_PX)
        genders = self._run(self._gender, chips, GENDER_SIDE_PX)
        below = np.cumsum(ages, axis=1)
        low = YEARS[np.argmax(below >= 0.1, axis=1)]
        # The last class catches rounding: the probabilities may add up to a little less than one.
        high = YEARS[np.where(below[:, -1] >= 0.9, np.argmax(below >= 0.9, axis=1), AGE_CLASSES - 1)]
        age = ages @ YEARS
        around = RANGE_OF_ERROR * DEVIATION_YEARS
        low, high = np.minimum(low, np.maximum(0, age - around)), np.maximum(high, age + around)
        return np.stack([age, low, high, genders[:, FEMALE]])

    @staticmethod
    def _run(network: Network, chips: Sequence[Pixels], side_px: int) -> NDArray[np.float64]:
        found = network.run_rows(np.stack([normalise(chip, side_px) for chip in chips]))[0]
        return require_finite(network, found).astype(np.float64)


def normalise(face: Pixels, side_px: int) -> NDArray[np.float32]:
    """Turn a BGR crop into float32 (3, side_px, side_px) RGB as the networks were trained on."""
    method = cv2.INTER_AREA if min(face.shape[:2]) > side_px else cv2.INTER_LINEAR
    square = cv2.resize(face, (side_px, side_px), interpolation=method)
    rgb = square[:, :, ::-1].astype(np.float32)
    return np.ascontiguousarray(((rgb - MEANS_RGB) / SCALE).transpose(2, 0, 1))
