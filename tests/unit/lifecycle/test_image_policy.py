"""A lifecycle policy is set only when it expires nothing that somebody needs, and every release tags its image so that none can."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from lifecycle.config.schema import RegistrySection
from lifecycle.domain.digest import digest_of
from lifecycle.domain.lifecycle_policy import release_tag
from lifecycle.domain.plan import Done, Plan
from lifecycle.errors import CapctlError, Denied, RolledBack
from lifecycle.ports.stack import Operation, ResourceChange
from lifecycle.workflows.bootstrap import ApplyBase, plan_bootstrap
from lifecycle.workflows.deploy import Wanted, plan_deploy
from lifecycle.workflows.execute import execute
from lifecycle.workflows.release_tags import TagImage
from tests.failures import code_of
from tests.fakes.deploys import DeployWorld
from tests.fakes.releases import result_document
from tests.fakes.runs import RUN
from tests.fakes.stack import FakeStack

POLICY = "aws:ecr/lifecyclePolicy:LifecyclePolicy"


@pytest.fixture
def world(tmp_path: Path) -> DeployWorld:
    """Its policy expires code that is old and has no release."""
    made = DeployWorld(tmp_path)
    image = replace(made.target.settings.image, registry=RegistrySection(expire_code_days=90))
    made.target = replace(made.target, settings=replace(made.target.settings, image=image))
    return made


def changing(world: DeployWorld, operation: Operation = Operation.CREATE, kind: str = POLICY) -> None:
    world.stack.surprise = (ResourceChange(operation=operation, type=kind, name="images"),)


def age_images(world: DeployWorld, days: int = 1000) -> None:
    for ref in world.ports.registry.held():
        world.ports.registry.pushed[ref] = world.ports.clock.now() - timedelta(days=days)


def untag(world: DeployWorld) -> None:
    """As an earlier version of capctl deployed."""
    tags = world.ports.registry.tags
    for tag in [tag for tag in tags if tag.startswith("rel-")]:
        del tags[tag]


def bootstrap(world: DeployWorld) -> Plan:
    return plan_bootstrap(world.ports, world.target)


def apply(world: DeployWorld, plan: Plan) -> Done:
    def applied(*_: object) -> None:
        world.stack.surprise = ()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ApplyBase, "verify", applied)
        return execute(plan, world.ports, RUN)


def tagged(world: DeployWorld) -> set[str]:
    return {tag for tag in world.ports.registry.tags if tag.startswith("rel-")}


def test_release_tags_its_image_before_anything_is_made(world: DeployWorld) -> None:
    world.stack.fail_with = CapctlError("stack-failed", "Pulumi failed")
    assert code_of(world.deploy) == "stack-failed"
    (tag,) = tagged(world)
    assert world.ports.registry.tags[tag] == world.ports.registry.tags[world.ports.code.tag()]
    world.deploy()
    assert tagged(world) == {release_tag(world.ids[0])}


def test_release_that_exists_is_not_tagged_again(world: DeployWorld) -> None:
    world.deploy()
    assert plan_deploy(world.ports, world.target, RUN, Wanted()).steps == ()


def test_release_that_an_earlier_version_began_is_tagged_and_gone_on_with(world: DeployWorld) -> None:
    world.jobs.course = ()
    assert code_of(world.deploy) == "no-capacity"

    def steps() -> set[type]:
        return {type(step) for step in plan_deploy(world.ports, world.target, RUN, Wanted()).steps}

    assert TagImage not in steps()
    untag(world)
    assert TagImage in steps()


def test_tag_goes_with_its_release(world: DeployWorld) -> None:
    for _ in range(4):
        world.deploy()
        world.change_code()
    assert tagged(world) == {release_tag(one) for one in world.ids}
    assert len(world.ids) == 2


def test_tag_of_a_release_that_proved_bad_goes(world: DeployWorld) -> None:
    world.jobs.leaves = result_document(tracks=[])
    with pytest.raises(RolledBack):
        world.deploy()
    assert tagged(world) == set()
    assert world.ports.registry.find(world.ports.code.tag()) is not None


def test_only_tag_of_an_image_stays_and_so_does_the_image(world: DeployWorld) -> None:
    world.deploy()
    first = release_tag(world.ids[0])
    ref = world.ports.registry.tags[first]
    world.ports.registry.tags = {
        tag: one for tag, one in world.ports.registry.tags.items() if one != ref or tag == first
    }
    for _ in range(2):
        world.change_code()
        world.deploy()
    assert world.ports.registry.find(first) == ref


def test_tag_that_cannot_be_dropped_is_a_warning(world: DeployWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> bool:
        raise Denied("permission-denied", "AWS refused taking a tag off")

    monkeypatch.setattr(world.ports.image_expiry, "drop_tag", refuse)
    for _ in range(3):
        world.deploy()
        world.change_code()
    assert len(world.ids) == 2
    assert any("stays tagged `rel-" in line for line in world.ports.ui.lines)


def test_tag_stays_while_its_release_does(world: DeployWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeStack, "remove_releases", lambda self, ids, **_: self.releases())
    for _ in range(3):
        world.deploy()
        world.change_code()
    assert len(tagged(world)) == 3


def test_tag_that_names_another_image_after_all_is_told(world: DeployWorld) -> None:
    world.deploy()
    world.change_code()
    step = TagImage(ports=world.ports, release_id=world.ids[0], image=world.ports.code.push().ref)
    assert code_of(step.apply) == "tag-immutable"
    assert code_of(lambda: step.verify("")) == "tag-not-set"


def test_policy_that_expires_nothing_needed_is_set(world: DeployWorld) -> None:
    world.deploy()
    world.change_code()
    age_images(world)
    changing(world)
    plan = bootstrap(world)
    assert [type(step) for step in plan.steps] == [ApplyBase]
    apply(world, plan)
    assert len(world.ports.image_expiry.previews) == 2


def test_images_of_earlier_releases_are_tagged_before_the_policy_is_set(world: DeployWorld) -> None:
    world.deploy()
    age_images(world)
    untag(world)
    changing(world)
    plan = bootstrap(world)
    assert [type(step) for step in plan.steps] == [TagImage, ApplyBase]
    apply(world, plan)
    assert tagged(world) == {release_tag(world.ids[0])}


def test_policy_that_would_expire_what_a_release_needs_is_refused(world: DeployWorld) -> None:
    world.deploy()
    age_images(world)
    changing(world, Operation.REPLACE)
    plan = bootstrap(world)
    untag(world)
    with pytest.raises(CapctlError) as failed:
        apply(world, plan)
    (image,) = world.stack.releases()
    (line,) = failed.value.details
    assert failed.value.code == "lifecycle-would-expire"
    assert line.startswith(f"{image.image.digest} ({world.ports.code.tag()}): rule 2, needed by ")
    assert f"release {image.id} (active)" in line


def test_release_whose_image_is_of_another_repository_or_gone_is_left_alone(world: DeployWorld) -> None:
    world.deploy()
    (release,) = world.stack.releases()
    for other in (
        replace(release.image, repository="elsewhere/vision"),
        replace(release.image, digest=digest_of(b"gone")),
    ):
        world.stack.stand(replace(release, image=other))
        untag(world)
        changing(world)
        assert [type(step) for step in bootstrap(world).steps] == [ApplyBase]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda world, error: setattr(world.ports.image_expiry, "unreadable", error),
        lambda world, error: setattr(world.stack, "unreadable", error),
    ],
    ids=["preview", "releases"],
)
def test_what_cannot_be_read_refuses_the_policy(
    world: DeployWorld, spoil: Callable[[DeployWorld, CapctlError], None]
) -> None:
    spoil(world, Denied("permission-denied", "AWS refused previewing (ecr:StartLifecyclePolicyPreview)"))
    changing(world)
    assert code_of(lambda: bootstrap(world)) == "permission-denied"


def test_nothing_is_previewed_when_the_policy_stays_or_the_repository_is_new(world: DeployWorld) -> None:
    changing(world, Operation.UPDATE, "aws:ecr/repository:Repository")
    bootstrap(world)
    made = (POLICY, "aws:ecr/repository:Repository")
    world.stack.surprise = tuple(ResourceChange(operation=Operation.CREATE, type=kind, name="images") for kind in made)
    bootstrap(world)
    assert world.ports.image_expiry.previews == []


def test_repository_is_never_replaced_and_the_hint_names_its_keys(world: DeployWorld) -> None:
    changing(world, Operation.REPLACE, "aws:ecr/repository:Repository")
    with pytest.raises(CapctlError) as failed:
        bootstrap(world)
    assert failed.value.code == "base-would-lose"
    assert "`image.registry.kms_key_arn`" in failed.value.hint
