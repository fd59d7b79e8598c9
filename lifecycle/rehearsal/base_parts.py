"""What the base image is made of on this machine: its archives, its root filesystem, its wheels."""

from collections.abc import Callable
from pathlib import Path

from images.base.archives import host_archives, host_suite
from lifecycle.adapters.cache_folder import cache_folder
from lifecycle.adapters.image_errors import image_errors_translated


def debian_archives() -> tuple[str, list[str]]:
    """The suite of this machine and the archives its apt uses, as `deb` lines."""
    with image_errors_translated():
        suite = host_suite()
        return suite, host_archives(suite)


def collect_base_parts(lock: Path, progress: Callable[[str], None]) -> None:
    """Put the root filesystem and the wheels of the base image into the cache, so that a build needs no network."""
    from images.base.recipe import (
        plan_base,
        wheels_of,
    )  # imports jinja2, which a rehearsal that builds no base does without

    with image_errors_translated():
        wheels_of(plan_base(lock, cache_folder(), progress=progress), cache_folder(), progress=progress)
