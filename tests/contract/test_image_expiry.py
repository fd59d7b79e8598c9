"""What every `ports.ImageExpiry` does."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC

import pytest

from lifecycle.adapters.aws.image_expiry import EcrImageExpiry
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.domain.digest import digest_of
from lifecycle.domain.image import ImageRef
from lifecycle.domain.lifecycle_policy import is_same_policy, lifecycle_policy
from lifecycle.ports.image_expiry import ImageExpiry
from tests.failures import code_of
from tests.fakes.clock import FakeClock
from tests.fakes.image_expiry import FakeImageExpiry
from tests.fakes.images import REPOSITORY, FakeImageRegistry
from tests.fakes.stack import FakeStack

KEEP_ONE = lifecycle_policy(bases_beyond=1, code_days=1, untagged_days=1).text()


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A repository without images: `push` puts one under its tags and gives the digest, `tags` tells what there is of an image."""

    expiry: ImageExpiry
    push: Callable[..., str]
    tags: Callable[[str], set[str]]
    set_policy: Callable[[str], object]
    missing: ImageExpiry


def _in_memory() -> Repository:
    registry, clock = FakeImageRegistry(), FakeClock()
    expiry = FakeImageExpiry(registry, clock, FakeStack())

    def push(*tags: str) -> str:
        ref = ImageRef(repository=REPOSITORY, digest=digest_of(repr(tags).encode()))
        for tag in tags:
            registry.store(tag, (), ref=ref)
        return ref.digest

    return Repository(
        expiry=expiry,
        push=push,
        tags=lambda digest: {tag for tag, ref in registry.tags.items() if ref.digest == digest},
        set_policy=lambda text: setattr(expiry, "current", text),
        missing=FakeImageExpiry(registry, clock, FakeStack(bootstrapped=False)),
    )


def _emulated(session: AwsSession) -> Repository:
    ecr, name = session.client("ecr"), f"team/expiry-{uuid.uuid4().hex[:8]}"
    ecr.create_repository(repositoryName=name)

    def push(*tags: str) -> str:
        manifest = json.dumps(
            {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "of": tags}
        )
        put = [ecr.put_image(repositoryName=name, imageManifest=manifest, imageTag=tag) for tag in tags]
        return str(put[0]["image"]["imageId"]["imageDigest"])

    def tags(digest: str) -> set[str]:
        listed = ecr.list_images(repositoryName=name)["imageIds"]
        return {image["imageTag"] for image in listed if image["imageDigest"] == digest}

    return Repository(
        expiry=EcrImageExpiry(session, FakeClock(), repository=name),
        push=push,
        tags=tags,
        set_policy=lambda text: ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=text),
        missing=EcrImageExpiry(session, FakeClock(), repository="never-made"),
    )


@pytest.fixture(params=["fake", pytest.param("emulator", marks=pytest.mark.rehearsal)])
def repository(request: pytest.FixtureRequest) -> Repository:
    return _in_memory() if request.param == "fake" else _emulated(request.getfixturevalue("emulated_session"))


def test_policy_is_what_was_set(repository: Repository) -> None:
    assert repository.expiry.policy() is None
    repository.set_policy(KEEP_ONE)
    assert is_same_policy(repository.expiry.policy() or "", KEEP_ONE)


def test_preview_names_what_would_expire_and_removes_nothing(repository: Repository) -> None:
    digests = {repository.push(f"base-{number}", f"golden-{number}") for number in range(3)}
    kept = repository.push("base-9", "rel-0123456789ab")
    expiring = repository.expiry.preview(KEEP_ONE)
    assert {image.rule for image in expiring} == {2}
    assert kept not in {image.digest for image in expiring}
    assert {image.digest for image in expiring} < digests | {kept}
    assert all(set(image.tags) == repository.tags(image.digest) for image in expiring)
    assert {image.pushed_at.tzinfo for image in expiring} == {UTC}
    assert repository.expiry.policy() is None


def test_preview_tells_all_of_many_images_and_each_policy_has_its_own(repository: Repository) -> None:
    for number in range(103):
        repository.push(f"base-{number}")
    assert len({image.digest for image in repository.expiry.preview(KEEP_ONE)}) == 102
    keep_all = lifecycle_policy(bases_beyond=103, code_days=1, untagged_days=1)
    assert repository.expiry.preview(keep_all.text()) == ()


def test_missing_repository_is_told(repository: Repository) -> None:
    missing = repository.missing
    assert code_of(missing.policy) == "repository-missing"
    assert code_of(lambda: missing.preview(KEEP_ONE)) == "repository-missing"
