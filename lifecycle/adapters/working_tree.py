"""The code of the working tree, pushed as one layer over the registry API."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from images.code_image import CodeSettings, append_code, code_tag, push_code, read_base
from images.digests import DigestCache
from images.digests import ImageRef as RegistryRef
from images.layer import CodeTree, build_layer, read_tree
from images.selection import DEFAULT_EXCLUDE, select_files
from lifecycle.adapters.cache_folder import cache_folder
from lifecycle.adapters.container_registry import ContainerRegistry
from lifecycle.adapters.image_errors import image_errors_translated
from lifecycle.config.target import Target
from lifecycle.domain.digest import Digest
from lifecycle.domain.image import TaggedImage
from lifecycle.ports.code import CodeLayer, PushedImage

if TYPE_CHECKING:
    from images.content import ImageContent
    from lifecycle.domain.image_report import ImageIndex


class WorkingTreeCode:
    """`ports.Code`; `base` says on which image of the registry the code stands, and is asked once."""

    def __init__(self, target: Target, registry: ContainerRegistry, base: Callable[[], TaggedImage]) -> None:
        self._target = target
        self._settings = target.settings.image
        self._registry = registry
        self._required_base = base

    def tag(self) -> str:
        return code_tag(self._tree, self._base, self._code_settings)[0]

    def layer(self) -> CodeLayer:
        tag, treehash = code_tag(self._tree, self._base, self._code_settings)
        with image_errors_translated():
            layer = build_layer(self._tree)
        return CodeLayer(
            treehash=Digest(f"sha256:{treehash}"),
            tag=tag,
            files=len(self._tree.files),
            unpacked_bytes=layer.unpacked_bytes,
            compressed_bytes=layer.size_bytes,
        )

    def index(self) -> ImageIndex:
        from images.code_index import code_index

        return code_index(self._tree, self._settings.environment)

    def push(self) -> PushedImage:
        with self._registry.errors_translated(if_missing="Run `capctl image base`, then `capctl image push`"):
            pushed = push_code(
                self._registry.client,
                self._base,
                self._tree,
                entrypoint=self._settings.entrypoint,
                env=self._settings.environment,
                cache=cache_folder() / "blobs",
            )
        return PushedImage(
            ref=self._registry.ref(pushed.digest),
            tag=pushed.tag,
            unchanged=pushed.unchanged,
            requests=pushed.requests,
            bytes_sent=pushed.bytes_sent,
        )

    def image(self) -> ImageContent:
        from images.content import image_content

        with image_errors_translated(if_missing="Run `capctl image base`"):
            base = read_base(self._registry.client, self._base, DigestCache(cache_folder() / "blobs"))
            made = append_code(base, build_layer(self._tree), self._code_settings)
            return image_content(
                self._registry.client,
                made.manifest,
                made.config,
                media_type=made.family.manifest,
                held={made.layer.digest: made.layer.blob},
            )

    @cached_property
    def _tree(self) -> CodeTree:
        root = self._target.path(self._settings.root)
        with image_errors_translated():
            return read_tree(
                root, select_files(root, self._settings.include, (*DEFAULT_EXCLUDE, *self._settings.exclude))
            )

    @cached_property
    def _base(self) -> RegistryRef:
        return RegistryRef(repository=self._target.repository_name, digest=self._required_base().ref.digest)

    @property
    def _code_settings(self) -> CodeSettings:
        return CodeSettings(entrypoint=self._settings.entrypoint, env=self._settings.environment)
