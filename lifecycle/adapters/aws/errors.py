"""Translation of boto3's errors into capctl's, in one place."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError

from lifecycle.adapters.aws.codes import Kind, failed_call, kind_of, kind_of_answer

_SERVERS_FAULT = 500  # the first of HTTP's status codes that say so


def error_code(error: ClientError) -> str:
    """AWS's own code, such as `NoSuchKey`."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_missing(error: ClientError) -> bool:
    """Whether AWS says that what the call was about does not exist."""
    return kind_of(error_code(error)) is Kind.MISSING


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn any boto3 error in the block into a `CapctlError` that says what was being done, such as `reading AMI ami-0abc`."""
    try:
        yield
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise failed_call(Kind.NO_CREDENTIALS, doing) from error
    except (CredentialRetrievalError, SSOError, TokenRetrievalError) as error:
        raise failed_call(Kind.EXPIRED, doing, why=str(error)) from error
    except (ConnectionError, HTTPClientError) as error:
        raise failed_call(Kind.UNREACHABLE, doing, why=str(error)) from error
    except ClientError as error:
        code, message = error_code(error), str(error.response.get("Error", {}).get("Message") or "no message")
        kind = kind_of_answer(code, message)
        if kind is None and error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= _SERVERS_FAULT:
            kind = Kind.UNCLEAR
        raise failed_call(kind, doing, why=f"`{code}`, {message}") from error
    except ResponseParserError as error:
        raise failed_call(Kind.UNCLEAR, doing, why="its answer cannot be read") from error
    except BotoCoreError as error:
        raise failed_call(None, doing, why=str(error)) from error
