"""Push the code: one layer on a pinned base, over the registry API.

An unchanged tree costs one request. A changed one costs six: HEAD of the tag, POST and PUT of the layer beside POST
and PUT of the config, PUT of the manifest. While the code is still judged, the registry can be asked, and the layer be packed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from images.code_image import CodeImage, CodeSettings, code_tag, make_code_image
from images.digests import DigestCache, ImageRef, digest_of
from images.errors import BlobMissing
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
        """Ask for the tag and pack the layer in the background, for who expects the tag to be new; failures are those of `finish`."""
        self._ahead = _Ahead(partial(self._client.head_manifest, self.tag), self._make)

    def finish(self) -> PushResult:
        """Push what the registry lacks.

        Raises: TagImmutable, DigestMismatch, BlobMissing, ManifestUnsupported and the registry failures of `images.errors`.
        """
        digest = self._ahead.digest() if self._ahead else self._client.head_manifest(self.tag)
        unchanged = digest is not None
        if digest is None:
            made = self._ahead.image() if self._ahead else self._make()
            digest = self._upload(made)
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

    def _upload(self, image: CodeImage) -> str:
        upload, put = self._client.upload_blob, self._client.put_manifest
        together([partial(upload, image.layer.blob), partial(upload, image.config)])
        try:
            return put(self.tag, image.manifest, image.family.manifest)
        except BlobMissing:
            base_layers = [layer["digest"] for layer in json.loads(image.manifest)["layers"][:-1]]
            _complete(self._client, image, base_layers)
            return put(self.tag, image.manifest, image.family.manifest)


class _Ahead:
    """The digest of a tag and the image for it, both found out in the background, and each waited for by who asks for it."""

    def __init__(self, ask: Callable[[], str | None], make: Callable[[], CodeImage]) -> None:
        self._asked: list[str | None] = []
        self._made: list[CodeImage] = []
        self._end_of_asking = begin([lambda: self._asked.append(ask())])
        self._end_of_making = begin([lambda: self._made.append(make())])

    def digest(self) -> str | None:
        """None if there is no such tag. Raises what asking raised."""
        self._end_of_asking()
        return self._asked[0]

    def image(self) -> CodeImage:
        """Raises what making it raised."""
        self._end_of_making()
        return self._made[0]


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
