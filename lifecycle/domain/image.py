"""Container images, always referred to by digest."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from lifecycle.domain.digest import Digest, parse_digest
from lifecycle.errors import UsageError

# Of a digest; tables and progress show as many.
FEWEST_DIGITS = 12
# Of the tag under which the engine of this machine has a stored image; digits follow.
LOADED_DIGEST = "digest-"
_BEGINNING = re.compile(rf"(?:sha256:)?([0-9a-f]{{{FEWEST_DIGITS},64}})")
# As the registry API has it.
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


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


def is_tag(text: str) -> bool:
    """Whether `text` can be a tag, which no digest and no reference by digest is."""
    return _TAG.fullmatch(text) is not None


def digest_beginning(text: str) -> str:
    """`sha256:` and the digits of a digest that `text` gives, no fewer than `FEWEST_DIGITS`; "" for other text."""
    found = _BEGINNING.fullmatch(text)
    return f"sha256:{found[1]}" if found else ""


def image_beginning_with(beginning: str, known: Iterable[ImageRef]) -> ImageRef | None:
    """The one image whose digest begins so; None where there is none. Raises `UsageError("image-ambiguous")` for several."""
    found = sorted({str(ref): ref for ref in known if ref.digest.startswith(beginning)}.items())
    if len(found) > 1:
        raise UsageError(
            "image-ambiguous",
            f"{len(found)} images have a digest that begins with `{beginning}`",
            hint="Write more of its digits",
            details=tuple(name for name, _ in found),
        )
    return found[0][1] if found else None
