"""Failures of building, pushing and checking images.

Each carries `code` (kebab-case, stable), `message` (what and which) and `hint` (what to do next).
"""

from __future__ import annotations

from typing import ClassVar


class ImageError(Exception):
    """Base of every failure in this package."""

    code: ClassVar[str] = "image-failed"

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class CodeUnreadable(ImageError):
    """The folder cannot be listed: no such folder, or git refuses to read its index."""

    code = "code-unreadable"


class LayerRejected(ImageError):
    """A file cannot go into the code layer: device, socket, whiteout name, absolute or escaping link."""

    code = "layer-rejected"


class LayerTooLarge(ImageError):
    """The code layer is larger than one monolithic upload should be."""

    code = "layer-too-large"


class RegistryUnreachable(ImageError):
    """No answer after all attempts: refused, reset, timed out, or a 5xx each time.

    `is_cut`: the registry took the request, and ended the connection without an answer.
    """

    code = "registry-unreachable"

    def __init__(self, message: str, *, hint: str, is_cut: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.is_cut = is_cut


class RegistryDenied(ImageError):
    """401 or 403: no credentials, expired credentials, or a missing permission."""

    code = "registry-denied"


class RegistryThrottled(ImageError):
    """429 on every attempt."""

    code = "registry-throttled"


class RegistryFull(ImageError):
    """The registry has no space left, or a quota of it is used up."""

    code = "registry-full"


class RegistryRefused(ImageError):
    """An answer that the registry API does not foresee for this request."""

    code = "registry-refused"


class RegistryMissing(ImageError):
    """What answers at the address is something else than a container registry."""

    code = "registry-missing"


class BlobExists(RegistryRefused):
    """The end of an upload is refused because the repository holds the blob: who uploads it takes that for success."""


class RepositoryMissing(ImageError):
    """The repository does not exist in the registry."""

    code = "repository-missing"


class ImageMissing(ImageError):
    """The repository has no manifest with this tag or digest."""

    code = "image-missing"


class TagImmutable(ImageError):
    """The tag exists with another digest and cannot be moved."""

    code = "tag-immutable"


class DigestMismatch(ImageError):
    """Bytes received, or bytes stored by the registry, do not have the digest that names them."""

    code = "digest-mismatch"


class BlobMissing(ImageError):
    """A manifest names a blob that the repository does not hold."""

    code = "blob-missing"

    def __init__(self, message: str, *, hint: str, digests: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.digests = digests


class ManifestUnsupported(ImageError):
    """A manifest or layer of a kind that cannot carry a code layer or be checked: an index, a zstd layer."""

    code = "manifest-unsupported"


class LayoutForeign(ImageError):
    """The place of an image layout holds something else, or a layout that cannot be read."""

    code = "layout-foreign"


class LayoutBusy(ImageError):
    """Another run writes into the layout."""

    code = "layout-busy"


class DiskFull(ImageError):
    """The disk has no room for what shall be written."""

    code = "disk-full"


class ToolMissing(ImageError):
    """A program that builds the base is not on this machine."""

    code = "tool-missing"


class WheelhouseFailed(ImageError):
    """pip could not download the locked wheels."""

    code = "wheelhouse-failed"


class RootFilesystemFailed(ImageError):
    """The root filesystem could not be made, or holds no Python."""

    code = "root-filesystem-failed"


class BaseInvalid(ImageError):
    """The inputs of the base image contradict each other."""

    code = "base-invalid"
