"""A code push in one call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from images.code_image import CodeSettings
from images.code_push import CodePush, PushResult
from images.digests import ImageRef
from images.layer import CodeTree
from images.registry import RegistryClient


def push_code(
    client: RegistryClient,
    base: ImageRef,
    tree: CodeTree,
    *,
    entrypoint: Sequence[str],
    cache: Path,
    expects_new: bool = False,
    **settings: Any,
) -> PushResult:
    """Push `tree`; with `expects_new` it is prepared first. `settings` are further fields of `CodeSettings`."""
    push = CodePush(client, base, tree, CodeSettings(entrypoint=tuple(entrypoint), **settings), cache=cache)
    if expects_new:
        push.prepare()
    return push.finish()
