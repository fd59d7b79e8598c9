"""One ONNX file as a network: loaded on the provider that was asked for, or not at all, and run in a few fixed batch sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from analyzer.backends.onnx.loading import (
    UNLOADABLE_HINT,
    first_line,
    is_of_memory,
    load_session,
    out_of_memory,
    require_onnx,
    shrinking,
)
from analyzer.backends.onnx.provider import CPU, Provider
from analyzer.backends.onnx.signature import tensor_of
from analyzer.backends.onnx.spare import GivenUp, Spare
from analyzer.backends.onnx.turns import Turns, Urgency
from analyzer.backends.runtime import onnxruntime
from analyzer.errors import DependencyDown, Mismatch, OutOfMemory

# Each shape that a GPU has not seen costs a search for the fastest kernels, so there are few.
BUCKETS = (1, 2, 4, 8, 16)
# The most rows that ever reach a network at once: frames of a batch, crops of a segment, one picture of a scene.
ROWS_MAX = {Urgency.DETECT: 8, Urgency.ATTRIBUTES: 16, Urgency.CAPTION: 1}

_Made = TypeVar("_Made")


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What all networks of a process share: the provider, whose turn on it is next, and which of them can be spared."""

    provider: Provider = field(default_factory=lambda: Provider(name=CPU))
    turns: Turns = field(default_factory=Turns)
    spare: Spare = field(default_factory=Spare)

    def open(self, path: Path, urgency: Urgency, *, can_be_spared: bool = False) -> Network:
        """Load a file.

        Raises: Mismatch, naming it, when it is no ONNX file, does not load, or runs elsewhere than was asked for; OutOfMemory, when it
        does not fit, even beside nothing but what cannot be spared.
        """
        require_onnx(path)
        if not can_be_spared:
            return self.sparing(lambda: Network(path, self, urgency))
        network = Network(path, self, urgency, can_be_spared=True)
        self.spare.add(network.close)
        return network

    def sparing(self, work: Callable[[], _Made]) -> _Made:
        """What `work` gives; where memory lacks for it, once more without the networks that can be spared. Raises: OutOfMemory."""
        was_there = self.spare.is_there
        try:
            return work()
        except OutOfMemory:
            if not was_there:
                raise
        self.spare.give_up()
        return work()

    @property
    def description(self) -> dict[str, str]:
        """For the result document: runtime and provider."""
        return {"runtime": f"onnxruntime {onnxruntime.__version__}", "provider": self.provider.name}


