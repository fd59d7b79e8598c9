"""What every `ports.ModelSource` does: a folder, and a prefix of a bucket in memory and in S3."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from lifecycle.adapters.aws.objects import S3Objects
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.adapters.model_files import BucketSource, FolderSource
from lifecycle.errors import CapctlError, UsageError
from lifecycle.ports.model_source import ModelSource, SourceFile
from lifecycle.ports.objects import ObjectStore
from tests.failures import code_of
from tests.fakes.objects import FakeObjects

# More than one chunk of a read.
LARGE = bytes(range(256)) * 4096 * 3
KEPT = {"models/age-v1.onnx": LARGE, "checkpoints/llava stage2/weights.bin": b"weights"}
KEPT_OUT = {"src/train.py": b"1", "models/src/deep/er.py": b"2", "models/results.csv": b"3", "models/notes.tmp": b"4"}
EXCLUDE = ("*.tmp",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A source, what it is called, and a way to put a file into it."""

    source: ModelSource
    name: str
    put: Callable[[str, bytes], None]

    def fill(self) -> None:
        for path, data in (KEPT | KEPT_OUT).items():
            self.put(path, data)


@pytest.fixture(
    params=["folder", "bucket in memory", pytest.param("bucket of the emulator", marks=pytest.mark.rehearsal)]
)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "folder":
        return _folder(tmp_path / "models")
    bucket = f"contract-{uuid.uuid4().hex[:12]}"
    if request.param == "bucket in memory":
        return _bucket(FakeObjects(bucket), bucket)
    session: AwsSession = request.getfixturevalue("emulated_session")
    session.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    return _bucket(S3Objects(session), bucket)


def _folder(root: Path) -> Place:
    def put(path: str, data: bytes) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)

    return Place(source=FolderSource(root, exclude=EXCLUDE), name=str(root), put=put)


def _bucket(objects: ObjectStore, bucket: str) -> Place:
    prefix = f"s3://{bucket}/v1/"
    # Neither lies below the prefix.
    objects.write(f"s3://{bucket}/v10/models/other.onnx", b"other")
    objects.write(f"s3://{bucket}/models/other.onnx", b"other")
    source = BucketSource(objects, prefix.rstrip("/"), exclude=EXCLUDE)
    return Place(source=source, name=prefix, put=lambda path, data: objects.write(prefix + path, data))


def found(place: Place, path: str) -> SourceFile:
    (file,) = [file for file in place.source.scan().files if file.path == path]
    return file


def copied(place: Place, path: str) -> bytes:
    with place.source.local_copy(path) as copy:
        return copy.read_bytes()


def test_source_is_called_as_it_is_configured(place: Place) -> None:
    assert place.source.name == place.name


def test_source_that_holds_nothing_is_a_usage_error_that_names_it(place: Place) -> None:
    with pytest.raises(UsageError, match=place.name) as failed:
        place.source.scan()
    assert failed.value.code == "models-missing"


def test_scan_lists_files_by_path_with_their_sizes(place: Place) -> None:
    place.fill()
    listed = {file.path: file.bytes for file in place.source.scan().files}
    assert listed == {path: len(data) for path, data in KEPT.items()}


def test_uri_of_a_file_means_the_same_elsewhere_or_is_empty(place: Place) -> None:
    place.fill()
    is_bucket = place.name.startswith("s3://")
    for file in place.source.scan().files:
        assert file.uri == (f"{place.name}{file.path}" if is_bucket else "")


def test_what_is_kept_out_is_named_itself_or_by_the_folder_that_is_kept_out_whole(place: Place) -> None:
    place.fill()
    excluded = place.source.scan().excluded
    folders = tuple(path for path in excluded if path.endswith("/"))
    assert {path for path in KEPT_OUT if path not in excluded and not path.startswith(folders)} == set()
    assert not [path for path in KEPT if path.startswith(folders)]
    assert {path for path in excluded if not path.endswith("/")} <= set(KEPT_OUT)


def test_digest_is_of_the_content_and_its_progress_adds_up(place: Place) -> None:
    place.fill()
    for path, data in KEPT.items():
        amounts: list[int] = []
        assert place.source.sha256(found(place, path), progress=amounts.append) == hashlib.sha256(data).hexdigest()
        assert sum(amounts) == len(data)


def test_digest_of_a_file_that_is_gone_names_it(place: Place) -> None:
    place.fill()
    file = found(place, "models/age-v1.onnx")
    gone = SourceFile(path="models/gone.onnx", bytes=1, uri=file.uri and f"{place.name}models/gone.onnx")
    with pytest.raises(CapctlError, match=r"models/gone\.onnx") as failed:
        place.source.sha256(gone, progress=lambda _: None)
    assert failed.value.code == "model-missing"


def test_beginning_is_of_the_content(place: Place) -> None:
    place.put("models/empty", b"")
    place.fill()
    assert place.source.beginning("models/empty", 16) == b""
    for path, data in KEPT.items():
        assert place.source.beginning(path, 16) == data[:16]
    assert code_of(lambda: place.source.beginning("models/gone.onnx", 16)) == "model-missing"


def test_local_copy_holds_the_content_and_the_source_keeps_it(place: Place) -> None:
    place.fill()
    for path, data in KEPT.items():
        assert copied(place, path) == data
        assert copied(place, path) == data


def test_local_copy_of_what_is_not_there_is_an_error(place: Place) -> None:
    place.fill()
    assert code_of(lambda: copied(place, "models/gone.onnx")) == "model-missing"
