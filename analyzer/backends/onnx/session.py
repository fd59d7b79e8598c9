"""One ONNX file as a network: loaded on the provider that was asked for, or not at all, and run in a few fixed batch sizes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzer.backends.onnx.provider import CPU, Provider
from analyzer.backends.onnx.turns import Turns, Urgency
from analyzer.backends.runtime import onnxruntime
from analyzer.errors import DependencyDown, Mismatch, OutOfMemory

# Each shape that a GPU has not seen costs a search for the fastest kernels, so there are few.
BUCKETS = (1, 2, 4, 8, 16)
# What is small loses more by many threads than it gains; detector and captioner are large.
THREADS_MAX = {Urgency.ATTRIBUTES: 4}
UNLOADABLE_HINT = "Put the network that the job asks for into the model set and bake again"

_MIB = 1 << 20
# What the arena of each network may hold on a GPU. With one detector, two networks for attributes and orientation, and the three of a
# captioner, that is 14.5 GiB, which the smallest GPU that AWS lends for this has.
MEMORY_BYTES = {Urgency.DETECT: 4096 * _MIB, Urgency.ATTRIBUTES: 1536 * _MIB, Urgency.CAPTION: 2560 * _MIB}

_PICKLES = frozenset({".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin", ".tar"})
_MEMORY_TEXTS = ("failed to allocate memory", "out of memory", "_alloc_failed", "bfcarena")
# What the runtime says when a device or its libraries, and not the file, keep a network from loading.
_DEVICE_TEXTS = ("cuda", "cudnn", "cublas", "provider")
_DTYPES: Mapping[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """An input or output: `shape` has a number where the export fixed it, None where it may vary."""

    name: str
    shape: tuple[int | None, ...]
    dtype: type[np.generic]


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What all networks of a process share: the provider, and whose turn on it is next."""

    provider: Provider = field(default_factory=lambda: Provider(name=CPU))
    turns: Turns = field(default_factory=Turns)

    def open(self, path: Path, urgency: Urgency) -> Network:
        """Load a file. Raises: Mismatch, naming it, when it is no ONNX file, does not load, or runs elsewhere than was asked for."""
        require_onnx(path)
        return Network(path, self, urgency)

    @property
    def description(self) -> dict[str, str]:
        """For the result document: runtime and provider."""
        return {"runtime": f"onnxruntime {onnxruntime.__version__}", "provider": self.provider.name}


class Network:
    """A loaded file; runs may come from several threads at once and take turns."""

    def __init__(self, path: Path, engine: Engine, urgency: Urgency) -> None:
        self.path = path
        self._turns, self._urgency, self._provider = engine.turns, urgency, engine.provider
        self._session = _load(path, engine.provider, urgency)
        self.inputs = {each.name: _tensor(path, each) for each in self._session.get_inputs()}
        self.outputs = {each.name: _tensor(path, each) for each in self._session.get_outputs()}
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
            try:
                found = self.run({only: padded})
            except OutOfMemory:
                smaller = tuple(each for each in buckets if each < size)
                if not smaller:
                    raise
                self._buckets, self._run_options = smaller, _shrinking(self._provider)
                continue
            parts.append([each[: len(chunk)] for each in found])
            done += len(chunk)
        return [np.concatenate(each) for each in zip(*parts, strict=True)]

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Run once, the shapes as they are; half-precision outputs come back as float32."""
        ready = {name: _as(array, self.inputs[name].dtype) for name, array in feeds.items()}
        found = self.guard(lambda: self._session.run(None, ready, self._run_options))
        return [_as(each, np.float32) if each.dtype == np.float16 else each for each in found]

    def binding(self) -> Any:
        """An `onnxruntime.IOBinding`: inputs and outputs that stay on the device between runs, for `run_bound`."""
        return self._session.io_binding()

    def run_bound(self, binding: Any) -> None:
        """Run once on what `binding` holds."""
        self.guard(lambda: self._session.run_with_iobinding(binding))

    def guard(self, run: Callable[[], Any]) -> Any:
        """Take a turn, and give what goes wrong its type."""
        try:
            with self._turns.take(self._urgency):
                return run()
        # ONNX Runtime's own exception classes share no base below Exception.
        except Exception as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> Exception:
        reason = _first_line(error)
        if _is_of_memory(error):
            return _out_of_memory(self.path, self._provider, error)
        if self._provider.is_cuda:
            return DependencyDown("device-failed", f"`{self.path}` failed on {self._provider.name}: {reason}")
        return Mismatch("model-failed", f"`{self.path}` failed: {reason}", hint=UNLOADABLE_HINT)


def require_onnx(path: Path) -> None:
    """Refuse by name what would run code when it is read. Raises: Mismatch."""
    if _PICKLES & {suffix.lower() for suffix in path.suffixes}:
        raise Mismatch(
            "model-pickled",
            f"`{path}` is a pickle by its name, which runs code when it is read",
            hint="Export it to ONNX where you trust it, and put the `.onnx` file into the model set; MODELS.md has the steps",
        )
    if path.suffix.lower() != ".onnx":
        raise Mismatch("model-format", f"`{path}` is not an `.onnx` file", hint=UNLOADABLE_HINT)


def require_signature(
    network: Network, *, inputs: Sequence[tuple[int | None, ...]], outputs: Sequence[tuple[int | None, ...]]
) -> None:
    """Compare shapes in their order. Raises: Mismatch, naming both."""
    found = [[each.shape for each in side.values()] for side in (network.inputs, network.outputs)]
    wanted = [list(inputs), list(outputs)]
    if not all(
        len(shapes) >= len(patterns) and all(map(fits, shapes, patterns))
        for shapes, patterns in zip(found, wanted, strict=True)
    ) or len(found[0]) != len(inputs):
        raise Mismatch(
            "model-signature",
            f"`{network.path}` has the inputs {_words(found[0])} and outputs {_words(found[1])},"
            f" expected {_words(wanted[0])} and {_words(wanted[1])}",
            hint=UNLOADABLE_HINT,
        )


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Probabilities along the last axis."""
    powers = np.exp(np.asarray(logits, np.float64) - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float64)


