"""Result documents as jobs leave them in a folder."""

import json
from pathlib import Path
from typing import cast

import pytest

from lifecycle.adapters.aws.session import AwsSession
from lifecycle.adapters.results import StoredResults
from lifecycle.errors import CapctlError

RESULTS = StoredResults(cast(AwsSession, None))


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_document_is_read(tmp_path: Path, prefix: str) -> None:
    document = {"schema": "capctl.analysis/1", "tracks": []}
    (tmp_path / "result.json").write_text(json.dumps(document))
    assert RESULTS.document(f"{prefix}{tmp_path}/result.json") == document


def test_missing_document_is_named(tmp_path: Path) -> None:
    with pytest.raises(CapctlError, match="left no result") as failed:
        RESULTS.document(str(tmp_path / "result.json"))
    assert failed.value.code == "result-missing"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": "capctl.analysis/2"}'])
def test_anything_else_is_no_result(tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(CapctlError) as failed:
        RESULTS.document(str(tmp_path / "result.json"))
    assert failed.value.code == "result-invalid"


def test_database_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(CapctlError, match=r"127\.0\.0\.1") as failed:
        RESULTS.rows("postgresql://u:secret@127.0.0.1:1/x", "session")
    assert failed.value.code == "database-unreachable"
    assert "secret" not in failed.value.message
