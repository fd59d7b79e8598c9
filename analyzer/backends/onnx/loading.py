"""From a file to a session of ONNX Runtime: on the provider that was asked for, or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from analyzer.backends.onnx.provider import CPU, Provider
from analyzer.backends.onnx.turns import Urgency
from analyzer.backends.runtime import onnxruntime
from analyzer.errors import Mismatch, OutOfMemory

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


def load_session(path: Path, provider: Provider, urgency: Urgency) -> onnxruntime.InferenceSession:
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
        if is_of_memory(error):
            raise out_of_memory(path, provider, error) from error
        if provider.is_cuda and any(word in str(error).lower() for word in _DEVICE_TEXTS):
            raise _unused(path, provider, first_line(error)) from error
        raise Mismatch(
            "model-unloadable", f"`{path}` does not load: {first_line(error)}", hint=UNLOADABLE_HINT
        ) from error
    if session.get_providers()[0] != provider.name:
        raise _unused(path, provider, provider.why_unused())
    return session


def is_of_memory(error: Exception) -> bool:
    return any(text in str(error).lower() for text in _MEMORY_TEXTS)


def out_of_memory(path: Path, provider: Provider, error: Exception) -> OutOfMemory:
    return OutOfMemory(
        "out-of-memory",
        f"`{path}` needs more memory on {provider.name} than there is: {first_line(error)}",
        hint="Use an instance with more memory, or leave the captioner out of the model set",
    )


def shrinking(provider: Provider) -> Any:
    """Options of a run that gives back what the arena took for a larger batch."""
    options = onnxruntime.RunOptions()
    if provider.is_cuda:
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "gpu:0")
    return options


def first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _unused(path: Path, provider: Provider, reason: str) -> Mismatch:
    return Mismatch(
        "gpu-unused",
        f"`{path}` would run on {CPU}, and {provider.name} is asked for: {reason}",
        hint="Mend the AMI's runtime, use an instance with a GPU, or give `--device cpu` (a job: `DEVICE=cpu`)",
    )


def _settings(memory_bytes: int) -> dict[str, str]:
    return {
        # EXHAUSTIVE tries every kernel on every new shape, which takes ten seconds and more.
        "cudnn_conv_algo_search": "HEURISTIC",
        # The default doubles the arena each time, up to twice of what is needed.
        "arena_extend_strategy": "kSameAsRequested",
        "gpu_mem_limit": str(memory_bytes),
    }
