"""Which object of a bucket a job reads, where the bucket keeps the ones that were replaced."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from analyzer import transfer
from analyzer.contract import Location
from analyzer.errors import InputUnreadable
from analyzer.submission import requests_of

BUCKET = "versioned-videos"


@pytest.fixture
def client(object_store: tuple[dict[str, str], Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    variables, client = object_store
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    where = {"LocationConstraint": variables["AWS_DEFAULT_REGION"]}
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return client


def announced(key: str, **of_object: str) -> Location:
    record = {"s3": {"bucket": {"name": BUCKET}, "object": {"key": key, **of_object}}}
    body = json.dumps({"Records": [{"eventName": "ObjectCreated:Put", **record}]})
    (request,) = requests_of(body, {"RESULT_URL": "s3://results"}).requests
    return request.video


@pytest.mark.rehearsal
def test_object_that_was_announced_is_read_also_after_it_was_replaced(client: Any, tmp_path: Path) -> None:
    first, second = (client.put_object(Bucket=BUCKET, Key="a.mp4", Body=body) for body in (b"first", b"second"))
    read, identities = [], []
    for versions in ({"versionId": first["VersionId"]}, {"versionId": second["VersionId"]}, {}):
        source = transfer.identify(announced("a.mp4", eTag="e", **versions))
        identities.append(source.identity)
        read.append(transfer.fetch(source, tmp_path, lambda *_: None).read_bytes())
    assert read == [b"first", b"second", b"second"]
    assert [identity["version"] for identity in identities] == [first["VersionId"], second["VersionId"], None]
    client.delete_object(Bucket=BUCKET, Key="a.mp4", VersionId=first["VersionId"])
    with pytest.raises(InputUnreadable, match=rf"a\.mp4\?versionId={first['VersionId']}` does not exist"):
        transfer.identify(announced("a.mp4", versionId=first["VersionId"], eTag="e"))
