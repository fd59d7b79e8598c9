"""What the adapter makes of ECR's answers, of which an emulator gives none that is strange."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from lifecycle.adapters.aws.repository_images import EcrImages
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.domain.digest import Digest, digest_of
from lifecycle.domain.repository_image import RepositoryImage
from lifecycle.errors import CapctlError
from tests.failures import code_of
from tests.fakes.targets import make_target

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def manifest(name: str) -> str:
    return json.dumps({"layers": [{"digest": digest_of(name.encode()), "size": 1}]})


def digest(name: str) -> Digest:
    return digest_of(manifest(name).encode())


class Ecr:
    """ECR as boto3 shows it. `details` are what it describes, `given` the manifests that it gives otherwise; `asked` counts ids a call."""

    def __init__(self, *names: str) -> None:
        self.manifests = {digest(name): manifest(name) for name in names}
        self.details: list[dict[str, Any]] = [{"imageDigest": one} for one in self.manifests]
        self.failures: dict[str, str] = {}
        self.asked: list[tuple[str, int]] = []

    def client(self, service: str) -> Ecr:
        assert service == "ecr"
        return self

    def get_paginator(self, call: str) -> Ecr:
        assert call == "describe_images"
        return self

    def paginate(self, **_: Any) -> Iterator[dict[str, Any]]:
        yield from ({"imageDetails": [detail]} for detail in self.details)

    def batch_get_image(self, *, imageIds: list[dict[str, str]], **_: Any) -> dict[str, Any]:  # noqa: N803
        return self._answer("get", imageIds, "images")

    def batch_delete_image(self, *, imageIds: list[dict[str, str]], **_: Any) -> dict[str, Any]:  # noqa: N803
        return self._answer("delete", imageIds, "imageIds")

    def _answer(self, call: str, ids: list[dict[str, str]], key: str) -> dict[str, Any]:
        self.asked.append((call, len(ids)))
        wanted = [one["imageDigest"] for one in ids]
        there = [one for one in wanted if one in self.manifests and one not in self.failures]
        failed = {one: self.failures.get(one, "ImageNotFound") for one in wanted if one not in there}
        return {
            key: [{"imageId": {"imageDigest": one}, "imageManifest": self.manifests[Digest(one)]} for one in there],
            "failures": [{"imageId": {"imageDigest": one}, "failureCode": code} for one, code in failed.items()],
        }


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def images(ecr: Ecr) -> EcrImages:
    return EcrImages(make_target(Path()), cast("AwsSession", ecr))


def of(*names: str) -> list[RepositoryImage]:
    return [RepositoryImage(digest=digest(name)) for name in names]


def test_pages_are_read_to_the_end_and_what_is_not_told_is_not_known() -> None:
    found = images(Ecr("a", "b")).list()
    assert {image.digest for image in found} == {digest("a"), digest("b")}
    assert {(image.pushed_at, image.pulled_at, image.size_bytes, image.tags) for image in found} == {
        (None, None, None, ())
    }


def test_calls_take_a_hundred_images_each() -> None:
    names = [str(number) for number in range(250)]
    ecr = Ecr(*names)
    assert len(images(ecr).contents(of(*names))) == 250
    assert images(ecr).delete([digest(name) for name in names]) == {}
    assert ecr.asked == [("get", 100), ("get", 100), ("get", 50), ("delete", 100), ("delete", 100), ("delete", 50)]


def test_manifest_is_asked_for_once() -> None:
    ecr = Ecr("a")
    assert images(ecr).contents(of("a")) == images(ecr).contents(of("a"))
    assert ecr.asked == [("get", 1)]


def test_damaged_record_of_a_manifest_is_read_again(cache: Path) -> None:
    ecr = Ecr("a")
    known = images(ecr).contents(of("a"))
    (file,) = (path for path in cache.rglob("*") if path.is_file())
    for text in ("", "[]", file.read_text().replace("layers", "lawyers")):
        file.write_text(text)
        assert images(ecr).contents(of("a")) == known
    assert len(ecr.asked) == 4


def test_image_that_stays_is_told_with_ecrs_reason_and_one_that_is_gone_is_not() -> None:
    ecr = Ecr("a")
    ecr.failures[digest("a")] = "KmsError"
    assert images(ecr).delete([digest("a"), digest("gone")]) == {digest("a"): "`KmsError`, no reason given"}


def test_manifest_that_ecr_does_not_give_is_a_failure_and_one_that_is_gone_is_left_out() -> None:
    ecr = Ecr("a")
    assert images(ecr).contents(of("a", "gone")).keys() == {digest("a")}
    ecr.failures[digest("b")] = "ImageInaccessible"
    assert code_of(lambda: images(ecr).contents(of("a", "b"))) == "manifest-unsupported"


@pytest.mark.parametrize(
    ("given", "code"),
    [(manifest("other"), "digest-mismatch"), ("[]", "manifest-unsupported"), ("no", "manifest-unsupported")],
)
def test_manifest_that_is_another_or_none_is_a_failure(given: str, code: str) -> None:
    ecr = Ecr()
    name = digest("a") if code == "digest-mismatch" else digest_of(given.encode())
    ecr.manifests[name] = given
    with pytest.raises(CapctlError) as failed:
        images(ecr).contents([RepositoryImage(digest=name)])
    assert failed.value.code == code
    assert name in failed.value.message
