"""What a job takes of its machine: processor time, memory, and the memory of the GPU."""

from __future__ import annotations

import ctypes
import resource
from contextlib import suppress
from typing import Any

_SUCCESS = 0


class Usage:
    """Peaks of one process and its children; `look` is called now and then, because the driver keeps no peak."""

    def __init__(self) -> None:
        self._gpus = _Gpus()
        self._gpu_peak_bytes: int | None = None
        self.look()

    def look(self) -> int | None:
        """Returns the bytes that are free on all GPUs together; None without a GPU."""
        memory = self._gpus.memory()
        if memory is None:
            return None
        used, free = memory
        self._gpu_peak_bytes = max(used, self._gpu_peak_bytes or 0)
        return free

    def document(self) -> dict[str, int | None]:
        """`gpu_memory_peak_bytes` (of all GPUs that are in sight, None without), `memory_peak_bytes`, `cpu_ms`."""
        own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        cpu_s = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
        return {
            "gpu_memory_peak_bytes": self._gpu_peak_bytes,
            "memory_peak_bytes": 1024 * max(own.ru_maxrss, children.ru_maxrss),
            "cpu_ms": round(1000 * cpu_s),
        }


class _Memory(ctypes.Structure):
    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


class _Gpus:
    """The driver's management library, which the container runtime mounts wherever there is a GPU."""

    def __init__(self) -> None:
        self._library: Any = None
        self._devices: list[ctypes.c_void_p] = []
        with suppress(OSError):
            library = ctypes.CDLL("libnvidia-ml.so.1")
            count = ctypes.c_uint()
            if library.nvmlInit_v2() == _SUCCESS and library.nvmlDeviceGetCount_v2(ctypes.byref(count)) == _SUCCESS:
                self._library = library
                self._devices = [device for index in range(count.value) if (device := self._device(index))]

    def memory(self) -> tuple[int, int] | None:
        """Bytes taken, by whomever, and bytes free, on all devices together; None without a device."""
        found = []
        for device in self._devices:
            memory = _Memory()
            if self._library.nvmlDeviceGetMemoryInfo(device, ctypes.byref(memory)) == _SUCCESS:
                found.append((memory.used, memory.free))
        return (sum(used for used, _ in found), sum(free for _, free in found)) if found else None

    def _device(self, index: int) -> ctypes.c_void_p | None:
        device = ctypes.c_void_p()
        found = self._library.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(device)) == _SUCCESS
        return device if found else None
