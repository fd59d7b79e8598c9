"""What jobs leave, read by the machine that asked for it."""

import pytest

from lifecycle.adapters.results import PostgresResults
from lifecycle.domain.analysis import parse_result
from lifecycle.errors import CapctlError

URI = "s3://bucket/results/s-1/result.json"


def test_document_is_read_as_the_job_stored_it() -> None:
    assert parse_result('{"schema": "capctl.analysis/1", "note": "ä"}'.encode(), URI)["note"] == "ä"


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[]", b"{}", b'{"schema": "capctl.analysis/2"}'])
def test_anything_else_is_no_result(data: bytes) -> None:
    with pytest.raises(CapctlError, match=URI) as failed:
        parse_result(data, URI)
    assert failed.value.code == "result-invalid"


def test_database_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(CapctlError, match=r"127\.0\.0\.1") as failed:
        PostgresResults().rows("postgresql://u:secret@127.0.0.1:1/x", "session")
    assert failed.value.code == "database-unreachable"
    assert "secret" not in failed.value.message