class Network:
    """A loaded file; runs may come from several threads at once and take turns.

    Every run of one that can be spared raises GivenUp once it is.
    """

    def __init__(self, path: Path, engine: Engine, urgency: Urgency, *, can_be_spared: bool = False) -> None:
        self.path = path
        self._engine, self._urgency, self._provider = engine, urgency, engine.provider
        self._can_be_spared = can_be_spared
        self._session: Any = load_session(path, engine.provider, urgency)
        self.inputs = {each.name: tensor_of(path, each) for each in self._session.get_inputs()}
        self.outputs = {each.name: tensor_of(path, each) for each in self._session.get_outputs()}
        self.metadata: Mapping[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        batch = next(iter(self.inputs.values())).shape[:1]
        # An export with a fixed batch runs in that one alone.
        self._buckets: tuple[int, ...] = (batch[0],) if batch and batch[0] else BUCKETS
        self._run_options: Any = None

    @property
    def device(self) -> str:
        """Where outputs may stay between runs, in the words of `bind_output`."""
        # Only what is built in can be named there.
        return "cuda" if self._provider.is_cuda and not self._provider.devices else "cpu"

    @property
    def buckets(self) -> tuple[int, ...]:
        """Batch sizes that this network is run with; fewer after it ran out of memory."""
        return self._buckets

    def close(self) -> None:
        """Give back its memory; nothing runs any more."""
        self._session = None

    def warm_up(self, shape: tuple[int, ...]) -> None:
        """On a GPU, run each bucket that will be used once, on rows of `shape` that hold zeros; what there is no memory for is cut off.

        The first run of a shape takes seconds there, and on a CPU no longer than any other.
        """
        if not self._provider.is_cuda:
            return
        (only,) = self.inputs.values()
        # The largest first: what it takes is enough for the others.
        for size in sorted(self._buckets, reverse=True):
            if size <= max(ROWS_MAX[self._urgency], self._buckets[0]):
                self.run_rows(np.zeros((size, *shape), only.dtype))

    def run_rows(self, rows: NDArray[Any]) -> list[NDArray[Any]]:
        """Run a network with one input on (n, …), n at least 1, in buckets that zeros fill up; its outputs, n rows each.

        Raises: OutOfMemory, when even the smallest bucket needs more memory than there is.
        """
        (only,) = self.inputs
        parts: list[list[NDArray[Any]]] = []
        done = 0
        while done < len(rows):
            buckets = self._buckets
            size = next((each for each in buckets if each >= len(rows) - done), buckets[-1])
            chunk = rows[done : done + size]
            padded = np.concatenate([chunk, np.zeros((size - len(chunk), *rows.shape[1:]), rows.dtype)])
            smaller = tuple(each for each in buckets if each < size)
            try:
                # What runs in smaller batches costs less than what is spared.
                found = self._run({only: padded}) if smaller else self.run({only: padded})
            except OutOfMemory:
                if not smaller:
                    raise
                self._buckets, self._run_options = smaller, shrinking(self._provider)
                continue
            parts.append([each[: len(chunk)] for each in found])
            done += len(chunk)
        return [np.concatenate(each) for each in zip(*parts, strict=True)]

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Run once, the shapes as they are; half-precision outputs come back as float32.

        Raises: OutOfMemory, when there is too little memory even without the networks that can be spared.
        """
        return self._engine.sparing(lambda: self._run(feeds))

    def _run(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        ready = {name: _as(array, self.inputs[name].dtype) for name, array in feeds.items()}
        found = self._guard(lambda: self._session.run(None, ready, self._run_options))
        return [_as(each, np.float32) if each.dtype == np.float16 else each for each in found]

    def binding(self) -> Any:
        """An `onnxruntime.IOBinding`: inputs and outputs that stay on the device between runs, for `run_bound`."""
        self._require_there()
        return self._session.io_binding()

    def run_bound(self, binding: Any) -> None:
        """Run once on what `binding` holds. Raises: OutOfMemory, as `run` does."""
        self._engine.sparing(lambda: self._guard(lambda: self._session.run_with_iobinding(binding)))

    def _guard(self, run: Callable[[], Any]) -> Any:
        """Take a turn, and give what goes wrong its type."""
        try:
            with self._engine.turns.take(self._urgency):
                self._require_there()
                return run()
        except GivenUp:
            raise
        # ONNX Runtime's own exception classes share no base below Exception.
        except Exception as error:
            raise self._failure(error) from error

    def _require_there(self) -> None:
        if self._can_be_spared:
            self._engine.spare.require()

    def _failure(self, error: Exception) -> Exception:
        reason = first_line(error)
        if is_of_memory(error):
            return out_of_memory(self.path, self._provider, error)
        if self._provider.is_cuda:
            return DependencyDown("device-failed", f"`{self.path}` failed on {self._provider.name}: {reason}")
        return Mismatch("model-failed", f"`{self.path}` failed: {reason}", hint=UNLOADABLE_HINT)


def require_finite(network: Network, values: NDArray[Any]) -> NDArray[Any]:
    """`values`, which came out of `network`. Raises: Mismatch, when one is infinite or no number: they would pass for "nobody there"."""
    if not np.isfinite(values).all():
        count = int(values.size - np.isfinite(values).sum())
        raise Mismatch(
            "model-output",
            f"`{network.path}` gives {count} values of {values.size} that are infinite or no numbers",
            hint="Half precision may overflow: export it in single precision, or leave the layers that overflow in that",
        )
    return values


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Probabilities along the last axis."""
    powers = np.exp(np.asarray(logits, np.float64) - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float64)


def _as(array: NDArray[Any], dtype: type[np.generic]) -> NDArray[Any]:
    return np.ascontiguousarray(array, dtype)
