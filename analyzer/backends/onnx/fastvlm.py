"""Captions and picture embeddings by FastVLM, or by any model of its layout: a picture's features take the place of one token.

The picture is made square with black, so that none of it is lost, and scaled to the side that the configuration names. Its features replace
the one image token of the prompt. Source: the published configuration and conversation template of the model (arXiv 2412.13303).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from analyzer.backends.base import Caption, Pixels
from analyzer.backends.onnx.generation import Decoder
from analyzer.backends.onnx.letterbox import planes
from analyzer.backends.onnx.session import Network, require_finite
from analyzer.backends.onnx.signature import require_signature
from analyzer.backends.onnx.spare import GivenUp, Spare
from analyzer.backends.onnx.vlm_files import VlmConfig
from analyzer.errors import Mismatch, RequestInvalid

SYSTEM = "You are a helpful assistant."
BEFORE = f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n"
AFTER = "\n{prompt}<|im_end|>\n<|im_start|>assistant\n"


class Tokenizer(Protocol):
    def encode(self, text: str) -> list[int]:
        """Tokens of a text, special ones where it spells them, none added."""

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens, without special ones."""


class TokenizerFile:
    """A `tokenizer.json`. Raises: Mismatch, when it is unreadable or the package that reads it is not installed."""

    def __init__(self, path: Path) -> None:
        try:
            import tokenizers
        except ImportError as error:
            raise Mismatch(
                "tokenizer-missing",
                f"`{path}` needs the package `tokenizers`, which is not installed",
                hint="Add `requirements/analyzer-caption.in` to the image's requirements, or leave the captioner out of the model set",
            ) from error
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
        # The package raises plain `Exception`.
        except Exception as error:
            raise Mismatch("model-config", f"`{path}` is no tokenizer: {error}") from error

    def encode(self, text: str) -> list[int]:
        tokens: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return tokens

    def decode(self, tokens: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(list(tokens), skip_special_tokens=True)
        return text


class VisionTower:
    """The picture's part: features (tokens, hidden). Raises: Mismatch, when the network is not of the configuration's sizes."""

    def __init__(self, network: Network, config: VlmConfig) -> None:
        side = config.image_side_px
        require_signature(network, inputs=[(None, 3, side, side)], outputs=[(None, None, config.hidden_size)])
        self._network, self._config = network, config
        network.warm_up((3, side, side))

    @property
    def hidden_size(self) -> int:
        return self._config.hidden_size

    def features(self, picture: Pixels) -> NDArray[np.float32]:
        """(tokens, hidden). Raises: Mismatch, when the network gives what is no number."""
        mean, std = (
            np.array(each, np.float32).reshape(1, 3, 1, 1) for each in (self._config.image_mean, self._config.image_std)
        )
        (name,) = self._network.inputs
        ready = (planes([square(picture, self._config.image_side_px)]) - mean) / std
        return require_finite(self._network, np.asarray(self._network.run({name: ready})[0][0], np.float32))


class FastVlmCaptioner:
    def __init__(
        self,
        tower: VisionTower,
        decoder: Decoder,
        tokenizer: Tokenizer,
        config: VlmConfig,
        files: Mapping[str, object],
        *,
        spare: Spare,
    ) -> None:
        self._tower, self._decoder, self._tokenizer, self._config = tower, decoder, tokenizer, config
        self._files, self._spare = files, spare

    @property
    def description(self) -> Mapping[str, object]:
        return {"name": "fastvlm", **self._files}

    def caption(self, picture: Pixels, *, prompt: str, max_tokens: int, is_over: Callable[[], bool]) -> Caption | None:
        """Raises: RequestInvalid, for a prompt that spells the token of a picture."""
        try:
            with self._spare.in_use():
                return self._caption(picture, prompt, max_tokens, is_over)
        except GivenUp:
            return None

    def _caption(self, picture: Pixels, prompt: str, max_tokens: int, is_over: Callable[[], bool]) -> Caption:
        before, after = self._tokenizer.encode(BEFORE), self._tokenizer.encode(AFTER.format(prompt=prompt))
        if self._config.image_token in (*before, *after):
            raise RequestInvalid(
                "prompt-invalid", f"The prompt `{prompt[:80]}` spells the image token", hint="Leave it out"
            )
        if is_over():
            return Caption(text="", tokens=0, finished=False)
        embedded = self._decoder.embed([*before, self._config.image_token, *after])
        features = self._tower.features(picture)[None]
        at = len(before)
        whole = np.concatenate([embedded[:, :at], features, embedded[:, at + 1 :]], axis=1)
        found = self._decoder.generate(whole, max_tokens=max_tokens, is_over=is_over)
        # A limit may cut a letter of several bytes in two.
        text = self._tokenizer.decode(found.tokens).rstrip("\ufffd").strip()
        return Caption(text=text, tokens=len(found.tokens), finished=found.finished)


class FastVlmEmbedder:
    """The mean of a picture's features, which tells what a scene looks like; made for pictures, not for searching by words."""

    def __init__(self, tower: VisionTower, files: Mapping[str, object]) -> None:
        self._tower, self._files = tower, files

    @property
    def description(self) -> Mapping[str, object]:
        return {"name": "fastvlm", "space": self.space, "dimension": self.dimension, **self._files}

    @property
    def space(self) -> str:
        return f"fastvlm_mean_{self.dimension}"

    @property
    def dimension(self) -> int:
        return self._tower.hidden_size

    def embed(self, pictures: Sequence[Pixels]) -> NDArray[np.float32]:
        vectors = np.zeros((len(pictures), self.dimension), np.float32)
        for index, picture in enumerate(pictures):
            mean = self._tower.features(picture).mean(axis=0, dtype=np.float64)
            vectors[index] = mean / max(float(np.linalg.norm(mean)), 1e-12)
        return vectors


def square(picture: Pixels, side_px: int) -> Pixels:
    """The whole picture in the middle of a black square of `side_px`."""
    longest = max(picture.shape[:2])
    top, left = (longest - picture.shape[0]) // 2, (longest - picture.shape[1]) // 2
    whole = np.zeros((longest, longest, 3), np.uint8)
    whole[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    # The model was trained on bicubic pictures that were smoothed when they were reduced; OpenCV's bicubic does not smooth.
    method = cv2.INTER_AREA if longest > side_px else cv2.INTER_CUBIC
    scaled: Pixels = cv2.resize(whole, (side_px, side_px), interpolation=method)
    return scaled
