"""What every `ports.RepositoryImages` does: in memory, and by ECR's API in front of a real registry."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lifecycle.adapters.aws.repository_images import EcrImages
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.domain.digest import Digest, digest_of
from lifecycle.domain.repository_image import ManifestContent
from lifecycle.errors import CapctlError
from lifecycle.ports.repository_images import RepositoryImages
from lifecycle.rehearsal.child import free_port
from lifecycle.rehearsal.emulator.launch import Emulator, EmulatorOptions
from lifecycle.rehearsal.services.registry import RunningRegistry, start_registry
from tests.contract.registry_parts import Pushing
from tests.failures import code_of
from tests.fakes.clock import FakeClock
from tests.fakes.images import FakeImageRegistry
from tests.fakes.repository_images import FakeRepositoryImages
from tests.fakes.targets import make_target
from tests.rehearsal.stage_parts import until


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """`push` takes a tag or "", and layers; `index` a tag and children; `pull` lets somebody pull an image."""

    images: RepositoryImages
    push: Callable[..., Digest]
    index: Callable[..., Digest]
    pull: Callable[[Digest], object]

    def digests(self) -> list[Digest]:
        return [image.digest for image in self.images.list()]

    def content(self, digest: Digest) -> ManifestContent:
        return self.images.contents(self.images.list())[digest]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningRegistry, Emulator]]:
    home, rehearsal, port = tmp_path_factory.mktemp("ecr"), f"test-{uuid.uuid4().hex[:8]}", free_port()
    events = f"http://127.0.0.1:{port}/_capctl/registry-events"
    options = EmulatorOptions(state=home / "state", rehearsal=rehearsal, port=port)
    with start_registry(home / "registry", rehearsal, events_url=events) as registry:
        options = EmulatorOptions(state=home / "state", rehearsal=rehearsal, port=port, registry=registry.address)
        with Emulator(options) as emulator:
            yield registry, emulator


@pytest.fixture(params=["fake", pytest.param("emulator", marks=pytest.mark.rehearsal)])
def repository(request: pytest.FixtureRequest, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Repository:
    if request.param == "fake":
        return _in_memory()
    registry, emulator = request.getfixturevalue("stage")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    name = f"team/contract-{uuid.uuid4().hex[:8]}"
    target = make_target(tmp_path, endpoint_url=emulator.endpoint, image={"repository": name})
    session = AwsSession(target)
    session.client("ecr").create_repository(repositoryName=name)
    images, pushing = EcrImages(target, session), Pushing(registry, name)

    def arrived(digest: Digest) -> Digest:
        # What has no tag is known by the registry's notification.
        until(lambda: images.exists(digest))
        return digest

    def pull(digest: Digest) -> None:
        before = {image.digest: image.pulled_at for image in images.list()}[digest]
        pushing.pull(digest)
        until(lambda: {image.digest: image.pulled_at for image in images.list()}[digest] != before)

    return Repository(
        images=images,
        push=lambda tag, *layers, **relatives: arrived(pushing.image(tag, *layers, **relatives)[0]),
        index=lambda tag, *children: arrived(pushing.index(tag, *children)),
        pull=pull,
    )


def _in_memory() -> Repository:
    clock = FakeClock(datetime.now(UTC))
    images = FakeRepositoryImages(FakeImageRegistry(), clock)

    def add(tag: str, content: ManifestContent) -> Digest:
        clock.sleep(1)
        return images.add(uuid.uuid4().hex, *([tag] if tag else []), content=content).digest

    def push(tag: str, *layers: bytes, base: Digest | None = None, subject: Digest | None = None) -> Digest:
        blobs = {digest_of(layer): len(layer) for layer in layers}
        told = ManifestContent(layers=tuple(blobs), blobs={**blobs, digest_of(b"{}"): 2}, base=base, subject=subject)
        return add(tag, told)

    return Repository(
        images=images,
        push=push,
        index=lambda tag, *children: add(tag, ManifestContent(children=children)),
        pull=lambda digest: images.pulled.update({digest: clock.now()}),
    )


def test_pushed_image_is_listed_with_its_tag_its_age_and_its_size(repository: Repository) -> None:
    assert repository.images.list() == ()
    digest = repository.push("code-a", b"one", b"two!")
    (found,) = repository.images.list()
    assert (found.digest, found.tags, found.size_bytes, found.pulled_at) == (digest, ("code-a",), 9, None)
    assert found.pushed_at is not None
    assert abs(found.pushed_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_image_without_a_tag_is_listed(repository: Repository) -> None:
    digest = repository.push("", b"one")
    assert [(image.digest, image.tags) for image in repository.images.list()] == [(digest, ())]


def test_manifest_tells_layers_relatives_and_bytes(repository: Repository) -> None:
    base = repository.push("base-a", b"one")
    code = repository.push("code-a", b"one", b"two!", base=base)
    signature = repository.push("", b"signed", subject=code)
    index = repository.index("v1", base, code)
    assert repository.content(code).layers == (digest_of(b"one"), digest_of(b"two!"))
    assert repository.content(code).blobs == {digest_of(b"one"): 3, digest_of(b"two!"): 4, digest_of(b"{}"): 2}
    assert (repository.content(code).base, repository.content(base).base) == (base, None)
    assert (repository.content(signature).subject, repository.content(code).subject) == (code, None)
    assert repository.content(index).children == (base, code)


def test_pull_is_told(repository: Repository) -> None:
    digest = repository.push("code-a", b"one")
    repository.pull(digest)
    pulled = repository.images.list()[0].pulled_at
    assert pulled is not None
    assert abs(pulled - datetime.now(UTC)) < timedelta(minutes=1)


def test_first_look_at_a_manifest_is_a_pull_and_no_other_look_is(repository: Repository) -> None:
    digest = repository.push("code-a", b"one")
    listed = repository.images.list()
    assert repository.images.known(listed) == {}
    found = repository.images.contents(listed)
    pulled = repository.images.list()[0].pulled_at
    assert pulled is not None
    assert repository.images.known(listed) == repository.images.contents(listed) == found
    assert [(one.digest, one.pulled_at) for one in repository.images.list()] == [(digest, pulled)]


def test_deleted_image_is_gone_with_its_tags_and_the_others_stay(repository: Repository) -> None:
    stays, goes = repository.push("code-a", b"one"), repository.push("code-b", b"two")
    bare = repository.push("", b"three")
    assert repository.images.delete([goes, bare]) == {}
    assert repository.digests() == [stays]
    assert [repository.images.exists(one) for one in (stays, goes, bare)] == [True, False, False]


def test_image_that_is_gone_is_no_failure_to_delete_and_left_out_of_contents(repository: Repository) -> None:
    digest = repository.push("code-a", b"one")
    listed = repository.images.list()
    assert repository.images.delete([digest]) == {}
    assert repository.images.delete([digest]) == {}
    assert repository.images.contents(listed) == {}
    assert repository.images.contents([]) == {}


# What ECR alone does.


@pytest.mark.rehearsal
@pytest.mark.parametrize("repository", ["emulator"], indirect=True)
def test_image_that_an_index_names_cannot_go_before_it(repository: Repository) -> None:
    child = repository.push("", b"one")
    index = repository.index("v1", child)
    (why,) = repository.images.delete([child]).values()
    assert "ImageReferencedByManifestList" in why
    assert set(repository.digests()) == {child, index}
    assert repository.images.delete([index]) == repository.images.delete([child]) == {}
    assert repository.digests() == []


@pytest.mark.rehearsal
def test_repository_that_does_not_exist_is_told(
    stage: tuple[RunningRegistry, Emulator], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    target = make_target(tmp_path, endpoint_url=stage[1].endpoint, image={"repository": "nowhere"})
    images = EcrImages(target, AwsSession(target))
    digest = digest_of(b"any")
    asked: Sequence[Callable[[], object]] = (
        images.list,
        lambda: images.delete([digest]),
        lambda: images.exists(digest),
    )
    assert {code_of(ask) for ask in asked} == {"repository-missing"}
    with pytest.raises(CapctlError) as failed:
        images.list()
    assert failed.value.message == "ECR has no repository `nowhere` in us-west-2"