def _load(path: Path, provider: Provider, urgency: Urgency) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    cores = len(os.sched_getaffinity(0))
    options.intra_op_num_threads = min(THREADS_MAX.get(urgency, cores), cores)
    settings = _settings(MEMORY_BYTES[urgency]) if provider.is_cuda else {}
    names = [(provider.name, settings), *([CPU] if provider.is_cuda else [])]
    try:
        if provider.devices:
            options.add_provider_for_devices(list(provider.devices), settings)
            session = onnxruntime.InferenceSession(str(path), options)
        else:
            # Without this, a provider that fails is replaced by the CPU, and a notice on stdout.
            session = onnxruntime.InferenceSession(str(path), options, providers=names, enable_fallback=0)
    except Exception as error:
        if _is_of_memory(error):
            raise _out_of_memory(path, provider, error) from error
        if provider.is_cuda and any(word in str(error).lower() for word in _DEVICE_TEXTS):
            raise _unused(path, provider, _first_line(error)) from error
        raise Mismatch(
            "model-unloadable", f"`{path}` does not load: {_first_line(error)}", hint=UNLOADABLE_HINT
        ) from error
    if session.get_providers()[0] != provider.name:
        raise _unused(path, provider, provider.why_unused())
    return session


def _unused(path: Path, provider: Provider, reason: str) -> Mismatch:
    return Mismatch(
        "gpu-unused",
        f"`{path}` would run on {CPU}, and {provider.name} is asked for: {reason}",
        hint="Mend the AMI's runtime, use an instance with a GPU, or set `DEVICE=cpu`",
    )


def _is_of_memory(error: Exception) -> bool:
    return any(text in str(error).lower() for text in _MEMORY_TEXTS)


def _out_of_memory(path: Path, provider: Provider, error: Exception) -> OutOfMemory:
    return OutOfMemory(
        "out-of-memory",
        f"`{path}` needs more memory on {provider.name} than there is: {_first_line(error)}",
        hint="Use an instance with more memory, or leave the captioner out of the model set",
    )


def _settings(memory_bytes: int) -> dict[str, str]:
    return {
        # EXHAUSTIVE tries every kernel on every new shape, which takes ten seconds and more.
        "cudnn_conv_algo_search": "HEURISTIC",
        # The default doubles the arena each time, up to twice of what is needed.
        "arena_extend_strategy": "kSameAsRequested",
        "gpu_mem_limit": str(memory_bytes),
    }


def _shrinking(provider: Provider) -> Any:
    """Options of a run that gives back what the arena took for a larger batch."""
    options = onnxruntime.RunOptions()
    if provider.is_cuda:
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "gpu:0")
    return options


def _tensor(path: Path, found: Any) -> Tensor:
    dtype = _DTYPES.get(found.type)
    if dtype is None:
        raise Mismatch(
            "model-signature",
            f"`{path}` has `{found.name}` of type {found.type}, expected one of {', '.join(_DTYPES)}",
            hint=UNLOADABLE_HINT,
        )
    return Tensor(
        name=found.name, shape=tuple(each if isinstance(each, int) else None for each in found.shape), dtype=dtype
    )


def _as(array: NDArray[Any], dtype: type[np.generic]) -> NDArray[Any]:
    return np.ascontiguousarray(array, dtype)


def fits(shape: tuple[int | None, ...], pattern: tuple[int | None, ...]) -> bool:
    """Whether two shapes can be the same; None, on either side, goes with everything."""
    return len(shape) == len(pattern) and all(
        a is None or b is None or a == b for a, b in zip(shape, pattern, strict=True)
    )


def _words(shapes: Sequence[tuple[int | None, ...]]) -> str:
    return ", ".join("(" + ", ".join("n" if each is None else str(each) for each in shape) + ")" for shape in shapes)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
