"""What a registry's refusals mean: the codes of the registry API, and those of ECR's own API, which it quotes there.

| said by the registry | error | another attempt |
|---|---|---|
| 429, `TOOMANYREQUESTS`, `Throttling` | RegistryThrottled | yes |
| 507, `LimitExceeded`, 500 for want of space | RegistryFull | of the 500 |
| `KMS` | RegistryRefused | no |
| 401, 403, `UNAUTHORIZED`, `DENIED`, `AccessDenied`, `ExpiredToken` | RegistryDenied | with a new token, if the old one has expired |
| `NAME_UNKNOWN`, `RepositoryNotFound` | RepositoryMissing | no |
| `MANIFEST_BLOB_UNKNOWN`, `BLOB_UNKNOWN`, `LayersNotFound`, `ReferencedImagesNotFound` | BlobMissing | no |
| `DIGEST_INVALID`, `ImageDigestDoesNotMatch`, `InvalidLayer` | DigestMismatch | no |
| `TAG_INVALID`, `ImageTagAlreadyExists`, `ImageAlreadyExists` | TagImmutable | no |
| `LayerAlreadyExists` | BlobExists | no |
| 416, `BLOB_UPLOAD_INVALID`, `BLOB_UPLOAD_UNKNOWN`, `UploadNotFound`, `InvalidLayerPart` | RegistryRefused | yes, in a new session |
| another 5xx, 408 | RegistryUnreachable | yes |
| anything else, such as `MANIFEST_INVALID` | RegistryRefused | no |
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from images.connections import Answer
from images.errors import (
    BlobExists,
    BlobMissing,
    DigestMismatch,
    ImageError,
    RegistryDenied,
    RegistryFull,
    RegistryRefused,
    RegistryThrottled,
    RegistryUnreachable,
    RepositoryMissing,
    TagImmutable,
)

_WORTH_ANOTHER_ATTEMPT = frozenset({408, 416, 429, 500, 502, 503, 504})
_DENIED = frozenset({401, 403})
_NO_SPACE = re.compile(
    r'no space left|disk quota exceeded|"Err":\s*28\b', re.IGNORECASE
)  # the last is ENOSPC in Go's words
_EXPIRED = re.compile(r"\bexpired\b", re.IGNORECASE)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MOST_WORDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An answer that was not hoped for. `may_pass`: another attempt may mend it; `is_expired`: one with a new token."""

    failure: ImageError
    may_pass: bool = False
    is_expired: bool = False


def refusal(method: str, url: str, answer: Answer) -> Refusal:
    """What the loaded `answer` to a request says."""
    errors = api_errors(answer)
    said = {_normal(str(error.get("code", ""))) for error in errors}
    text = answer.content.decode(errors="replace")
    reason = "; ".join(str(error["message"]) for error in errors if error.get("message")) or _plain(text)
    told = f"The registry answers `{answer.status}` to {method} `{urlsplit(url).path}`" + (
        f": {reason}" if reason else ""
    )
    may_pass = answer.status in _WORTH_ANOTHER_ATTEMPT
    if answer.status == 429 or said & {"TOOMANYREQUESTS", "THROTTLING"}:
        return Refusal(failure=RegistryThrottled(told, hint="Wait a minute, then run the command again"), may_pass=True)
    if answer.status == 507 or "LIMITEXCEEDED" in said or (answer.status >= 500 and _NO_SPACE.search(text)):
        hint = "Make room in the registry, or raise its quota, then run the command again"
        return Refusal(failure=RegistryFull(told, hint=hint), may_pass=may_pass)
    if "KMS" in said:
        hint = "Check that the key of the repository's encryption is enabled, and that you may use it"
        return Refusal(failure=RegistryRefused(told, hint=hint))
    if answer.status in _DENIED or said & {"UNAUTHORIZED", "DENIED", "ACCESSDENIED", "EXPIREDTOKEN"}:
        is_expired = bool(_EXPIRED.search(text)) or "EXPIREDTOKEN" in said
        hint = "Log in again: the token has expired" if is_expired else "Check the credentials and their permissions"
        return Refusal(failure=RegistryDenied(told, hint=hint), is_expired=is_expired)
    if names_no_repository(answer):
        return Refusal(failure=RepositoryMissing(told, hint="Create the repository first"))
    if said & {"MANIFESTBLOBUNKNOWN", "BLOBUNKNOWN", "LAYERSNOTFOUND", "REFERENCEDIMAGESNOTFOUND"}:
        digests = tuple(sorted(set(_DIGEST.findall(text))))
        hint = "Push the base image to this repository again"
        return Refusal(failure=BlobMissing(told, hint=hint, digests=digests))
    if said & {"DIGESTINVALID", "IMAGEDIGESTDOESNOTMATCH", "INVALIDLAYER"}:
        return Refusal(failure=DigestMismatch(told, hint="Run the command again; the upload was damaged"))
    if said & {"TAGINVALID", "IMAGETAGALREADYEXISTS", "IMAGEALREADYEXISTS"} or "immutable" in reason:
        hint = "Use another tag: a tag of an immutable repository never moves"
        return Refusal(failure=TagImmutable(told, hint=hint))
    if "LAYERALREADYEXISTS" in said:
        return Refusal(failure=BlobExists(told, hint="Run the command again"))
    if said & {"BLOBUPLOADINVALID", "BLOBUPLOADUNKNOWN", "UPLOADNOTFOUND", "INVALIDLAYERPART"}:
        return Refusal(failure=RegistryRefused(told, hint="Run the command again"), may_pass=True)
    if answer.status >= 500:
        return Refusal(failure=RegistryUnreachable(told, hint="Run the command again later"), may_pass=may_pass)
    hint = "Check the address and the name of the repository"
    return Refusal(failure=RegistryRefused(told, hint=hint), may_pass=may_pass)


def names_no_repository(answer: Answer) -> bool:
    """Whether the registry says that the repository does not exist."""
    said = {_normal(str(error.get("code", ""))) for error in api_errors(answer)}
    return bool(said & {"NAMEUNKNOWN", "REPOSITORYNOTFOUND"})


def api_errors(answer: Answer) -> list[dict[str, object]]:
    """The `errors` list of a registry answer; empty when the body is something else."""
    try:
        errors = json.loads(answer.content)["errors"]
    except (ValueError, KeyError, TypeError):
        return []
    return [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []


def _normal(code: str) -> str:
    """One spelling of `LAYERS_NOT_FOUND`, `LayersNotFound` and `LayersNotFoundException`."""
    return code.replace("_", "").upper().removesuffix("EXCEPTION")


def _plain(text: str) -> str:
    """The words of an answer that is no document, such as those of ECR's gate; "" for a page."""
    words = " ".join(text.split())
    return "" if words[:1] in {"<", "{", "["} else words[:_MOST_WORDS].rstrip(".")
