"""What every `ports.ObjectStore` does."""

from __future__ import annotations

import hashlib
import urllib.request
import uuid
from pathlib import Path

import pytest

from lifecycle.adapters.aws.objects import S3Objects
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.errors import CapctlError
from lifecycle.ports.objects import ObjectStore
from tests.fakes.objects import FakeObjects

SMALL = b"small"
# More than two parts of an upload in parts.
LARGE = bytes(range(256)) * 4096 * 18


class Store:
    """A store and an empty bucket in it."""

    def __init__(self, objects: ObjectStore, bucket: str) -> None:
        self.objects = objects
        self.bucket = bucket

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"


@pytest.fixture(params=["fake", pytest.param("emulator", marks=pytest.mark.rehearsal)])
def store(request: pytest.FixtureRequest) -> Store:
    bucket = f"contract-{uuid.uuid4().hex[:12]}"
    if request.param == "fake":
        return Store(FakeObjects(bucket), bucket)
    session: AwsSession = request.getfixturevalue("emulated_session")
    session.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    return Store(S3Objects(session), bucket)


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def put(store: Store, folder: Path, key: str, data: bytes, *, sha256: str = "") -> list[int]:
    source = folder / "source"
    source.write_bytes(data)
    amounts: list[int] = []
    store.objects.put(source, store.uri(key), sha256=sha256 or sha256_of(data), progress=amounts.append)
    return amounts


@pytest.mark.parametrize("data", [b"", SMALL, LARGE], ids=["empty", "small", "in parts"])
def test_object_is_found_with_size_and_digest(store: Store, tmp_path: Path, data: bytes) -> None:
    amounts = put(store, tmp_path, "models/a", data)
    found = store.objects.find(store.uri("models/a"))
    assert found is not None
    assert (found.uri, found.bytes, found.sha256) == (store.uri("models/a"), len(data), sha256_of(data))
    assert b"".join(store.objects.chunks(store.uri("models/a"))) == data
    assert sum(amounts) == len(data)


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "in parts"])
def test_file_of_another_digest_is_refused_and_not_stored(store: Store, tmp_path: Path, data: bytes) -> None:
    with pytest.raises(CapctlError) as failed:
        put(store, tmp_path, "models/a", data, sha256="0" * 64)
    assert failed.value.code == "digest-mismatch"
    assert store.objects.find(store.uri("models/a")) is None


@pytest.mark.rehearsal
def test_refused_upload_leaves_no_parts(emulated_session: AwsSession, tmp_path: Path) -> None:
    bucket = f"contract-{uuid.uuid4().hex[:12]}"
    s3 = emulated_session.client("s3")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    with pytest.raises(CapctlError):
        put(Store(S3Objects(emulated_session), bucket), tmp_path, "a", LARGE, sha256="0" * 64)
    assert s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []


def test_missing_file_is_named(store: Store, tmp_path: Path) -> None:
    with pytest.raises(CapctlError) as failed:
        store.objects.put(tmp_path / "gone.onnx", store.uri("a"), sha256="0" * 64, progress=lambda _: None)
    assert failed.value.code == "file-unusable"
    assert "gone.onnx" in failed.value.message


def test_beginning_of_an_object_is_all_of_a_shorter_one(store: Store) -> None:
    for name, data in {"a": LARGE, "b": b"short", "c": b""}.items():
        store.objects.write(store.uri(name), data)
        assert store.objects.beginning(store.uri(name), 16) == data[:16]


def test_absent_object_is_none_to_find_and_an_error_to_read(store: Store) -> None:
    assert store.objects.find(store.uri("nothing")) is None
    with pytest.raises(CapctlError) as failed:
        b"".join(store.objects.chunks(store.uri("nothing")))
    assert failed.value.code == "object-missing"
    with pytest.raises(CapctlError) as failed:
        store.objects.beginning(store.uri("nothing"), 16)
    assert failed.value.code == "object-missing"


def test_list_is_in_the_order_of_the_keys_and_below_the_prefix(store: Store) -> None:
    for key in ("v1/b", "v1/a", "v2/a"):
        store.objects.write(store.uri(key), key.encode())
    listed = store.objects.list(store.uri("v1/"))
    assert [(item.uri, item.bytes, item.sha256) for item in listed] == [
        (store.uri("v1/a"), 4, ""),
        (store.uri("v1/b"), 4, ""),
    ]
    assert store.objects.list(store.uri("v3/")) == ()


def test_written_document_replaces_the_former(store: Store) -> None:
    store.objects.write(store.uri("evidence/i-1.json"), b"{}")
    store.objects.write(store.uri("evidence/i-1.json"), b"[]")
    assert b"".join(store.objects.chunks(store.uri("evidence/i-1.json"))) == b"[]"


def test_missing_bucket_is_named(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(SMALL)
    nowhere = f"s3://no-such-bucket-{uuid.uuid4().hex[:8]}/a"
    for call in (
        lambda: store.objects.put(source, nowhere, sha256=sha256_of(SMALL), progress=lambda _: None),
        lambda: store.objects.write(nowhere, SMALL),
        lambda: store.objects.list(nowhere),
        lambda: store.objects.remove(nowhere),
        lambda: list(store.objects.chunks(nowhere)),
        lambda: store.objects.beginning(nowhere, 16),
    ):
        with pytest.raises(CapctlError) as failed:
            call()
        assert failed.value.code == "bucket-missing"


def test_presigned_url_carries_its_own_permission(store: Store) -> None:
    store.objects.write(store.uri("a"), SMALL)
    url = store.objects.presign(store.uri("a"), expires_s=60)
    assert "X-Amz-Signature=" in url
    if isinstance(store.objects, S3Objects):
        with urllib.request.urlopen(url) as answer:
            assert answer.read() == SMALL


def test_url_to_write_takes_an_object(store: Store) -> None:
    url = store.objects.presign_write(store.uri("report.json"), expires_s=60)
    assert "X-Amz-Signature=" in url
    if isinstance(store.objects, S3Objects):
        with urllib.request.urlopen(urllib.request.Request(url, SMALL, {"Content-Type": ""}, method="PUT")):
            assert b"".join(store.objects.chunks(store.uri("report.json"))) == SMALL


def test_removed_object_is_gone_and_an_absent_one_is_no_failure(store: Store) -> None:
    store.objects.write(store.uri("a"), SMALL)
    for _ in range(2):
        store.objects.remove(store.uri("a"))
    assert store.objects.list(store.uri("")) == ()


@pytest.mark.rehearsal
def test_digest_is_read_from_the_object_that_another_tool_sent(emulated_session: AwsSession) -> None:
    bucket = f"contract-{uuid.uuid4().hex[:12]}"
    s3 = emulated_session.client("s3")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    s3.put_object(Bucket=bucket, Key="plain", Body=SMALL)
    s3.put_object(Bucket=bucket, Key="checked", Body=SMALL, ChecksumAlgorithm="SHA256", Metadata={"sha256": "0" * 64})
    s3.put_object(Bucket=bucket, Key="odd", Body=SMALL, Metadata={"sha256": "not a digest"})
    objects = S3Objects(emulated_session)
    recorded = {}
    for key in ("plain", "checked", "odd"):
        found = objects.find(f"s3://{bucket}/{key}")
        assert found is not None
        recorded[key] = found.sha256
    assert recorded == {"plain": "", "checked": sha256_of(SMALL), "odd": ""}
