from __future__ import annotations

import random
from functools import partial
from typing import Any

import pytest

from images.digests import digest_of
from images.errors import (
    BlobMissing,
    DigestMismatch,
    ImageMissing,
    RegistryDenied,
    RegistryRefused,
    RegistryThrottled,
    RegistryUnreachable,
    RepositoryMissing,
    TagImmutable,
)
from images.media_types import DOCKER
from images.registry import RegistryClient
from images.transport import Attempts, Transport

REPO = "job"


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def client(registry: Any, waits: list[float]) -> RegistryClient:
    attempts = Attempts(sleep=waits.append, jitter=partial(random.Random(1).uniform, 0))
    return RegistryClient(registry.url, REPO, attempts=attempts)


def put_image(registry: Any) -> tuple[str, bytes]:
    digest = registry.add_image(REPO, {"rootfs": {"diff_ids": []}}, [b"layer"])
    return digest, registry.manifests[(REPO, digest)][1]


def test_upload_is_one_post_and_one_put(registry: Any, client: RegistryClient) -> None:
    digest = client.upload_blob(b"content")
    assert registry.blobs[(REPO, digest)] == b"content"
    assert [line.split("/")[0] for line in registry.log] == ["POST ", "PUT "]
    assert (client.requests_sent, client.bytes_sent) == (2, 7)


def test_upload_that_fails_starts_a_new_session(registry: Any, client: RegistryClient, fault: Any, waits: Any) -> None:
    registry.faults.append(fault("PUT", "uploads/", status=500))
    digest = client.upload_blob(b"content")
    assert registry.blobs[(REPO, digest)] == b"content"
    assert [line.rsplit("/", 1)[-1] for line in registry.log] == ["", "s1", "", "s2"]
    assert len(waits) == 1


def test_upload_whose_answer_is_lost_is_repeated(registry: Any, client: RegistryClient, fault: Any) -> None:
    registry.faults.append(fault("PUT", "uploads/", lose_answer=True))
    digest = client.upload_blob(b"content")
    assert registry.blobs[(REPO, digest)] == b"content"
    assert registry.sessions == 2


def test_waits_grow_with_jitter_and_respect_retry_after(
    registry: Any, client: RegistryClient, fault: Any, waits: list[float]
) -> None:
    registry.faults.append(fault("HEAD", "blobs", status=503, times=3))
    registry.faults.append(fault("HEAD", "blobs", status=429, headers={"Retry-After": "7"}))
    assert client.head_blob(digest_of(b"x")) is False
    assert all(wait <= 0.2 * 2 ** (number + 1) for number, wait in enumerate(waits[:3]))
    assert waits[3] == 7
    assert len({*waits}) == 4


def test_five_attempts_then_unreachable(registry: Any, client: RegistryClient, fault: Any, waits: list[float]) -> None:
    registry.faults.append(fault("GET", "manifests", status=502, times=99))
    with pytest.raises(RegistryUnreachable, match="`502` to GET"):
        client.get_manifest("v1")
    assert (len(registry.log), len(waits)) == (5, 4)


def test_throttled_on_every_attempt(registry: Any, client: RegistryClient, fault: Any) -> None:
    registry.faults.append(fault("POST", "uploads", status=429, code="TOOMANYREQUESTS", times=99))
    with pytest.raises(RegistryThrottled):
        client.upload_blob(b"x")


def test_closed_port_is_unreachable_with_the_address() -> None:
    client = RegistryClient("http://127.0.0.1:9", REPO, attempts=Attempts(count=2, sleep=lambda _s: None))
    with pytest.raises(RegistryUnreachable, match=r"127\.0\.0\.1:9") as caught:
        client.head_manifest("v1")
    assert caught.value.code == "registry-unreachable"
    assert caught.value.hint


@pytest.mark.parametrize("status", [401, 403])
def test_denied_is_not_repeated(registry: Any, client: RegistryClient, fault: Any, status: int) -> None:
    registry.faults.append(fault("GET", "manifests", status=status, times=99))
    with pytest.raises(RegistryDenied):
        client.get_manifest("v1")
    assert len(registry.log) == 1


