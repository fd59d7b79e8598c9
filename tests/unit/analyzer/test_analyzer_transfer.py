from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyzer import transfer
from analyzer.contract import Location
from analyzer.errors import AnalyzerError, DependencyDown, InputUnreadable, Mismatch


class FakeClient:
    """One object; `errors` are raised first, each once, by whatever asks; a body breaks off after `breaks` chunks, each time once."""

    def __init__(self, *errors: Exception, body: bytes = b"", breaks: Sequence[int] = ()) -> None:
        self._errors, self._body, self._breaks = list(errors), body, list(breaks)
        self.ranges: list[str] = []

    def head_object(self, **_: str) -> dict[str, Any]:
        self._fail()
        return {"ContentLength": len(self._body), "ETag": '"tag"'}

    def get_object(self, **asked: str) -> dict[str, Any]:
        self._fail()
        assert asked["IfMatch"] == '"tag"'
        self.ranges.append(asked["Range"])
        return {"Body": self}

    def iter_chunks(self, _size: int) -> Iterator[bytes]:
        first = int(self.ranges[-1].removeprefix("bytes=").removesuffix("-"))
        limit = self._breaks.pop(0) if self._breaks else len(self._body)
        for number, start in enumerate(range(first, len(self._body), 3)):
            if number == limit:
                raise broken()
            yield self._body[start : start + 3]

    def _fail(self) -> None:
        if self._errors:
            raise self._errors.pop(0)


def fetch(url: str, scratch: Path) -> Path:
    return transfer.fetch(transfer.identify(Location.parse(url, name="x")), scratch, lambda *_: None)


def client_error(code: str) -> Exception:
    from botocore.exceptions import ClientError

    return ClientError({"Error": {"Code": code, "Message": "m"}}, "GetObject")


def broken() -> Exception:
    from botocore.exceptions import ResponseStreamingError

    return ResponseStreamingError(error="reset")


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
        fetch("s3://bucket/some/key", tmp_path)


def test_disk_that_would_be_too_full_tells_what_is_kept_free(
    use_client: Callable[[FakeClient], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_client(FakeClient(body=b"video"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10, 9, 231436288))
    with pytest.raises(
        DependencyDown, match=r"has 5 bytes, and 268435456 bytes of .* kept free .* only 231436288"
    ) as full:
        fetch("s3://bucket/key", tmp_path)
    assert (full.value.code, full.value.exit_code.meaning) == ("disk-full", "dependency down or disk full")


def test_disk_that_fills_up_meanwhile_is_told(use_client: Callable[[FakeClient], None], tmp_path: Path) -> None:
    use_client(FakeClient(body=b"0123456789"))
    (tmp_path / transfer.LOCAL_NAME).symlink_to("/dev/full")
    with pytest.raises(DependencyDown, match="No space left on device") as caught:
        fetch("s3://bucket/key", tmp_path)
    assert caught.value.code == "transfer-failed"


def test_a_download_goes_on_where_it_broke_off_unless_the_object_is_another_one_by_now(
    use_client: Callable[[FakeClient], None], tmp_path: Path
) -> None:
    client = FakeClient(body=b"0123456789", breaks=[2, 0, 1])
    use_client(client)
    assert fetch("s3://bucket/key", tmp_path).read_bytes() == b"0123456789"
    assert client.ranges == ["bytes=0-", "bytes=6-", "bytes=6-", "bytes=9-"]
    changed = FakeClient(body=b"0123456789", breaks=[2])
    use_client(changed)
    source = transfer.identify(Location.parse("s3://bucket/key", name="x"))
    changed._errors.append(client_error("PreconditionFailed"))
    with pytest.raises(DependencyDown, match="was replaced while it was being read") as caught:
        transfer.fetch(source, tmp_path, lambda *_: None)
    assert caught.value.code == "object-changed"


def test_a_download_that_breaks_off_again_and_again_without_progress_fails(
    use_client: Callable[[FakeClient], None], tmp_path: Path
) -> None:
    use_client(FakeClient(body=b"0123456789", breaks=[1, *[0] * 10]))
    with pytest.raises(DependencyDown, match="s3://bucket/key"):
        fetch("s3://bucket/key", tmp_path)


def test_local_name_never_comes_from_the_key(use_client: Callable[[FakeClient], None], tmp_path: Path) -> None:
    body = np.random.default_rng(0).bytes(100)
    use_client(FakeClient(body=body))
    path = fetch("s3://bucket/../../etc/passwd", tmp_path)
    assert path == tmp_path / "input.bin"
    assert path.read_bytes() == body
