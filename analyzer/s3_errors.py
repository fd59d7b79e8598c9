"""What botocore raises about an object, as typed errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from analyzer.errors import AnalyzerError, DependencyDown, InputUnreadable, Mismatch

_ABSENT = {"NoSuchKey", "NoSuchBucket", "NoSuchVersion", "NotFound", "404", "InvalidObjectState"}
_REFUSED = {
    "403",
    "401",
    "AccessDenied",
    "AllAccessDisabled",
    "AuthorizationHeaderMalformed",
    "ExpiredToken",
    "Forbidden",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "PermanentRedirect",
    "301",
}


@contextmanager
def written(url: str) -> Iterator[None]:
    """As `explained`, where an absent bucket is a configuration fault, not a missing video."""
    try:
        with explained(url):
            yield
    except InputUnreadable as error:
        raise Mismatch(
            "bucket-missing", f"`{url}` cannot be written: {error.message}", hint="Check RESULT_URL"
        ) from error


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Raises: DependencyDown, InputUnreadable or Mismatch, which call the object `url`, for what was raised inside."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise _explain(error, url) from error
    except ValueError as error:
        # boto3 raises a bare ValueError for a malformed endpoint URL.
        raise Mismatch("endpoint-invalid", f"{error}", hint="Check AWS_ENDPOINT_URL") from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DependencyDown("transfer-failed", f"`{url}` was not transferred: {reason}") from error


def code_of(error: Any) -> str:
    """What S3 called the fault of a `ClientError`, "" for nothing."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _explain(error: Exception, url: str) -> AnalyzerError:
    from botocore import exceptions

    if isinstance(error, exceptions.ClientError):
        code = code_of(error)
        if code in {"PreconditionFailed", "412"}:
            return DependencyDown(
                "object-changed",
                f"`{url}` was replaced while it was being read",
                hint="Submit the job again; it reads the new object",
            )
        if code in _ABSENT:
            return InputUnreadable(
                "object-missing",
                f"`{url}` does not exist: {code}",
                hint="Check VIDEO_URL, and that the upload finished",
            )
        if code in _REFUSED:
            return Mismatch(
                "object-refused",
                f"The object store refuses `{url}`: {code}",
                hint="Check the job role's s3 permissions; without s3:ListBucket an absent object is refused too",
            )
        return DependencyDown(
            "object-store-down", f"The object store failed on `{url}`: {code}", hint="Submit the job again"
        )
    refused = (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.NoRegionError,
        exceptions.ProfileNotFound,
        exceptions.ParamValidationError,
    )
    detail = " ".join(str(error).split())[:300]
    if isinstance(error, refused):
        return Mismatch("aws-configuration", f"`{url}` cannot be reached: {detail}", hint="Check the job role")
    return DependencyDown(
        "object-store-down",
        f"`{url}` cannot be reached: {detail}",
        hint="Check AWS_ENDPOINT_URL and the network; then submit the job again",
    )
