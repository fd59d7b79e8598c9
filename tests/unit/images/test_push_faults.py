"""A push against a registry that is in trouble, or has ECR's ways."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from http.client import HTTPMessage
from pathlib import Path

import pytest

from images.digests import digest_of
from images.errors import (
    BlobMissing,
    DigestMismatch,
    RegistryDenied,
    RegistryRefused,
    RegistryUnreachable,
    RepositoryMissing,
    TagImmutable,
)
from images.registry import RegistryClient
from images.transport import Attempts, Transport, retry_after_s
from tests.fakes.code_push import push_code
from tests.fakes.registry import FakeRegistry, Fault, Hold, serving
from tests.fakes.registry_calls import EXPIRED
from tests.unit.images.test_code_image import REPO, base_in, client_of, push, tree_of

NOW_S = 1_800_000_000.0


class Tokens:
    """Credentials with a number; each that is forgotten is followed by the next."""

    def __init__(self) -> None:
        self.forgotten: set[str] = set()

    def current(self) -> str:
        return f"Basic {len(self.forgotten) + 1}"

    def forget(self, refused: str) -> None:
        self.forgotten.add(refused)


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


@pytest.fixture
def client(registry: FakeRegistry, tokens: Tokens) -> RegistryClient:
    attempts = Attempts(sleep=lambda _s: None)
    return RegistryClient(registry.url, REPO, credentials=tokens.current, forget=tokens.forget, attempts=attempts)


# --- tokens


def test_push_with_an_expired_token_goes_on_with_a_new_one(
    registry: FakeRegistry, client: RegistryClient, tokens: Tokens, tmp_path: Path
) -> None:
    base, tree = base_in(registry), tree_of(tmp_path)
    registry.login = "Basic 2"
    pushed = push_code(client, base, tree, entrypoint=("x",), cache=tmp_path / "cache")
    assert registry.is_complete(REPO, pushed.tag)
    # The HEAD that was refused, the GET that told why, and the HEAD again.
    assert registry.authorizations[:3] == ["Basic 1", "Basic 1", "Basic 2"]
    assert tokens.forgotten == {"Basic 1"}


def test_token_that_expires_under_two_uploads_at_once_is_renewed_once(
    registry: FakeRegistry, client: RegistryClient, tokens: Tokens, tmp_path: Path
) -> None:
    base, tree, holds = base_in(registry), tree_of(tmp_path), (Hold(), Hold())
    registry.login = "Basic 1"
    registry.faults += [Fault("PUT", "uploads", hold=hold) for hold in holds]
    with ThreadPoolExecutor(1) as pool:
        pushing = pool.submit(push_code, client, base, tree, entrypoint=("x",), cache=tmp_path / "cache")
        assert all(hold.reached.wait(30) for hold in holds)
        registry.login = "Basic 2"
        for hold in holds:
            hold.released.set()
        assert registry.is_complete(REPO, pushing.result().tag)
    assert tokens.forgotten == {"Basic 1"}
    assert registry.sessions == 4


@pytest.mark.parametrize("is_plain", [True, False])
def test_expired_upload_starts_a_new_session(
    registry: FakeRegistry, client: RegistryClient, tokens: Tokens, is_plain: bool
) -> None:
    registry.faults.append(Fault("PUT", "uploads", status=403, message=f"denied: {EXPIRED}", is_plain=is_plain))
    digest = client.upload_blob(b"content")
    assert registry.blobs[(REPO, digest)] == b"content"
    assert [line.rsplit("/", 1)[-1] for line in registry.log] == ["", "s1", "", "s2"]
    assert registry.authorizations[2:] == ["Basic 2"] * 2


def test_token_that_is_refused_though_it_is_new_is_denied(
    registry: FakeRegistry, client: RegistryClient, tokens: Tokens
) -> None:
    registry.login = "another"
    with pytest.raises(RegistryDenied, match="expired"):
        client.upload_blob(b"content")
    assert registry.authorizations == ["Basic 1", "Basic 2"]


def test_missing_permission_costs_neither_a_token_nor_another_attempt(
    registry: FakeRegistry, client: RegistryClient, tokens: Tokens
) -> None:
    registry.faults.append(Fault("POST", "uploads", status=403, code="DENIED", message="not authorized", times=9))
    with pytest.raises(RegistryDenied, match="not authorized"):
        client.upload_blob(b"content")
    assert (len(registry.log), tokens.forgotten) == (1, set())


# --- waiting


@pytest.mark.parametrize(
    ("asked", "date", "wait_s"),
    [
        ("7", None, 7),
        ("1.5", None, 1.5),
        ("-3", None, 0),
        ("3600", None, 60),
        (formatdate(NOW_S + 9, usegmt=True), None, 9),
        (formatdate(NOW_S - 9, usegmt=True), None, 0),
        # The registry's clock is an hour ahead: it asks for nine seconds.
        (formatdate(NOW_S + 3609, usegmt=True), formatdate(NOW_S + 3600, usegmt=True), 9),
        ("soon", None, 0),
        ("nan", None, 0),
        ("", None, 0),
    ],
)
def test_retry_after_is_understood_in_both_forms(asked: str, date: str | None, wait_s: float) -> None:
    headers = HTTPMessage()
    for name, value in (("Retry-After", asked), ("Date", date)):
        if value is not None:
            headers[name] = value
    assert retry_after_s(headers, now_s=NOW_S) == wait_s


def test_date_in_retry_after_is_waited_for(registry: FakeRegistry) -> None:
    waits: list[float] = []
    far = {"Retry-After": "Fri, 31 Dec 2100 23:59:59 GMT"}
    registry.faults.append(Fault("POST", "uploads", status=429, code="TOOMANYREQUESTS", headers=far))
    RegistryClient(registry.url, REPO, attempts=Attempts(sleep=waits.append)).upload_blob(b"content")
    assert waits == [60]


# --- connections


@pytest.mark.parametrize("after", [0, 1, 100, 300_000])
def test_upload_that_is_reset_in_the_middle_of_its_blob_starts_again(registry: FakeRegistry, after: int) -> None:
    content = os.urandom(400_000)
    registry.faults.append(Fault("PUT", "uploads", reset_after=after, times=2))
    digest = client_of(registry).upload_blob(content)
    assert registry.blobs == {(REPO, digest): content}
    assert registry.sessions == 3
    # To go on in one of these sessions would be refused.
    assert registry.received == {"s1": content[:after], "s2": content[:after]}


@pytest.mark.parametrize("after", [0, 3])
def test_download_that_is_reset_in_the_middle_is_repeated(registry: FakeRegistry, after: int) -> None:
    digest = client_of(registry).upload_blob(b"content")
    registry.faults.append(Fault("GET", "blobs", reset_after=after, times=4))
    assert client_of(registry).get_blob(digest) == b"content"


def test_stream_that_is_reset_goes_on_where_it_was(registry: FakeRegistry) -> None:
    digest = client_of(registry).upload_blob(b"content")
    registry.faults.append(Fault("GET", "blobs", reset_after=2, times=4))
    with client_of(registry).open_blob(digest, 7) as stream:
        assert stream.read(3) + stream.read() == b"content"
    registry.faults.append(Fault("GET", "blobs", reset_after=2, times=5))
    with pytest.raises(RegistryUnreachable, match="broke off"), client_of(registry).open_blob(digest, 7) as stream:
        stream.read()


def test_connection_that_is_cut_at_every_attempt_is_told_as_cut(registry: FakeRegistry) -> None:
    registry.repositories = {"another"}
    with pytest.raises(RegistryUnreachable) as failed:
        client_of(registry).upload_blob(b"content")
    assert failed.value.is_cut
    assert len(registry.log) == 5
    with pytest.raises(RegistryUnreachable) as failed:
        RegistryClient("http://127.0.0.1:9", REPO, attempts=Attempts(count=1)).head_manifest("v1")
    assert not failed.value.is_cut


def test_registry_that_says_so_has_no_repository(registry: FakeRegistry) -> None:
    registry.repositories, registry.cuts_unknown = {"another"}, False
    client = client_of(registry)
    assert client.head_manifest("v1") is None
    for call in (lambda: client.upload_blob(b"content"), lambda: client.get_manifest("v1")):
        with pytest.raises(RepositoryMissing):
            call()


# --- ECR's ways


def test_upload_is_never_in_chunks_which_this_registry_damages(registry: FakeRegistry, tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "data.bin").write_bytes(os.urandom(3_000_000))
    pushed = push(registry, base_in(registry), tree_of(tmp_path), tmp_path)
    assert registry.is_complete(REPO, pushed.tag)
    assert not any(line.startswith("PATCH") for line in registry.log)
    transport = Transport(registry.url)
    location = transport.send("POST", f"/v2/{REPO}/blobs/uploads/", expected=frozenset({202})).headers["Location"]
    for chunk in (b"con", b"tent"):
        transport.send("PATCH", location, expected=frozenset({201}), body=chunk)
    with pytest.raises(DigestMismatch):
        transport.send("PUT", f"{location}&digest={digest_of(b'content')}", expected=frozenset({201}))


def test_session_that_lost_count_of_its_bytes_is_not_used_again(registry: FakeRegistry) -> None:
    message = "First byte of the layer part is 0 instead of 7"
    registry.faults.append(Fault("PUT", "uploads", status=416, code="BLOB_UPLOAD_INVALID", message=message))
    assert client_of(registry).upload_blob(b"content") == digest_of(b"content")
    assert registry.sessions == 2


@pytest.mark.parametrize("absolute", [True, False])
def test_query_of_an_uploads_address_is_kept(registry: FakeRegistry, absolute: bool) -> None:
    registry.absolute_locations = absolute
    digest = client_of(registry).upload_blob(b"content")
    assert registry.targets[1] == f"/v2/{REPO}/blobs/uploads/s1?_state=x&digest={digest.replace(':', '%3A')}"


def test_upload_without_an_address_is_refused(registry: FakeRegistry) -> None:
    registry.faults.append(Fault("POST", "uploads", status=202))
    with pytest.raises(RegistryRefused, match="without saying where"):
        client_of(registry).upload_blob(b"content")


def test_blob_that_is_there_at_the_end_of_its_upload_is_uploaded(registry: FakeRegistry) -> None:
    registry.faults.append(Fault("PUT", "uploads", status=400, code="LAYER_ALREADY_EXISTS"))
    assert client_of(registry).upload_blob(b"content") == digest_of(b"content")


@pytest.mark.parametrize("family", ["docker", "oci"])
@pytest.mark.parametrize(
    "says",
    [
        ("MANIFEST_BLOB_UNKNOWN", "blob unknown"),
        ("BLOB_UNKNOWN", "blob unknown to registry"),
        ("LAYERS_NOT_FOUND", "Layers with digests do not exist"),
    ],
)
def test_base_layer_that_is_nowhere_is_named_whatever_the_registry_calls_it(
    registry: FakeRegistry, tmp_path: Path, says: tuple[str, str], family: str
) -> None:
    base = base_in(registry, family=family)
    layer = registry.manifest(REPO, base.digest)["layers"][0]["digest"]
    del registry.blobs[(REPO, layer)]
    registry.says_missing = says
    with pytest.raises(BlobMissing, match=layer):
        push(registry, base, tree_of(tmp_path), tmp_path)
    assert registry.tags == {}


def test_blobs_that_lie_elsewhere_are_read_without_credentials(
    registry: FakeRegistry, client: RegistryClient, tmp_path: Path
) -> None:
    with serving() as storage:
        base = base_in(registry)
        storage.blobs = registry.blobs
        registry.blobs_at, registry.login = storage.url, "Basic 1"
        pushed = push_code(client, base, tree_of(tmp_path), entrypoint=("x",), cache=tmp_path / "cache")
        assert registry.is_complete(REPO, pushed.tag)
        assert storage.authorizations == [None]


def test_registry_that_names_no_digest_is_read_instead(registry: FakeRegistry, tmp_path: Path) -> None:
    base, tree = base_in(registry), tree_of(tmp_path)
    registry.names_digest = False
    first = push(registry, base, tree, tmp_path)
    second = push(registry, base, tree, tmp_path)
    assert (second.digest, second.unchanged, second.requests) == (first.digest, True, 2)


def test_tag_that_the_registry_refuses_and_does_not_have_is_told_in_its_words(registry: FakeRegistry) -> None:
    registry.faults.append(Fault("PUT", "manifests", status=400, code="TAG_INVALID", message="tag is too long"))
    with pytest.raises(TagImmutable, match="tag is too long"):
        client_of(registry).put_manifest("v1", b"{}", "x")
