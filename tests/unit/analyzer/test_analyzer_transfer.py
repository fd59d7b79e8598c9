from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyzer import transfer
from analyzer.contract import Location
from analyzer.errors import AnalyzerError, DependencyDown, InputUnreadable, Interrupted, Mismatch


def test_publish_writes_the_document_last_and_takes_new_files_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    for name in ("a.jsonl", "result.json", "thumbnails/t.jpg"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    written: list[str] = []

    def write(path: Path, content: bytes) -> None:
        if path.name == "result.json":
            raise Interrupted("SIGTERM")
        path.write_bytes(content)
        written.append(path.name)

    monkeypatch.setattr(transfer, "write_atomically", write)
    with pytest.raises(Interrupted):
        transfer.publish(source, Location.parse(str(target), name="x"))
    assert written == ["a.jsonl", "t.jpg"]
    assert [path for path in target.rglob("*") if path.is_file()] == []


class FakeClient:
    def __init__(self, error: Exception | None = None, body: bytes = b"") -> None:
        self._error, self._body = error, body

    def get_object(self, **_: str) -> dict[str, Any]:
        if self._error:
            raise self._error
        chunks = [self._body[i : i + 3] for i in range(0, len(self._body), 3)]
        body = type("Body", (), {"iter_chunks": lambda _self, _size: iter(chunks)})()
        return {"ContentLength": len(self._body), "Body": body}

    put_object = get_object


def client_error(code: str) -> Exception:
    from botocore.exceptions import ClientError

    return ClientError({"Error": {"Code": code, "Message": "m"}}, "GetObject")


def unreachable() -> Exception:
    from botocore.exceptions import EndpointConnectionError

    return EndpointConnectionError(endpoint_url="http://127.0.0.1:1")


def no_credentials() -> Exception:
    from botocore.exceptions import NoCredentialsError

    return NoCredentialsError()


@pytest.fixture
def use_client(monkeypatch: pytest.MonkeyPatch) -> Callable[[FakeClient], None]:
    import boto3

    return lambda client: monkeypatch.setattr(boto3, "client", lambda *_, **__: client)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (lambda: client_error("NoSuchKey"), InputUnreadable),
        (lambda: client_error("NoSuchBucket"), InputUnreadable),
        (lambda: client_error("AccessDenied"), Mismatch),
        (lambda: client_error("SlowDown"), DependencyDown),
        (unreachable, DependencyDown),
        (no_credentials, Mismatch),
        (lambda: ConnectionResetError(104, "reset"), DependencyDown),
    ],
)
def test_store_faults_are_told_apart(
    error: Callable[[], Exception],
    kind: type[AnalyzerError],
    use_client: Callable[[FakeClient], None],
    tmp_path: Path,
) -> None:
    use_client(FakeClient(error()))
    with pytest.raises(kind, match="s3://bucket/some/key"):
        transfer.fetch(Location.parse("s3://bucket/some/key", name="x"), tmp_path, lambda *_: None)


def test_disk_that_would_be_too_full_tells_what_is_kept_free(
    use_client: Callable[[FakeClient], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_client(FakeClient(body=b"video"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10, 9, 231436288))
    with pytest.raises(
        DependencyDown, match=r"has 5 bytes, and 268435456 bytes of .* kept free .* only 231436288"
    ) as full:
        transfer.fetch(Location.parse("s3://bucket/key", name="x"), tmp_path, lambda *_: None)
    assert (full.value.code, full.value.exit_code.meaning) == ("disk-full", "dependency down or disk full")


def test_absent_result_bucket_is_a_configuration_fault(
    use_client: Callable[[FakeClient], None], tmp_path: Path
) -> None:
    (tmp_path / "result.json").write_text("{}")
    use_client(FakeClient(client_error("NoSuchBucket")))
    with pytest.raises(Mismatch, match=r"s3://bucket/p/result\.json"):
        transfer.publish(tmp_path, Location.parse("s3://bucket/p", name="x"))


def test_local_name_never_comes_from_the_key(use_client: Callable[[FakeClient], None], tmp_path: Path) -> None:
    body = np.random.default_rng(0).bytes(100)
    use_client(FakeClient(body=body))
    path = transfer.fetch(Location.parse("s3://bucket/../../etc/passwd", name="x"), tmp_path, lambda *_: None)
    assert path == tmp_path / "input.bin"
    assert path.read_bytes() == body
