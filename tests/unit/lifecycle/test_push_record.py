"""The image that was pushed last from here."""

from pathlib import Path

import pytest

from lifecycle.adapters.push_record import PushRecord
from lifecycle.domain.digest import digest_of
from tests.fakes.targets import make_target

URL = "http://127.0.0.1:5000"
FIRST, SECOND = digest_of(b"first"), digest_of(b"second")


def record_of(folder: Path, url: str = URL, repository: str = "vision") -> PushRecord:
    return PushRecord(make_target(folder, image={"repository": repository}), url)


def test_last_push_is_remembered_by_the_next_command(tmp_path: Path) -> None:
    assert record_of(tmp_path).read() is record_of(tmp_path).read_tag() is None
    record_of(tmp_path).write("code-1", FIRST)
    record_of(tmp_path).write("code-2", SECOND)
    assert (record_of(tmp_path).read_tag(), record_of(tmp_path).read()) == ("code-2", SECOND)


def test_push_to_another_registry_or_repository_counts_for_nothing(tmp_path: Path) -> None:
    record_of(tmp_path).write("code-1", FIRST)
    assert record_of(tmp_path, url="http://127.0.0.1:5001").read() is None
    assert record_of(tmp_path, repository="other").read() is None


@pytest.mark.parametrize("damaged", ["", "[]", "{}", "{", '{"digest": 1}', "\0"])
def test_record_that_cannot_be_read_is_none_and_is_written_anew(tmp_path: Path, damaged: str) -> None:
    record_of(tmp_path).write("code-1", FIRST)
    next((tmp_path / ".capctl").glob("pushed-*.json")).write_text(damaged)
    assert record_of(tmp_path).read() is record_of(tmp_path).read_tag() is None
    record_of(tmp_path).write("code-1", FIRST)
    assert record_of(tmp_path).read() == FIRST


def test_record_that_cannot_be_written_takes_nothing_from_the_push(tmp_path: Path) -> None:
    (tmp_path / ".capctl").write_text("a file")
    record_of(tmp_path).write("code-1", FIRST)
    assert record_of(tmp_path).read() is None
