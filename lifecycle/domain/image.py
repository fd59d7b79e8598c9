"""Container images, always referred to by digest."""

from dataclasses import dataclass

from lifecycle.domain.digest import Digest, parse_digest
from lifecycle.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRef:
    """`repository` without digest, such as `123456789012.dkr.ecr.eu-west-1.amazonaws.com/vision`, and the manifest's digest."""

    repository: str
    digest: Digest

    def __str__(self) -> str:
        return f"{self.repository}@{self.digest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggedImage:
    """An image in the registry, by digest and by the tag that names its content."""

    ref: ImageRef
    tag: str

    def __str__(self) -> str:
        return str(self.ref.digest)


def parse_image_ref(text: str, *, default_repository: str = "") -> ImageRef:
    """From `repository@sha256:…`, or from a bare digest where a default repository is given. Raises `UsageError` for a tag."""
    repository, at, digest = text.rpartition("@")
    if not at:
        repository = default_repository
    if not repository:
        raise UsageError(
            "image-not-pinned",
            f"Image `{text}` is not pinned by digest",
            hint="Write `repository@sha256:…`, as `capctl image push` prints it",
        )
    return ImageRef(repository=repository, digest=parse_digest(digest))
