"""Which parts of a stage need a stand-in on this machine, and why."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Set
from dataclasses import dataclass
from pathlib import Path

from lifecycle.adapters.cache_folder import cache_folder
from lifecycle.errors import CapctlError, Interrupted
from lifecycle.rehearsal.base_parts import collect_base_parts
from lifecycle.rehearsal.emulator.containers import jobs_supported
from lifecycle.rehearsal.machine import machines_supported
from lifecycle.rehearsal.project import requirements
from lifecycle.rehearsal.rootfs import RootfsUnavailable, instance_rootfs
from lifecycle.rehearsal.services.registry import registry_supported


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIns:
    """Why there is no Packer with its instance, no container engine, no registry of the distribution; None for what is real.

    `rootfs` is what instances boot; None without machines.
    """

    machines: str | None
    engine: str | None
    registry: str | None
    rootfs: Path | None


def find_standins(without: Set[str], scratch: Path, note: Callable[[str], None]) -> StandIns:
    """Try what the parts need. `without` names parts (`machines`, `engine`, `registry`) that shall not be real in any case."""
    machines, rootfs = _machines(without, scratch, note)
    engine = _chosen("engine", without) or jobs_supported() or _base_image(note)
    registry = _chosen("registry", without) or registry_supported()
    return StandIns(
        machines=f"bake: {machines}" if machines else None,
        engine=f"containers: {engine}" if engine else None,
        registry=f"registry: {registry}" if registry else None,
        rootfs=rootfs,
    )


def _machines(without: Set[str], scratch: Path, note: Callable[[str], None]) -> tuple[str | None, Path | None]:
    why = _chosen("machines", without) or machines_supported(scratch)
    if why is None and shutil.which("packer") is None:
        why = "`packer` is not installed"
    if why:
        return why, None
    try:
        return None, instance_rootfs(cache_folder(), note)
    except RootfsUnavailable as error:
        return error.message, None


def _base_image(note: Callable[[str], None]) -> str | None:
    """Why the base image cannot be built, though an engine answers: it needs a root filesystem and wheels."""
    try:
        collect_base_parts(requirements(), note)
    except Interrupted:
        raise
    except CapctlError as error:
        return f"no base image can be built: {error.message}"
    return None


def _chosen(part: str, without: Set[str]) -> str | None:
    return f"left out by `--without {part}`" if part in without else None