def test_reason_of_a_head_that_is_denied_is_asked_for_by_a_get(
    registry: Any, client: RegistryClient, fault: Any
) -> None:
    registry.faults.append(fault("", "manifests", status=403, message="no `ecr:BatchGetImage`", times=99))
    with pytest.raises(RegistryDenied, match="ecr:BatchGetImage"):
        client.head_manifest("v1")
    assert [line.split()[0] for line in registry.log] == ["HEAD", "GET"]
    registry.faults[:] = [fault("HEAD", "manifests", status=403)]
    with pytest.raises(RegistryDenied, match="`403` to HEAD"):
        client.head_manifest("v1")


def test_expired_token_is_named_in_the_hint(registry: Any, client: RegistryClient, fault: Any) -> None:
    message = "denied: Your authorization token has expired. Reauthenticate and try again."
    registry.faults.append(fault("POST", "uploads", status=403, code="DENIED", message=message))
    with pytest.raises(RegistryDenied) as caught:
        client.upload_blob(b"x")
    assert "expired" in caught.value.hint


def test_missing_repository_is_named(registry: Any, client: RegistryClient, fault: Any) -> None:
    registry.faults.append(fault("POST", "uploads", status=404, code="NAME_UNKNOWN", message="no such repository"))
    with pytest.raises(RepositoryMissing, match="no such repository"):
        client.upload_blob(b"x")


def test_unforeseen_answer_is_refused(registry: Any, client: RegistryClient, fault: Any) -> None:
    registry.faults.append(fault("PUT", "manifests", status=400, code="MANIFEST_INVALID"))
    with pytest.raises(RegistryRefused, match="`400`"):
        client.put_manifest("v1", b"{}", DOCKER.manifest)


def test_credentials_go_to_the_registry_and_nowhere_else(registry: Any) -> None:
    transport = Transport("http://registry.invalid", credentials=lambda: "Basic c2VjcmV0")
    transport.send("GET", f"{registry.url}/v2/{REPO}/tags/list", expected=frozenset({200}))
    RegistryClient(registry.url, REPO, credentials=lambda: "Basic c2VjcmV0").head_manifest("v1")
    assert registry.authorizations == [None, "Basic c2VjcmV0"]


def test_netrc_does_not_replace_or_add_credentials(
    registry: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    RegistryClient(registry.url, REPO).head_manifest("v1")
    RegistryClient(registry.url, REPO, credentials=lambda: "Basic eA==").head_manifest("v1")
    assert registry.authorizations == [None, "Basic eA=="]


def test_credentials_are_asked_for_at_each_request(registry: Any) -> None:
    tokens = iter(["Basic MQ==", "Basic Mg=="])
    client = RegistryClient(registry.url, REPO, credentials=lambda: next(tokens))
    client.head_manifest("v1")
    client.head_manifest("v1")
    assert registry.authorizations == ["Basic MQ==", "Basic Mg=="]


def test_manifest_by_digest_is_verified(registry: Any, client: RegistryClient, fault: Any) -> None:
    digest, raw = put_image(registry)
    assert client.get_manifest(digest).raw == raw
    registry.faults.append(fault("GET", "manifests", body=b"{}"))
    with pytest.raises(DigestMismatch, match="returned"):
        client.get_manifest(digest)


def test_missing_image_is_none_for_head_and_an_error_for_get(client: RegistryClient) -> None:
    assert client.head_manifest("none") is None
    with pytest.raises(ImageMissing, match="has no image `none`"):
        client.get_manifest("none")


def test_head_falls_back_to_the_content_where_no_digest_is_named(registry: Any, client: RegistryClient) -> None:
    digest, _ = put_image(registry)
    registry.tags[(REPO, "v1")] = digest
    registry.names_digest = False
    assert client.head_manifest("v1") == digest


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b""])
def test_what_is_no_manifest_is_refused(registry: Any, client: RegistryClient, fault: Any, body: bytes) -> None:
    registry.faults.append(fault("GET", "manifests", body=body))
    with pytest.raises(RegistryRefused, match="no manifest"):
        client.get_manifest("v1")


