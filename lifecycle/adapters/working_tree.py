"""The code of the working tree, pushed as one layer over the registry API."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from images.checkout import CheckoutQuestion
from images.code_image import CodeImage, CodeSettings, code_tag, make_code_image
from images.code_push import CodePush
from images.digests import ImageRef as RegistryRef
from images.layer import CodeTree, build_layer, read_tree
from images.selection import DEFAULT_EXCLUDE, git_top, select_files
from lifecycle.adapters.cache_folder import cache_folder
from lifecycle.adapters.code_checks import CodeChecks
from lifecycle.adapters.container_registry import ContainerRegistry
from lifecycle.adapters.image_errors import image_errors_translated
from lifecycle.adapters.push_record import PushRecord
from lifecycle.config.target import Target
from lifecycle.domain.digest import Digest
from lifecycle.domain.image import TaggedImage
from lifecycle.errors import CapctlError, Interrupted, UsageError
from lifecycle.ports.code import CodeLayer, PushedImage

if TYPE_CHECKING:
    from images.content import ImageContent
    from lifecycle.domain.checkout import Checkout
    from lifecycle.domain.image import ImageRef
    from lifecycle.domain.image_report import ImageIndex, Violation
    from lifecycle.domain.push_preview import FileChanges, PushPreview, SizeToSend

_BASE_MISSING = "Run `capctl image base`, then this command again"


class WorkingTreeCode:
    """`ports.Code`; `base` says on which image of the registry the code stands, and is asked once."""

    def __init__(self, target: Target, registry: ContainerRegistry, base: Callable[[], TaggedImage]) -> None:
        self._target = target
        self._settings = target.settings.image
        self._registry = registry
        self._required_base = base
        self._question: CheckoutQuestion | None = None
        self._prepared: CodePush | None = None
        self._record = PushRecord(target, registry.login.url)

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
        return self._checks.index

    def missing_imports(self, provided: frozenset[str]) -> tuple[Violation, ...]:
        return self._checks.missing_imports(provided)

    @cached_property
    def _checks(self) -> CodeChecks:
        try:
            base = self._base.digest
        except CapctlError as error:
            if error.code not in {"base-missing", "repository-missing"}:
                raise
            base = ""  # the code itself can be judged, and who needs the base is told then
        return CodeChecks(self._target, self._tree, base)

    def preview(self) -> PushPreview:
        from lifecycle.domain.push_preview import PushPreview

        self._ask_git()
        tag, treehash = code_tag(self._tree, self._base, self._code_settings)
        known, digest = self._registry.find(tag), self._record.read()
        last = self._registry.ref(digest) if digest else None
        return PushPreview(
            treehash=Digest(f"sha256:{treehash}"),
            tag=tag,
            files=len(self._tree.files),
            base=self._tagged_base,
            known=known,
            last=last,
            changes=self._changes_since(last) if last else None,
            to_send=None if known else self._to_send(),
            source=self.checkout(),
        )

    def _changes_since(self, last: ImageRef) -> FileChanges | None:
        from images.changes import changes_since
        from images.errors import ImageMissing
        from images.inspect import top_layer_index
        from lifecycle.domain.push_preview import FileChanges

        with self._registry.errors_translated():
            try:
                layer = top_layer_index(self._registry.client, last.digest, cache_folder() / "layers")
            except ImageMissing:
                return None
        found = changes_since(layer, self._tree)
        return FileChanges(added=found.added, changed=found.changed, removed=found.removed)

    def _to_send(self) -> SizeToSend:
        from lifecycle.domain.push_preview import SizeToSend

        image = self._made()
        return SizeToSend(
            layer_bytes=image.layer.size_bytes, config_bytes=len(image.config), manifest_bytes=len(image.manifest)
        )

    def checkout(self) -> Checkout:
        return self._checkout

    def _ask_git(self) -> None:
        """Let git work it out while something else is done."""
        self._question = self._question or CheckoutQuestion(self._root, self._settings.include, self._excluded)

    @cached_property
    def _checkout(self) -> Checkout:
        from lifecycle.domain.checkout import Checkout

        self._ask_git()
        assert self._question, "it was asked just now"
        found = self._question.answer()
        return Checkout(
            commit=found.commit or None,
            uncommitted=found.uncommitted,
            untracked=found.untracked,
            is_in_git=found.is_in_git,
        )

    def prepare_push(self) -> None:
        last = self._record.read_tag()
        try:
            # Beside the reading of the tree, of which it tells from which commit it is.
            self._ask_git()
            is_new = last is not None and last != self.tag()
        except Interrupted:
            raise
        except CapctlError:  # which the push will tell
            return
        if is_new:
            self._prepared = self._code_push()
            self._prepared.prepare()

    def push(self) -> PushedImage:
        with self._registry.errors_translated(if_missing=_BASE_MISSING):
            pushed = (self._prepared or self._code_push()).finish()
        ref = self._registry.ref(pushed.digest)
        self._record.write(pushed.tag, ref.digest)
        return PushedImage(
            ref=ref,
            tag=pushed.tag,
            unchanged=pushed.unchanged,
            requests=pushed.requests,
            bytes_sent=pushed.bytes_sent,
        )

    def _code_push(self) -> CodePush:
        return CodePush(self._registry.client, self._base, self._tree, self._code_settings, cache=_base_cache())

    def image(self) -> ImageContent:
        from images.content import image_content

        made = self._made()
        with image_errors_translated():
            return image_content(
                self._registry.client,
                made.manifest,
                made.config,
                held={made.layer.digest: made.layer.blob},
            )

    def _made(self) -> CodeImage:
        with self._registry.errors_translated(if_missing=_BASE_MISSING):
            return make_code_image(
                self._registry.client, self._base, self._tree, self._code_settings, cache=_base_cache()
            )

    @cached_property
    def _tree(self) -> CodeTree:
        with image_errors_translated():
            names = select_files(self._root, self._settings.include, self._excluded)
            if not names:
                raise self._nothing_chosen()
            return read_tree(self._root, names)

    def _nothing_chosen(self) -> CapctlError:
        patterns = {"image.include": self._settings.include, "image.exclude": self._settings.exclude}
        told = " and ".join(f"`{key}` ({', '.join(each)})" for key, each in patterns.items() if each)
        return CapctlError(
            "layer-rejected",
            f"No file below `{self._root}` is selected",
            hint=f"Check {told}, and `git add` new files; what links lead to is not looked through",
        )

    @cached_property
    def _root(self) -> Path:
        root, folder = self._target.path(self._settings.root), self._target.folder
        project = git_top(folder) or folder.resolve()
        if root.is_dir() and root.resolve().is_relative_to(project):
            return root
        raise UsageError(
            "config-invalid",
            f"`image.root` is `{self._settings.root}`, which is no folder of the project in `{project}`",
            hint="Name the folder that holds the code, relative to capctl.yaml",
        )

    @property
    def _excluded(self) -> tuple[str, ...]:
        return (*DEFAULT_EXCLUDE, *self._settings.exclude)

    @cached_property
    def _tagged_base(self) -> TaggedImage:
        return self._required_base()

    @property
    def _base(self) -> RegistryRef:
        return RegistryRef(repository=self._target.repository_name, digest=self._tagged_base.ref.digest)

    @property
    def _code_settings(self) -> CodeSettings:
        return CodeSettings(entrypoint=self._settings.entrypoint, env=self._settings.environment)


def _base_cache() -> Path:
    return cache_folder() / "blobs"
