"""What each code of the registry API, and of ECR's own, becomes."""

from __future__ import annotations

from typing import Any

import pytest

from images import errors
from images.registry import RegistryClient
from images.transport import Attempts

ANSWERS = [
    (429, "TOOMANYREQUESTS", errors.RegistryThrottled, True),
    (400, "ThrottlingException", errors.RegistryThrottled, True),
    (500, "UNKNOWN", errors.RegistryUnreachable, True),
    (502, "UNKNOWN", errors.RegistryUnreachable, True),
    (503, "UNAVAILABLE", errors.RegistryUnreachable, True),
    (501, "UNSUPPORTED", errors.RegistryUnreachable, False),
    (507, "UNKNOWN", errors.RegistryFull, False),
    (400, "LimitExceededException", errors.RegistryFull, False),
    (400, "KmsException", errors.RegistryRefused, False),
    (401, "UNAUTHORIZED", errors.RegistryDenied, False),
    (403, "DENIED", errors.RegistryDenied, False),
    (400, "AccessDeniedException", errors.RegistryDenied, False),
    (503, "NAME_UNKNOWN", errors.RepositoryMissing, True),
    (404, "NAME_UNKNOWN", errors.RepositoryMissing, False),
    (404, "RepositoryNotFoundException", errors.RepositoryMissing, False),
    (400, "MANIFEST_BLOB_UNKNOWN", errors.BlobMissing, False),
    (404, "BLOB_UNKNOWN", errors.BlobMissing, False),
    (400, "LAYERS_NOT_FOUND", errors.BlobMissing, False),
    (400, "LayersNotFoundException", errors.BlobMissing, False),
    (400, "ReferencedImagesNotFoundException", errors.BlobMissing, False),
    (400, "DIGEST_INVALID", errors.DigestMismatch, False),
    (400, "ImageDigestDoesNotMatchException", errors.DigestMismatch, False),
    (400, "InvalidLayerException", errors.DigestMismatch, False),
    (400, "TAG_INVALID", errors.TagImmutable, False),
    (400, "ImageTagAlreadyExistsException", errors.TagImmutable, False),
    (400, "ImageAlreadyExistsException", errors.TagImmutable, False),
    (400, "LayerAlreadyExistsException", errors.BlobExists, False),
    (416, "BLOB_UPLOAD_INVALID", errors.RegistryRefused, True),
    (416, "RANGE_INVALID", errors.RegistryRefused, True),
    (404, "BLOB_UPLOAD_UNKNOWN", errors.RegistryRefused, True),
    (404, "UploadNotFoundException", errors.RegistryRefused, True),
    (400, "InvalidLayerPartException", errors.RegistryRefused, True),
    (400, "LayerPartTooSmallException", errors.RegistryRefused, False),
    (400, "EmptyUploadException", errors.RegistryRefused, False),
    (400, "MANIFEST_INVALID", errors.RegistryRefused, False),
    (400, "NAME_INVALID", errors.RegistryRefused, False),
    (405, "UNSUPPORTED", errors.RegistryRefused, False),
]


@pytest.mark.parametrize(("status", "code", "error", "is_repeated"), ANSWERS)
def test_every_code_has_its_error_and_only_what_may_pass_is_repeated(
    registry: Any, fault: Any, status: int, code: str, error: type[errors.ImageError], is_repeated: bool
) -> None:
    registry.faults.append(fault("POST", "uploads", status=status, code=code, message="as it is", times=99))
    client = RegistryClient(registry.url, "job", attempts=Attempts(count=3, sleep=lambda _s: None))
    with pytest.raises(errors.ImageError, match=f"`{status}` to POST `/v2/job/blobs/uploads/`: as it is") as failed:
        client.upload_blob(b"content")
    assert type(failed.value) is error
    assert failed.value.hint
    assert len(registry.log) == (3 if is_repeated else 1)


def test_registry_whose_disk_is_full_is_named_as_full(registry: Any, fault: Any) -> None:
    client = RegistryClient(registry.url, "job", attempts=Attempts(count=2, sleep=lambda _s: None))
    for words in ("write /registry/blobs: no space left on device", "Disk quota exceeded"):
        registry.faults[:] = [fault("PUT", "uploads", status=500, message=words, times=99)]
        with pytest.raises(errors.RegistryFull):
            client.upload_blob(b"content")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Your authorization token has\nexpired.", "to HEAD `/v2/job/manifests/v1`: Your authorization token has expired"),
        ("<html><body>Forbidden</body></html>", "to HEAD `/v2/job/manifests/v1`"),
        ("x" * 1000, "to HEAD `/v2/job/manifests/v1`: " + "x" * 300),
        ("", "to HEAD `/v2/job/manifests/v1`"),
    ],
)  # fmt: skip
def test_words_without_a_document_are_told_and_a_page_is_not(registry: Any, fault: Any, said: str, told: str) -> None:
    registry.faults.append(fault("", "", status=403, message=said, is_plain=True, times=9))
    with pytest.raises(errors.RegistryDenied) as failed:
        RegistryClient(registry.url, "job").head_manifest("v1")
    assert failed.value.message == f"The registry answers `403` {told}"
