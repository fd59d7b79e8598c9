"""A lifecycle policy is set only when it expires nothing that somebody needs, and every release tags its image so that none can."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from lifecycle.config.image_sections import RegistrySection
from lifecycle.domain.plan import Done, Plan
from lifecycle.domain.release_tag import release_tag
from lifecycle.errors import CapctlError, Denied
from lifecycle.ports.stack import Operation, ResourceChange
from lifecycle.workflows.bootstrap import ApplyBase, plan_bootstrap
from lifecycle.workflows.deploy import plan_deploy
from lifecycle.workflows.execute import execute
from lifecycle.workflows.release_tags import TagImage
from lifecycle.workflows.wanted_release import Wanted
from tests.dev.iam import command_actions
from tests.failures import code_of
from tests.fakes.deploys import DeployWorld
from tests.fakes.runs import RUN

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
    return plan_bootstrap(world.ports, world.target, RUN)


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
    assert tagged(world) == {release_tag(world.ids[0], world.ports.clock.now())}


def test_release_that_exists_is_not_tagged_again(world: DeployWorld) -> None:
    world.deploy()
    assert plan_deploy(world.ports, world.target, RUN, Wanted()).steps == ()


def test_release_that_was_begun_is_gone_on_with_under_its_tag(world: DeployWorld) -> None:
    world.jobs.course = ()
    assert code_of(world.deploy) == "no-capacity"
    world.ports.clock.sleep(5 * 86_400)
    assert TagImage not in {type(step) for step in plan_deploy(world.ports, world.target, RUN, Wanted()).steps}


def test_tag_outlives_its_release(world: DeployWorld) -> None:
    """Who deploys needs no right to delete images, of which one is to take tags off them."""
    for _ in range(4):
        world.deploy()
        world.change_code()
    assert len(world.ids) == 2
    assert len(tagged(world)) == 4
    assert [command for command, actions in command_actions().items() if "ecr:BatchDeleteImage" in actions] == [
        "image prune"
    ]


def test_tag_that_names_another_image_after_all_is_told(world: DeployWorld) -> None:
    world.deploy()
    world.change_code()
    (tag,) = tagged(world)
    step = TagImage(ports=world.ports, tag=tag, image=world.ports.code.push().ref)
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


@pytest.mark.parametrize(("unread", "code"), [("image_expiry", "permission-denied"), ("stack", "use-unproven")])
def test_what_cannot_be_read_refuses_the_policy(world: DeployWorld, unread: str, code: str) -> None:
    refused = Denied("permission-denied", "AWS refused previewing (ecr:StartLifecyclePolicyPreview)")
    getattr(world.ports, unread).unreadable = refused
    changing(world)
    assert code_of(lambda: bootstrap(world)) == code


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
