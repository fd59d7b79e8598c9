"""Which execution provider of ONNX Runtime the networks run on: the CPU, or CUDA from one of three places.

CUDA is built into `onnxruntime-gpu`, wherever that is on `sys.path`; or it is a plugin library (`register_execution_provider_library`)
in the runtime that the AMI mounts, beside the CPU build of the image. Either needs the CUDA libraries, which are loaded by hand from the
same mount: the system's loader does not look there.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analyzer.backends.runtime import onnxruntime
from analyzer.contract import Device
from analyzer.errors import Mismatch

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
PLUGIN = "CudaPluginExecutionProvider"

_LIBRARY = "libonnxruntime_providers_cuda*.so"
_PLACES = (f"lib/{_LIBRARY}", f"site-packages/*/{_LIBRARY}", f"site-packages/*/capi/{_LIBRARY}")
_NVIDIA = ("lib", "site-packages/nvidia/*/lib")
# What the provider and cuDNN load by name; the rest of the toolkit stays on the disk.
_NEEDED = ("cudart", "nvJitLink", "nvrtc", "cublasLt", "cublas", "curand", "cufft", "cudnn")
_HINT = (
    "Put `onnxruntime-gpu` or the CUDA plugin library, with the CUDA libraries, into the AMI's runtime, "
    "or give `--device cpu` (a job: `DEVICE=cpu`)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """What sessions are asked to run on; `devices` are those of a plugin, empty for what is built in."""

    name: str
    devices: tuple[Any, ...] = ()
    library: Path | None = None

    @property
    def is_cuda(self) -> bool:
        return self.name != CPU

    def why_unused(self) -> str:
        """A phrase: the first library that does not load, as far as the loader can tell."""
        library = self.library or _built_in()
        missing = _unloadable(library) if library else f"no `{_LIBRARY}` is installed"
        return missing or "ONNX Runtime did not say why"


def find_provider(device: Device, *, mount: Path | None) -> Provider:
    """The provider for `device`; `mount` is where the AMI's runtime is, None without one.

    `auto` is CUDA where the machine shows an NVIDIA device and a provider for it is there.

    Raises: Mismatch("gpu-unused"), when CUDA is asked for, or chosen by `auto`, and cannot be had.
    """
    roots = [mount] if mount else []
    libraries = [path for root in roots for pattern in _PLACES for path in sorted(root.glob(pattern))]
    is_built_in = CUDA in onnxruntime.get_available_providers()
    is_offered = is_built_in or bool(libraries)
    if device is Device.CPU or (device is Device.AUTO and not (is_offered and _shows_nvidia())):
        return Provider(name=CPU)
    if not is_offered:
        where = f", and `{mount}` holds no `{_LIBRARY}`" if mount else ", and no runtime is mounted"
        raise Mismatch(
            "gpu-unused",
            f"CUDA is asked for, but ONNX Runtime {onnxruntime.__version__} here is the CPU build{where}",
            hint=_HINT,
        )
    _preload([*roots, *(Path(each).parent for each in sys.path if each.endswith("site-packages"))])
    return Provider(name=CUDA) if is_built_in else _plugin(libraries[0])


def _plugin(library: Path) -> Provider:
    try:
        onnxruntime.register_execution_provider_library(PLUGIN, str(library))
    # ONNX Runtime's own exception classes share no base below Exception.
    except Exception as error:
        if "already" not in str(error):
            reason = _unloadable(library) or str(error).splitlines()[0]
            raise Mismatch(
                "gpu-unused", f"CUDA is asked for, but `{library}` does not load: {reason}", hint=_HINT
            ) from error
    # A library built for both ways of loading names its devices as the built-in provider does.
    devices = tuple(each for each in onnxruntime.get_ep_devices() if each.ep_name in {PLUGIN, CUDA})
    if not devices:
        raise Mismatch("gpu-unused", f"CUDA is asked for, but `{library}` finds no device that it can use", hint=_HINT)
    return Provider(name=devices[0].ep_name, devices=devices[:1], library=library)


def _shows_nvidia() -> bool:
    return any(Path("/dev").glob("nvidia[0-9]*"))


def _built_in() -> Path | None:
    return next(iter(sorted((Path(onnxruntime.__file__).parent / "capi").glob(_LIBRARY))), None)


def _unloadable(library: Path) -> str:
    """What the loader says of a library, "" when it loads."""
    try:
        ctypes.CDLL(str(library))
    except OSError as error:
        return str(error)
    return ""


def _preload(roots: Iterable[Path]) -> None:
    """Load the CUDA libraries below `roots` for everybody in this process; what is missing shows when the provider loads."""
    waiting = [path for root in roots for path in _cuda_libraries(root)]
    while waiting:
        left = [path for path in waiting if not _loads_for_all(path)]
        if len(left) == len(waiting):
            return
        waiting = left


def _cuda_libraries(root: Path) -> Iterator[Path]:
    for pattern in _NVIDIA:
        for folder in sorted(root.glob(pattern)):
            for name in _NEEDED:
                yield from sorted(folder.glob(f"lib{name}*.so.*"))


def _loads_for_all(path: Path) -> bool:
    try:
        ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
    except OSError:
        return False
    return True
