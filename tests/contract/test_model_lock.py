"""What every `ports.ModelLock` does, and what a file keeps besides."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lifecycle.adapters.lock_file import LockFile
from lifecycle.domain.models import ModelFile, ModelSet, model_set
from lifecycle.errors import UsageError
from lifecycle.ports.model_lock import ModelLock
from tests.fakes.model_lock import FakeModelLock

AGE = ModelFile(
    path="models/age-v1.onnx",
    bytes=3,
    sha256="aa" * 32,
    source="s3://models/v1/age-v1.onnx",
    licence="Apache-2.0: see “NOTICE”",
    permitted_use="- any\n- research",
)
WEIGHTS = ModelFile(path="checkpoints/llava stage2/#1.bin", bytes=5_000_000_000, sha256="0" * 64)
SET = model_set((AGE, WEIGHTS))

Opened = Callable[[], ModelLock]


@pytest.fixture(params=["fake", "file"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    """The same lock, as one more command opens it."""
    if request.param == "fake":
        lock = FakeModelLock()
        return lambda: lock
    return lambda: LockFile(tmp_path / "models.lock.yaml")


def test_lock_is_called_by_its_file(opened: Opened) -> None:
    assert opened().name == "models.lock.yaml"


def test_before_the_first_lock_there_is_no_set(opened: Opened) -> None:
    assert opened().read() is None


def test_written_set_reads_back_whole(opened: Opened) -> None:
    opened().write(SET)
    assert opened().read() == SET


def test_later_set_replaces_the_former(opened: Opened) -> None:
    opened().write(SET)
    later = model_set((replace(AGE, sha256="bb" * 32),))
    opened().write(later)
    assert opened().read() == later


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "models.lock.yaml"


def test_equal_sets_give_the_same_file(path: Path) -> None:
    LockFile(path).write(SET)
    before = path.read_bytes()
    LockFile(path).write(model_set((WEIGHTS, AGE)))
    assert path.read_bytes() == before


def test_write_that_fails_leaves_the_former_set_and_nothing_else(path: Path) -> None:
    LockFile(path).write(SET)
    unwritable = ModelSet(files=(replace(AGE, path="\udcff"),))
    with pytest.raises(UnicodeEncodeError):
        LockFile(path).write(unwritable)
    assert LockFile(path).read() == SET
    assert list(path.parent.iterdir()) == [path]


def test_lock_that_cannot_be_read_is_a_usage_error(path: Path) -> None:
    path.write_text("schema: capctl.model-lock/2\n")
    with pytest.raises(UsageError, match=r"models\.lock\.yaml") as failed:
        LockFile(path).read()
    assert failed.value.code == "lock-invalid"
