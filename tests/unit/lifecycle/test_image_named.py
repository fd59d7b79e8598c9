"""An image by whatever name a person has of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from lifecycle.domain.digest import Digest, short
from lifecycle.domain.image import ImageRef, image_beginning_with
from lifecycle.errors import CapctlError, Denied, UsageError
from lifecycle.workflows.load_image import local_code, stored_image
from lifecycle.workflows.lookups import image_of
from tests.failures import code_of
from tests.fakes.deploys import DeployWorld
from tests.fakes.images import REPOSITORY

Names = list[str]


@pytest.fixture
def world(tmp_path: Path) -> DeployWorld:
    """With one release, of another image than the last one that was pushed."""
    made = DeployWorld(tmp_path)
    made.deploy()
    made.change_code()
    return made


def named(world: DeployWorld, text: str) -> ImageRef:
    return image_of(world.ports, world.target, text)


def names_of(digest: Digest) -> Names:
    """As lists, progress lines, people and engines write it."""
    return [
        before + short(digest, length)
        for length in (12, 13, 63, 64)
        for before in ("", "sha256:", f"{REPOSITORY}@sha256:")
    ]


def test_beginning_of_a_digest_names_any_image_of_the_repository(world: DeployWorld) -> None:
    pushed, released = world.ports.code.push().ref, world.stack.releases()[0].image
    assert pushed != released
    for ref in (pushed, released):
        assert {named(world, text) for text in names_of(ref.digest)} == {ref}


def test_digest_may_stand_after_any_name_of_the_repository(world: DeployWorld) -> None:
    pushed = world.ports.code.push().ref
    target = replace(world.target, registry_url="http://127.0.0.1:5000")
    for name in ("vision", "127.0.0.1:5000/vision", REPOSITORY):
        assert image_of(world.ports, target, f"{name}@{pushed.digest}") == pushed
        assert image_of(world.ports, target, f"{name}@sha256:{short(pushed.digest)}") == pushed


@pytest.mark.parametrize(
    "refused",
    [CapctlError("repository-missing", "ECR has none"), Denied("permission-denied", "AWS refused it")],
    ids=lambda error: error.code,
)
def test_beginning_names_the_image_of_a_release_where_ecr_does_not_list(
    world: DeployWorld, refused: CapctlError, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise refused

    monkeypatch.setattr(world.ports.repository_images, "list", refuse)
    released = world.stack.releases()[0].image
    assert named(world, short(released.digest)) == released
    assert code_of(lambda: named(world, short(world.ports.code.push().ref.digest))) == "image-missing"


def test_tag_of_hex_digits_is_a_tag_first(world: DeployWorld) -> None:
    released, pushed = world.stack.releases()[0].image, world.ports.code.push().ref
    world.ports.registry.tag(released, short(pushed.digest))
    assert named(world, short(pushed.digest)) == released


@pytest.mark.parametrize("text", ["never-pushed", "0123456789ab", "sha256:0123456789ab", "9033d5"])
def test_image_that_does_not_exist_fails_alike_however_it_is_named_and_tells_how_short_a_name_may_be(
    world: DeployWorld, text: str
) -> None:
    with pytest.raises(CapctlError, match=text) as failed:
        named(world, text)
    assert (failed.value.code, failed.value.exit_code) == ("image-missing", 1)
    assert "the first 12 digits are enough" in failed.value.hint


@pytest.mark.parametrize("before", ["vision:", f"{REPOSITORY}:", "localhost:5000/vision:"])
def test_name_that_an_engine_has_of_it_names_an_image_of_the_repository(world: DeployWorld, before: str) -> None:
    target = replace(world.target, registry_url="http://localhost:5000")
    pushed, tag = world.ports.code.push().ref, world.ports.code.tag()
    for name in (f"{before}{tag}", f"{before}digest-{short(pushed.digest, 16)}"):
        assert image_of(world.ports, target, name) == pushed


def test_name_that_image_load_gives_is_taken(world: DeployWorld) -> None:
    pushed = world.ports.code.push().ref
    assert named(world, stored_image(world.ports, world.target, pushed.digest).name) == pushed
    assert named(world, local_code(world.ports, world.target).name) == pushed


@pytest.mark.parametrize(
    "text", ["", "another:code-1", "registry.example/vision:code-1", "UPPER:x y", "vision:", "a b"]
)
def test_what_can_be_no_name_is_refused_and_tells_that_tags_and_digests_are_taken(
    world: DeployWorld, text: str
) -> None:
    with pytest.raises(UsageError) as failed:
        named(world, text)
    assert failed.value.code == "image-name-invalid"
    assert failed.value.hint.startswith("Write a tag of ")
    assert "or a digest, of which the first 12 digits are enough" in failed.value.hint


@pytest.mark.parametrize("text", ["sha256:9033d5", "sha256:9033D50187D7", "another@sha256:0123456789ab"])
def test_what_can_be_no_digest_is_refused_and_tells_how_short_a_name_may_be(world: DeployWorld, text: str) -> None:
    with pytest.raises(UsageError) as failed:
        named(world, text)
    assert failed.value.code == "digest-invalid"
    assert "the first 12 digits are enough" in failed.value.hint


def test_beginning_of_two_digests_is_refused_and_names_both() -> None:
    both = tuple(ImageRef(repository="vision", digest=Digest(f"sha256:{12 * 'a'}{52 * end}")) for end in "bc")
    with pytest.raises(UsageError) as failed:
        image_beginning_with(f"sha256:{12 * 'a'}", (*both, both[0]))
    assert (failed.value.code, failed.value.details) == ("image-ambiguous", tuple(str(ref) for ref in both))
