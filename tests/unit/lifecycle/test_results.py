"""What jobs leave, read by the machine that asked for it."""

import pytest

from lifecycle.adapters.results import PostgresResults
from lifecycle.domain.analysis import parse_result, part_of, whole_number
from lifecycle.errors import CapctlError

URI = "s3://bucket/results/s-1/result.json"


def test_document_is_read_as_the_job_stored_it() -> None:
    assert parse_result('{"schema": "capctl.analysis/1", "note": "ä"}'.encode(), URI)["note"] == "ä"


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[]", b"{}", b'{"schema": "capctl.analysis/2"}'])
def test_anything_else_is_no_result(data: bytes) -> None:
    with pytest.raises(CapctlError, match=URI) as failed:
        parse_result(data, URI)
    assert failed.value.code == "result-invalid"


@pytest.mark.parametrize("document", [None, [], {}, {"a": None}, {"a": []}, {"a": "b"}])
def test_part_that_is_none_is_empty(document: object) -> None:
    assert part_of(document, "a") == {}


def test_whole_number_is_neither_a_word_nor_a_fraction() -> None:
    assert [whole_number(value) for value in (0, -1, True, 1.0, "1", None)] == [0, -1, None, None, None, None]


def test_database_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(CapctlError, match=r"127\.0\.0\.1") as failed:
        PostgresResults().rows("postgresql://u:secret@127.0.0.1:1/x", "session")
    assert failed.value.code == "database-unreachable"
    assert "secret" not in failed.value.message