def test_blobs_are_verified_in_memory_and_in_streams(registry: Any, client: RegistryClient, fault: Any) -> None:
    digest = client.upload_blob(b"content")
    assert client.get_blob(digest) == b"content"
    with client.open_blob(digest, 7) as stream:
        assert stream.read(3) == b"con"
    registry.faults += [fault("GET", "blobs", body=b"other"), fault("GET", "blobs", body=b"other")]
    with pytest.raises(DigestMismatch):
        client.get_blob(digest)
    with pytest.raises(DigestMismatch), client.open_blob(digest, 7) as stream:
        stream.read()


def test_missing_blob_is_an_error(client: RegistryClient) -> None:
    with pytest.raises(ImageMissing):
        client.get_blob(digest_of(b"x"))
    with pytest.raises(BlobMissing), client.open_blob(digest_of(b"x"), 1) as stream:
        stream.read()


def test_registry_that_stores_other_bytes_is_found_out(registry: Any, client: RegistryClient, fault: Any) -> None:
    registry.faults.append(
        fault("PUT", "manifests", status=201, headers={"Docker_Content_Digest": digest_of(b"other")})
    )
    with pytest.raises(DigestMismatch):
        client.put_manifest("v1", b"{}", DOCKER.manifest)


def test_immutable_tag_with_the_same_bytes_is_success(registry: Any, client: RegistryClient) -> None:
    digest, raw = put_image(registry)
    registry.immutable = True
    registry.tags[(REPO, "v1")] = digest
    assert client.put_manifest("v1", raw, DOCKER.manifest) == digest


def test_immutable_tag_survives_a_lost_answer(registry: Any, client: RegistryClient, fault: Any) -> None:
    _, raw = put_image(registry)
    registry.immutable = True
    registry.faults.append(fault("PUT", "manifests", lose_answer=True))
    assert client.put_manifest("v1", raw, DOCKER.manifest) == digest_of(raw)


def test_immutable_tag_with_other_bytes_is_an_error_that_names_both(registry: Any, client: RegistryClient) -> None:
    _, raw = put_image(registry)
    other = registry.add_image(REPO, {"rootfs": {"diff_ids": []}}, [b"another"])
    registry.immutable = True
    registry.tags[(REPO, "v1")] = other
    with pytest.raises(TagImmutable, match=other) as caught:
        client.put_manifest("v1", raw, DOCKER.manifest)
    assert digest_of(raw) in caught.value.message


def test_blob_is_read_from_any_byte_on_of_a_registry_without_ranges(registry: Any, client: RegistryClient) -> None:
    digest = client.upload_blob(b"0123456789")
    for start in (0, 3, 9, 10):
        assert b"".join(client.blob_pieces(digest, size_bytes=10, start=start)) == b"0123456789"[start:]


def test_read_that_breaks_off_is_repeated_as_often_as_a_request(
    registry: Any, client: RegistryClient, fault: Any, waits: list[float]
) -> None:
    digest = client.upload_blob(b"0123456789")
    registry.faults.append(fault("GET", digest, missing_bytes=1, times=5))
    with pytest.raises(RegistryUnreachable, match="broke off"):
        list(client.blob_pieces(digest, size_bytes=11))
    assert len(waits) == 4


def test_blob_that_is_not_there_or_shorter_than_told_is_named(registry: Any, client: RegistryClient) -> None:
    digest = client.upload_blob(b"0123456789")
    with pytest.raises(DigestMismatch, match="10 of the 11 bytes"):
        list(client.blob_pieces(digest, size_bytes=11))
    with pytest.raises(BlobMissing):
        list(client.blob_pieces(digest_of(b"nothing"), size_bytes=11))
