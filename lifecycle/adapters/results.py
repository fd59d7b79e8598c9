"""What jobs stored: result documents in S3 or a folder, rows in PostgreSQL."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from botocore.exceptions import ClientError
from psycopg import sql

from lifecycle.adapters.aws.errors import error_code, translated
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.domain.job import contract
from lifecycle.errors import CapctlError

_CONNECT_TIMEOUT_S = 10


class StoredResults:
    """`ports.Results`."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session

    def document(self, uri: str) -> dict[str, Any]:
        content = self._object(uri) if uri.startswith("s3://") else _file(uri)
        try:
            document = json.loads(content)
        except ValueError as error:
            raise CapctlError(
                "result-invalid",
                f"`{uri}` is not JSON: {error}",
                hint="Read the job's log with `capctl job logs`",
                verdict=True,
            ) from error
        if not isinstance(document, dict) or document.get("schema") != contract.RESULT_SCHEMA:
            raise CapctlError(
                "result-invalid",
                f"`{uri}` is not a `{contract.RESULT_SCHEMA}` document",
                hint="Check that the image holds the analyzer of this version",
                verdict=True,
            )
        return document

    def rows(self, database_url: str, session_id: str) -> dict[str, int]:
        try:
            with psycopg.connect(database_url, connect_timeout=_CONNECT_TIMEOUT_S) as connection:
                found = connection.execute(
                    "SELECT table_name FROM information_schema.tables WHERE table_schema = ANY (current_schemas(false))"
                )
                present = {str(row[0]) for row in found}
                return {
                    table.value: _count(connection, table.value, session_id)
                    for table in contract.Table
                    if table.value in present
                }
        except psycopg.Error as error:
            parts = urlsplit(database_url)
            raise CapctlError(
                "database-unreachable",
                f"The rows of `{session_id}` cannot be counted in the database at `{parts.hostname or 'this machine'}`: {error}",
                hint="Check `smoke.database_url`, or leave it out to skip the count",
            ) from error

    def _object(self, uri: str) -> bytes:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        with translated(f"reading `{uri}`"):
            try:
                body: bytes = self._session.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
            except ClientError as error:
                if error_code(error) in {"NoSuchKey", "404"}:
                    raise _missing(uri) from error
                raise
        return body


def _file(uri: str) -> bytes:
    try:
        return Path(uri.removeprefix("file://")).read_bytes()
    except OSError as error:
        raise _missing(uri) from error


def _missing(uri: str) -> CapctlError:
    return CapctlError(
        "result-missing", f"The job left no result at `{uri}`", hint="Read its log with `capctl job logs`", verdict=True
    )


def _count(connection: "psycopg.Connection[tuple[Any, ...]]", table: str, session_id: str) -> int:
    query = sql.SQL("SELECT count(*) FROM {} WHERE session_id = %s").format(sql.Identifier(table))
    row = connection.execute(query, (session_id,)).fetchone()
    return int(row[0]) if row else 0
