"""Greedy generation by a decoder that keeps keys and values of what it has read."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzer.backends.onnx.loading import UNLOADABLE_HINT
from analyzer.backends.onnx.session import Network, require_finite
from analyzer.backends.onnx.signature import fits
from analyzer.backends.onnx.vlm_files import VlmConfig
from analyzer.errors import Mismatch

_EMBEDDINGS, _MASK, _POSITIONS, _LOGITS = "inputs_embeds", "attention_mask", "position_ids", "logits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """Tokens without the one that ended them; `finished` is False when a limit did."""

    tokens: tuple[int, ...]
    finished: bool


class Decoder:
    """`embed_tokens` and `decoder_model_merged`. Raises: Mismatch, when they are not of the configuration's sizes."""

    def __init__(self, embed: Network, decoder: Network, config: VlmConfig) -> None:
        self._embed, self._decoder, self._config = embed, decoder, config
        kinds = [(layer, kind) for layer in range(config.layers) for kind in ("key", "value")]
        self._past = [f"past_key_values.{layer}.{kind}" for layer, kind in kinds]
        self._present = [f"present.{layer}.{kind}" for layer, kind in kinds]
        cache = (None, config.cache_heads, None, config.head_size)
        _require(embed, {"input_ids": (None, None)}, {"inputs_embeds": (None, None, config.hidden_size)})
        _require(
            decoder,
            {_EMBEDDINGS: (None, None, config.hidden_size), _MASK: (None, None), **dict.fromkeys(self._past, cache)},
            {_LOGITS: (None, None, config.vocabulary), **dict.fromkeys(self._present, cache)},
            optional={_POSITIONS},
        )

    def embed(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        """(1, tokens, hidden)"""
        (found,) = self._embed.run({"input_ids": np.array([tokens], np.int64)})
        return np.asarray(found, np.float32)

    def generate(self, prompt: NDArray[np.float32], *, max_tokens: int, is_over: Callable[[], bool]) -> Generated:
        """Go on behind `prompt` (1, n, hidden), always with the likeliest token, until an end token, `max_tokens` or `is_over`.

        Raises: Mismatch, when the decoder gives what is no number.
        """
        tokens: list[int] = []
        states: list[Any] | None = None
        embeddings, read = prompt, 0
        while len(tokens) < max_tokens and not is_over():
            if tokens:
                embeddings = self.embed(tokens[-1:])
            logits, states = self._step(embeddings, read, states)
            read += embeddings.shape[1]
            token = int(np.argmax(logits))
            if token in self._config.end_tokens:
                return Generated(tokens=tuple(tokens), finished=True)
            tokens.append(token)
        return Generated(tokens=tuple(tokens), finished=False)

    def _step(
        self, embeddings: NDArray[np.float32], read: int, states: list[Any] | None
    ) -> tuple[NDArray[Any], list[Any]]:
        """Read `embeddings` behind `read` earlier ones: the logits behind the last, and the states with all of them.

        The states stay where the decoder runs: on a GPU, copying them out and in would cost more than a step.
        """
        network, count = self._decoder, embeddings.shape[1]
        binding = network.binding()
        inputs = {
            _EMBEDDINGS: embeddings,
            _MASK: np.ones((1, read + count)),
            _POSITIONS: np.arange(read, read + count)[None],
        }
        for name in inputs.keys() & network.inputs.keys():
            binding.bind_cpu_input(name, np.ascontiguousarray(inputs[name], network.inputs[name].dtype))
        for index, name in enumerate(self._past):
            if states is None:
                shape = (1, self._config.cache_heads, 0, self._config.head_size)
                binding.bind_cpu_input(name, np.zeros(shape, network.inputs[name].dtype))
            else:
                binding.bind_ortvalue_input(name, states[index])
        binding.bind_output(_LOGITS)
        for name in self._present:
            binding.bind_output(name, network.device)
        network.run_bound(binding)
        logits, *present = binding.get_outputs()
        return require_finite(network, logits.numpy()[0, -1]), present


def _require(
    network: Network,
    inputs: dict[str, tuple[int | None, ...]],
    outputs: dict[str, tuple[int | None, ...]],
    *,
    optional: Set[str] = frozenset(),
) -> None:
    for kind, wanted, found in (("input", inputs, network.inputs), ("output", outputs, network.outputs)):
        for name, pattern in wanted.items():
            shape = found[name].shape if name in found else None
            if shape is None or not fits(shape, pattern):
                said = "no" if shape is None else f"the shape {shape} for the"
                raise Mismatch(
                    "model-signature",
                    f"`{network.path}` has {said} {kind} `{name}`, expected the shape {pattern}",
                    hint=UNLOADABLE_HINT,
                )
    if unknown := sorted(network.inputs.keys() - inputs.keys() - optional):
        raise Mismatch(
            "model-signature",
            f"`{network.path}` has the input `{unknown[0]}`, which its configuration does not explain",
            hint=UNLOADABLE_HINT,
        )
