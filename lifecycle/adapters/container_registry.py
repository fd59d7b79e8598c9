"""The repository of a target, over the registry API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from images.digests import DigestCache
from images.errors import RegistryUnreachable, RepositoryMissing
from images.registry import RegistryClient
from images.transport import Attempts
from lifecycle.adapters.cache_folder import cache_folder
from lifecycle.adapters.image_errors import image_errors_translated
from lifecycle.config.target import Target
from lifecycle.domain.digest import parse_digest
from lifecycle.domain.image import ImageRef
from lifecycle.errors import UsageError

if TYPE_CHECKING:
    from lifecycle.adapters.aws.registry_login import RegistryLogin
    from lifecycle.domain.image_content import ImageContent
    from lifecycle.domain.image_report import ImageIndex

_IF_MISSING = "Compare the digest with what `capctl image push` printed, or with `capctl status`"


class ContainerRegistry:
    """`ports.Registry`. The target's `registry_url`, or the account's ECR, answers; `client` and `login` are for who pushes there.

    `tell` is that of `images.transport.Attempts`.
    """

    def __init__(
        self, target: Target, login: RegistryLogin, *, tell: Callable[[str], None] = lambda _line: None
    ) -> None:
        self._repository = target.repository
        self.login = login
        self.client = RegistryClient(
            login.url,
            target.repository_name,
            credentials=login.authorization,
            forget=login.forget,
            attempts=Attempts(tell=tell),
        )

    def find(self, tag: str) -> ImageRef | None:
        with self.errors_translated():
            digest = self.client.head_manifest(tag)
        return self.ref(digest) if digest else None

    def tag(self, ref: ImageRef, tag: str) -> None:
        with image_errors_translated(if_missing="Push the image again with `capctl image push`"):
            manifest = self.client.get_manifest(ref.digest)
            self.client.put_manifest(tag, manifest.raw, manifest.media_type)

    def index(self, ref: ImageRef) -> ImageIndex:
        from images.inspect import image_index

        self._require_own(ref)
        with self.errors_translated(if_missing=_IF_MISSING):
            return image_index(self.client, ref.digest, cache_folder() / "layers")

    def content(self, ref: ImageRef) -> ImageContent:
        from images.content import stored_content

        self._require_own(ref)
        with self.errors_translated(if_missing=_IF_MISSING):
            return stored_content(self.client, ref.digest, DigestCache(cache_folder() / "blobs"))

    def _require_own(self, ref: ImageRef) -> None:
        if ref.repository != self._repository:
            raise UsageError(
                "repository-foreign",
                f"Image `{ref}` is of another repository than the target's, `{self._repository}`",
                hint="Name an image as `capctl image push` prints it, or set `image.repository` in capctl.yaml",
            )

    @contextmanager
    def errors_translated(self, *, if_missing: str = "") -> Iterator[None]:
        """`image_errors_translated`, and where ECR cut the connection, which it does for a repository that does not exist, this is said."""
        with image_errors_translated(if_missing=if_missing):
            try:
                yield
            except RegistryUnreachable as unreachable:
                if unreachable.is_cut and self.login.lacks_repository():
                    raise self._missing() from unreachable
                raise

    def require_repository(self) -> None:
        """For who would find out late. Raises `CapctlError("registry-missing")`, and `CapctlError("repository-missing")` where ECR says so;
        other registries make it at a push."""
        with image_errors_translated():
            self.client.require_registry()
            if self.login.lacks_repository():
                raise self._missing()

    def require_repository_of(self, tag: str) -> None:
        """For who does not find an image. Raises `CapctlError("registry-missing" | "repository-missing")` if that is why."""
        with self.errors_translated():
            self.client.require_repository_of(tag)

    def ref(self, digest: str) -> ImageRef:
        """An image of this repository."""
        return ImageRef(repository=self._repository, digest=parse_digest(digest))

    def _missing(self) -> RepositoryMissing:
        return RepositoryMissing(f"ECR has no repository `{self._repository}`", hint="Create the repository first")
