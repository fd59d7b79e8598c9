"""Translation of boto3's errors into capctl's, in one place."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
    SSOError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError

from lifecycle.errors import CapctlError, Denied, Inconclusive

_DENIED = {
    "AccessDenied", "AccessDeniedException", "AuthFailure", "UnauthorizedOperation", "UnauthorizedException", "InvalidClientTokenId",
    "SignatureDoesNotMatch", "UnrecognizedClientException", "InvalidAccessKeyId", "403",
}  # fmt: skip
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
_NO_CAPACITY = {
    "InsufficientInstanceCapacity",
    "InsufficientHostCapacity",
    "MaxSpotInstanceCountExceeded",
    "SpotMaxPriceTooLow",
}


def error_code(error: ClientError) -> str:
    """AWS's own code, such as `NoSuchKey`."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn any boto3 error in the block into a `CapctlError` that says what was being done, such as `reading AMI ami-0abc`."""
    try:
        yield
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise Denied(
            "credentials-missing",
            f"No AWS credentials were found while {doing}",
            hint="Set AWS_PROFILE, or log in with `aws sso login`",
        ) from error
    except (CredentialRetrievalError, SSOError, TokenRetrievalError) as error:
        raise Denied(
            "credentials-expired",
            f"No valid AWS credentials could be had while {doing}: {error}",
            hint="Log in again, for example `aws sso login`",
        ) from error
    except (EndpointConnectionError, ConnectionClosedError, ConnectTimeoutError, ReadTimeoutError) as error:
        raise CapctlError(
            "aws-unreachable",
            f"AWS did not answer while {doing}: {error}",
            hint="Check the network, the region and `endpoint_url` of the target",
        ) from error
    except ClientError as error:
        raise _from_client_error(error, doing) from error
    except (BotoCoreError, ResponseParserError) as error:
        raise CapctlError(
            "aws-failed", f"AWS call failed while {doing}: {error}", hint="Run again with `-v`"
        ) from error


def _from_client_error(error: ClientError, doing: str) -> CapctlError:
    code, message = error_code(error), str(error.response.get("Error", {}).get("Message") or "no message")
    if code in _EXPIRED:
        return Denied(
            "credentials-expired",
            f"The AWS credentials expired while {doing}",
            hint="Log in again, for example `aws sso login`",
        )
    if code in _DENIED:
        return Denied("permission-denied", f"AWS refused {doing}: {message}", hint="Compare the role with docs/iam.md")
    if code in _NO_CAPACITY:
        return Inconclusive(
            "no-capacity", f"No capacity while {doing}: {message}", hint="Try another instance type or zone, or later"
        )
    return CapctlError("aws-failed", f"AWS answered `{code}` while {doing}: {message}", hint="Run again with `-v`")
