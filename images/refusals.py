"""What a registry's refusals mean: the codes of the registry API, and those of ECR's own API, which it quotes there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from images.connections import Answer
from images.digests import read_json
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

# In one spelling, which stands for `LAYERS_NOT_FOUND`, `LayersNotFound` and `LayersNotFoundException`. The first that fits counts.
_MEANINGS: tuple[tuple[str, type[ImageError], str], ...] = (
    ("TOOMANYREQUESTS THROTTLING", RegistryThrottled, "Wait a minute, then run the command again"),
    ("LIMITEXCEEDED", RegistryFull, "Make room in the registry, or raise its quota, then run the command again"),
    ("KMS", RegistryRefused, "Check that the key of the repository's encryption is enabled, and that you may use it"),
    ("UNAUTHORIZED DENIED ACCESSDENIED EXPIREDTOKEN", RegistryDenied, "Check the credentials and their permissions"),
    ("NAMEUNKNOWN REPOSITORYNOTFOUND", RepositoryMissing, "Create the repository first"),
    (
        "MANIFESTBLOBUNKNOWN BLOBUNKNOWN LAYERSNOTFOUND REFERENCEDIMAGESNOTFOUND",
        BlobMissing,
        "Push the base image to this repository again",
    ),
    (
        "DIGESTINVALID IMAGEDIGESTDOESNOTMATCH INVALIDLAYER",
        DigestMismatch,
        "Run the command again; the upload was damaged",
    ),
    # The last says that the tag names these very bytes: who pushes them looks before it believes in a failure.
    (
        "TAGINVALID IMAGETAGALREADYEXISTS IMAGEALREADYEXISTS",
        TagImmutable,
        "Use another tag: a tag of an immutable repository never moves",
    ),
    ("LAYERALREADYEXISTS", BlobExists, "Run the command again"),
    ("BLOBUPLOADINVALID BLOBUPLOADUNKNOWN UPLOADNOTFOUND INVALIDLAYERPART", RegistryRefused, "Run the command again"),
)
# What is said without such a code: the status, or the words.
_DENIED = frozenset({401, 403})
# 28 is ENOSPC, of which the distribution's registry tells the number.
_NO_SPACE = re.compile(r'no space left|disk quota exceeded|"Err":\s*28\b', re.IGNORECASE)
_IMMUTABLE = re.compile(r"\bimmutable\b")
_EXPIRED = re.compile(r"\bexpired\b", re.IGNORECASE)

# Another attempt may mend it: an upload's in a new session.
_PASSING_STATUSES = frozenset({408, 416, 429, 500, 502, 503, 504})
_PASSING_CODES = "TOOMANYREQUESTS THROTTLING BLOBUPLOADINVALID BLOBUPLOADUNKNOWN UPLOADNOTFOUND INVALIDLAYERPART"

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
    errors, text = api_errors(answer), answer.content.decode(errors="replace")
    reason = "; ".join(str(error["message"]) for error in errors if error.get("message")) or _plain(text)
    told = f"The registry answers `{answer.status}` to {method} `{urlsplit(url).path}`" + (reason and f": {reason}")
    said = _codes(errors)
    meant = said | _unsaid(answer.status, text)
    is_expired = "EXPIREDTOKEN" in said or bool("DENIED" in meant and _EXPIRED.search(text))
    may_pass = answer.status in _PASSING_STATUSES or not said.isdisjoint(_PASSING_CODES.split())
    kind, hint = _meaning(answer.status, meant)
    failure = kind(told, hint="Log in again: the token has expired" if is_expired else hint)
    if isinstance(failure, BlobMissing):
        failure.digests = tuple(sorted(set(_DIGEST.findall(text))))
    return Refusal(failure=failure, may_pass=may_pass, is_expired=is_expired)


def _meaning(status: int, meant: set[str]) -> tuple[type[ImageError], str]:
    for codes, kind, hint in _MEANINGS:
        if not meant.isdisjoint(codes.split()):
            return kind, hint
    if status >= 500:
        return RegistryUnreachable, "Run the command again later"
    return RegistryRefused, "Check the address and the name of the repository"


def _unsaid(status: int, text: str) -> set[str]:
    """The codes that an answer means by its status, or by its words."""
    meant = set()
    if status == 429:
        meant.add("TOOMANYREQUESTS")
    if status == 507 or (status >= 500 and _NO_SPACE.search(text)):
        meant.add("LIMITEXCEEDED")
    if status in _DENIED:
        meant.add("DENIED")
    if status < 500 and _IMMUTABLE.search(text):
        meant.add("TAGINVALID")
    return meant


def names_no_repository(answer: Answer) -> bool:
    """Whether the registry says that the repository does not exist."""
    return not _codes(api_errors(answer)).isdisjoint({"NAMEUNKNOWN", "REPOSITORYNOTFOUND"})


def is_registrys(answer: Answer) -> bool:
    """Whether an answer about `/v2/` is one that the registry API foresees; without a login, that is a refusal."""
    if "Docker-Distribution-Api-Version" in answer.headers or api_errors(answer):
        return True
    return answer.status in {200, 401} and not answer.content.lstrip().startswith(b"<")


def api_errors(answer: Answer) -> list[dict[str, object]]:
    """The `errors` list of a registry answer; empty when the body is something else."""
    document = read_json(answer.content)
    errors = document.get("errors") if isinstance(document, dict) else None
    return [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []


def _codes(errors: list[dict[str, object]]) -> set[str]:
    return {str(error.get("code", "")).replace("_", "").upper().removesuffix("EXCEPTION") for error in errors}


def _plain(text: str) -> str:
    """The words of an answer that is no document, such as those of ECR's gate; "" for a page."""
    words = " ".join(text.split())
    return "" if words[:1] in {"<", "{", "["} else words[:_MOST_WORDS].rstrip(".")
