"""The repository of a target, over the registry API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from images.registry import RegistryClient
from lifecycle.adapters.aws.registry_login import RegistryLogin
from lifecycle.adapters.cache_folder import cache_folder
from lifecycle.adapters.image_errors import image_errors_translated
from lifecycle.config.target import Target
from lifecycle.domain.digest import parse_digest
from lifecycle.domain.image import ImageRef
from lifecycle.errors import UsageError
from lifecycle.ports.clock import Clock

if TYPE_CHECKING:
    from lifecycle.adapters.aws.session import AwsSession
    from lifecycle.domain.image_report import ImageIndex


class ContainerRegistry:
    """`ports.Registry`. The target's `registry_url`, or the account's ECR, answers; `client` and `login` are for who pushes there."""

    def __init__(self, target: Target, session: AwsSession, clock: Clock) -> None:
        self._repository = target.repository
        self.login = RegistryLogin(target, session, clock)
        self.client = RegistryClient(self.login.url, target.repository_name, credentials=self.login.authorization)

    def find(self, tag: str) -> ImageRef | None:
        with image_errors_translated():
            digest = self.client.head_manifest(tag)
        return self.ref(digest) if digest else None

    def tag(self, ref: ImageRef, tag: str) -> None:
        with image_errors_translated(if_missing="Push the image again with `capctl image push`"):
            manifest = self.client.get_manifest(ref.digest)
            self.client.put_manifest(tag, manifest.raw, manifest.media_type)

    def index(self, ref: ImageRef) -> ImageIndex:
        from images.inspect import image_index

        if ref.repository != self._repository:
            raise UsageError(
                "repository-foreign",
                f"Image `{ref}` is of another repository than the target's, `{self._repository}`",
                hint="Name an image as `capctl image push` prints it, or set `image.repository` in capctl.yaml",
            )
        with image_errors_translated(
            if_missing="Compare the digest with what `capctl image push` printed, or with `capctl status`"
        ):
            return image_index(self.client, ref.digest, cache_folder() / "layers")

    def ref(self, digest: str) -> ImageRef:
        """An image of this repository."""
        return ImageRef(repository=self._repository, digest=parse_digest(digest))
