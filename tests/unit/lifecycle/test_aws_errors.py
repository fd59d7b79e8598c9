"""boto3's errors in capctl's terms."""

from __future__ import annotations

from typing import Any

import pytest
from botocore import exceptions
from botocore.parsers import ResponseParserError

from lifecycle.adapters.aws.errors import translated
from lifecycle.errors import CapctlError, ExitCode


def refusal(code: str, message: str = "no", status: int = 400) -> exceptions.ClientError:
    answer: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return exceptions.ClientError(answer, "Operation")


@pytest.mark.parametrize(
    ("error", "code", "exit_code"),
    [
        (exceptions.NoCredentialsError(), "credentials-missing", ExitCode.DENIED),
        (exceptions.SSOTokenLoadError(error_msg="no token"), "credentials-expired", ExitCode.DENIED),
        (exceptions.UnauthorizedSSOTokenError(), "credentials-expired", ExitCode.DENIED),
        (exceptions.TokenRetrievalError(provider="sso", error_msg="x"), "credentials-expired", ExitCode.DENIED),
        (exceptions.CredentialRetrievalError(provider="p", error_msg="x"), "credentials-expired", ExitCode.DENIED),
        (refusal("ExpiredTokenException"), "credentials-expired", ExitCode.DENIED),
        (
            refusal("SignatureDoesNotMatch", "Signature expired: 2026 is now earlier than 2027"),
            "clock-wrong",
            ExitCode.DENIED,
        ),
        (refusal("UnauthorizedOperation"), "permission-denied", ExitCode.DENIED),
        (refusal("InsufficientInstanceCapacity"), "no-capacity", ExitCode.INCONCLUSIVE),
        (refusal("ThrottlingException"), "aws-throttled", ExitCode.INCONCLUSIVE),
        (refusal("RequestLimitExceeded"), "aws-throttled", ExitCode.INCONCLUSIVE),
        (refusal("VcpuLimitExceeded"), "quota-reached", ExitCode.FAILED),
        (refusal("Odd"), "aws-failed", ExitCode.FAILED),
        (exceptions.EndpointConnectionError(endpoint_url="http://x"), "aws-unreachable", ExitCode.FAILED),
        (exceptions.SSLError(endpoint_url="http://x", error="x"), "aws-unreachable", ExitCode.FAILED),
        (exceptions.HTTPClientError(error="x"), "aws-unreachable", ExitCode.FAILED),
        (exceptions.ConnectionClosedError(endpoint_url="http://x"), "aws-unreachable", ExitCode.FAILED),
        (ResponseParserError("not XML"), "aws-unclear", ExitCode.FAILED),
        (refusal("InternalError"), "aws-unclear", ExitCode.FAILED),
        (refusal("Odd", status=503), "aws-unclear", ExitCode.FAILED),
    ],
)
def test_each_kind_of_error_has_its_code_and_a_hint(error: Any, code: str, exit_code: ExitCode) -> None:
    with pytest.raises(CapctlError, match="reading it") as failed, translated("reading it"):
        raise error
    assert (failed.value.code, failed.value.exit_code) == (code, exit_code)
    assert failed.value.hint
