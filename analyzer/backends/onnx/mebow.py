"""The direction that a body faces, by MeBOW: probabilities of 72 sectors of 5 degrees.

Input (n, 3, 256, 192), ImageNet's normalisation; output `hoe` (n, 72), softmax inside. The network was trained on a window around the
person: made 3 to 4, then a quarter larger. Here the crop ends at the person, and the window is black around it, as it is at a picture's
edge. Source: Wu et al., CVPR 2020, and the published configuration of the HRNet-W32 model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from analyzer.backends.base import SECTORS, Pixels
from analyzer.backends.onnx.letterbox import imagenet_planes
from analyzer.backends.onnx.loading import UNLOADABLE_HINT
from analyzer.backends.onnx.session import Network
from analyzer.backends.onnx.signature import require_signature
from analyzer.errors import Mismatch

WIDTH_PX, HEIGHT_PX = 192, 256
AROUND = 1.25
OUTPUT = "hoe"


class MebowOrientation:
    """Raises: Mismatch, for a network of another shape."""

    def __init__(self, network: Network, files: Mapping[str, object]) -> None:
        if OUTPUT not in network.outputs:
            raise Mismatch(
                "model-signature",
                f"`{network.path}` has the outputs {', '.join(network.outputs)}, expected `{OUTPUT}` among them",
                hint=UNLOADABLE_HINT,
            )
        self._output = list(network.outputs).index(OUTPUT)
        others: list[tuple[int | None, ...]] = [(None,) * len(each.shape) for each in network.outputs.values()]
        others[self._output] = (None, SECTORS)
        require_signature(network, inputs=[(None, 3, HEIGHT_PX, WIDTH_PX)], outputs=others)
        self._network, self._files = network, files
        network.warm_up((3, HEIGHT_PX, WIDTH_PX))

    @property
    def description(self) -> Mapping[str, object]:
        return {"name": "mebow", **self._files}

    def predict(self, bodies: Sequence[Pixels]) -> NDArray[np.float32]:
        """Raises: Mismatch, when the network gives something else than probabilities."""
        if not bodies:
            return np.zeros((0, SECTORS), np.float32)
        told = np.asarray(
            self._network.run_rows(imagenet_planes([window(each) for each in bodies]))[self._output], np.float32
        )
        if not (np.all(told >= 0) and np.allclose(told.sum(axis=1), 1, atol=1e-2)):
            raise Mismatch(
                "model-output",
                f"`{self._network.path}` gives `{OUTPUT}` that does not add up to one, expected the softmax inside",
                hint="Export the model's own forward pass, which ends in the softmax",
            )
        return told


def window(body: Pixels) -> Pixels:
    """The 192x256 window around a person that fills `body`."""
    height, width = body.shape[:2]
    scale = WIDTH_PX / (AROUND * max(width, height * WIDTH_PX / HEIGHT_PX))
    turn = np.array(
        [[scale, 0, WIDTH_PX / 2 - scale * width / 2], [0, scale, HEIGHT_PX / 2 - scale * height / 2]], np.float64
    )
    placed: Pixels = cv2.warpAffine(body, turn, (WIDTH_PX, HEIGHT_PX), flags=cv2.INTER_LINEAR)
    return placed
