"""Push the code: one layer on a pinned base, over the registry API.

An unchanged tree costs one request. A changed one costs six: HEAD of the tag, POST and PUT of the layer beside POST
and PUT of the config, PUT of the manifest. What of that carries none of the code can be done while the code is still judged.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from images.code_image import CodeImage, CodeSettings, code_tag, make_code_image
from images.connections import Answer
from images.digests import DigestCache, ImageRef, digest_of
from images.errors import BlobMissing, ImageError
from images.layer import CodeTree
from images.parallel import begin, together
from images.registry import RegistryClient


class PushResult(NamedTuple):
    """A code image in the registry. `requests` and `bytes_sent` are those of this push alone."""

    digest: str
    tag: str
    treehash: str
    requests: int
    bytes_sent: int
    unchanged: bool


class CodePush:
    """Makes sure that the client's repository, which has `base`, holds the image of `tree` on it, tagged `code-<16 hex>`.

    `cache` keeps the base's manifest and config by digest, so that a later push does not fetch them, and the new manifest.
    """

    def __init__(
        self, client: RegistryClient, base: ImageRef, tree: CodeTree, settings: CodeSettings, *, cache: Path
    ) -> None:
        self.tag, self._treehash = code_tag(tree, base, settings)
        self._client = client
        self._cache = cache
        self._make = partial(make_code_image, client, base, tree, settings, cache=cache)
        self._before = client.requests_sent, client.bytes_sent
        self._ahead: _Ahead | None = None

    def prepare(self) -> None:
        """Ask for the tag, begin the uploads and pack the layer, in the background; failures are those of `finish`.

        For who expects the tag to be new: it is one request too many where it is not.
        """
        self._ahead = _Ahead(self._client, self.tag, self._make)

    def finish(self) -> PushResult:
        """Push what the registry lacks.

        Raises: TagImmutable, DigestMismatch, BlobMissing, ManifestUnsupported and the registry failures of `images.errors`.
        """
        ahead = self._ahead
        digest = ahead.answer() if ahead else self._client.head_manifest(self.tag)
        unchanged = digest is not None
        if digest is None:
            made = (ahead and ahead.image) or self._make()
            digest = self._upload(made, *(ahead.sessions if ahead else (None, None)))
            # Who has pushed it need not look at it, which ECR would count as a pull.
            DigestCache(self._cache).write(made.manifest)
        requests, sent = self._before
        return PushResult(
            digest=digest,
            tag=self.tag,
            treehash=self._treehash,
            requests=self._client.requests_sent - requests,
            bytes_sent=self._client.bytes_sent - sent,
            unchanged=unchanged,
        )

    def _upload(self, image: CodeImage, for_layer: Answer | None, for_config: Answer | None) -> str:
        upload, put = self._client.upload_blob, self._client.put_manifest
        together([partial(upload, image.layer.blob, begun=for_layer), partial(upload, image.config, begun=for_config)])
        try:
            return put(self.tag, image.manifest, image.family.manifest)
        except BlobMissing:
            base_layers = [layer["digest"] for layer in json.loads(image.manifest)["layers"][:-1]]
            _complete(self._client, image, base_layers)
            return put(self.tag, image.manifest, image.family.manifest)


class _Ahead:
    """What goes before the uploads. `image`, and the sessions for layer and config, are None where making them failed: whoever needs
    them makes them, and tells the reason."""

    def __init__(self, client: RegistryClient, tag: str, make: Callable[[], CodeImage]) -> None:
        self._client = client
        self._tag = tag
        self._make = make
        self._digest: str | None = None
        self._for_layer: Answer | None = None
        self._for_config: Answer | None = None
        self.image: CodeImage | None = None
        self._wait = begin([self._ask, self._begin_layer, self._pack])

    def answer(self) -> str | None:
        """The digest of the tag, when all is done; None if there is none. Raises what asking for it raised."""
        self._wait()
        return self._digest

    @property
    def sessions(self) -> tuple[Answer | None, Answer | None]:
        """Those for the layer and for the config."""
        return self._for_layer, self._for_config

    def _ask(self) -> None:
        self._digest = self._client.head_manifest(self._tag)
        if self._digest is None:
            self._for_config = self._client.begin_upload()

    def _begin_layer(self) -> None:
        self._for_layer = self._client.begin_upload()

    def _pack(self) -> None:
        with suppress(ImageError):
            self.image = self._make()


def _complete(client: RegistryClient, image: CodeImage, base_layers: Sequence[str]) -> None:
    """Upload what the repository lacks of the code after all. Raises: BlobMissing, if it is a layer of the base."""
    own = {image.layer.digest: image.layer.blob, digest_of(image.config): image.config}
    for digest in (*own, *base_layers):
        if client.head_blob(digest):
            continue
        if digest in own:
            client.upload_blob(own[digest])
        else:
            message = f"Repository `{client.repository}` lacks layer `{digest}` of the base image"
            raise BlobMissing(message, hint="Build and push the base image again", digests=(digest,))
