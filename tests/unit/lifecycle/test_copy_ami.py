"""Copy: a verified AMI in other regions, gone on with wherever a former run was ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lifecycle.domain.ami import AmiId, AmiRecord
from lifecycle.domain.ami_status import AmiState, AmiStatus
from lifecycle.domain.digest import digest_of
from lifecycle.domain.plan import Done, Plan
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError, Denied, ExitCode, Interrupted
from lifecycle.workflows.copy_ami import Copy, copy_ami, copy_failure, parse_regions, plan_copies, plan_copy
from lifecycle.workflows.execute import execute
from tests.fakes.amis import FakeAmis
from tests.fakes.bakes import FINISH as FINISH_OF_BAKE
from tests.fakes.bakes import Scene, names_of
from tests.fakes.runs import RUN

WEST, CENTRAL = "eu-west-1", "eu-central-1"
LATER = replace(RUN, id="20260102-000000-fedcba")


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.fixture
def source(scene: Scene) -> AmiRecord:
    return scene.bake()


def carry_out(scene: Scene) -> Callable[[Plan], Done]:
    return lambda plan: execute(plan, scene.ports, RUN)


# Only a bake names candidates.
FINISH = [step for step in FINISH_OF_BAKE if step != "NameCandidate"]


def copied(scene: Scene, source: AmiRecord, *regions: str) -> tuple[Copy, ...]:
    return copy_ami(scene.ports, scene.target, RUN, source.id, regions, carry_out=carry_out(scene))


def there(scene: Scene, source: AmiRecord, region: str = WEST) -> AmiRecord:
    found = scene.ports.amis_in(region).by_name(source.name)
    assert found is not None
    return found


def test_each_step_of_a_plan_for_two_regions_names_its_region(scene: Scene, source: AmiRecord) -> None:
    steps = [step.describe() for step in plan_copies(scene.ports, scene.target, RUN, source.id, (WEST, CENTRAL)).steps]
    half = len(steps) // 2
    assert all(WEST in step for step in steps[:half])
    assert all(CENTRAL in step for step in steps[half:])


def begin(scene: Scene, source: AmiRecord, *, steps: int) -> AmiRecord:
    """What a run leaves that was killed after so many steps."""
    plan = plan_copy(scene.ports, scene.target, RUN, source, WEST)
    execute(replace(plan, steps=plan.steps[:steps]), scene.ports, RUN)
    return there(scene, source)


def test_copy_is_verified_by_the_report_of_its_source_and_says_where_it_comes_from(
    scene: Scene, source: AmiRecord
) -> None:
    (copy,) = copied(scene, source, WEST)
    assert copy.ami is not None
    assert (copy.is_changed, copy.failure, copy.ami.status, copy.ami.imds_v2) == (
        True,
        None,
        AmiStatus.VERIFIED,
        True,
    )
    own = {Tag.COPIED_FROM: f"us-west-2/{source.id}", Tag.VERIFIED: copy.ami.tags[Tag.VERIFIED]}
    assert copy.ami.tags == {key: value for key, value in source.tags.items() if key != Tag.RUN_UNTIL} | own
    (snapshot,) = scene.ports.amis_in(WEST).snapshots(copy.ami.snapshot_ids)
    assert snapshot.tags == copy.ami.tags


def test_copy_that_is_verified_is_left_alone(scene: Scene, source: AmiRecord) -> None:
    copied(scene, source, WEST)
    (again,) = copied(scene, source, WEST)
    assert not again.is_changed
    assert again.ami == there(scene, source)


def test_all_copies_are_begun_before_the_first_is_waited_for(scene: Scene, source: AmiRecord) -> None:
    copied(scene, source, WEST, CENTRAL)
    done = [line.split(" ")[1] for line in scene.ports.ui.lines if line.startswith("✓")][-6:]
    assert done == ["copy", "copy", *["wait", "verify"] * 2]


@pytest.mark.parametrize("steps", range(1, 3))
def test_killed_copy_is_gone_on_with_under_the_mark_of_the_run_that_began_it(
    scene: Scene, source: AmiRecord, steps: int
) -> None:
    left = begin(scene, source, steps=steps)
    (copy,) = copy_ami(scene.ports, scene.target, LATER, source.id, (WEST,), carry_out=carry_out(scene))
    assert copy.ami is not None
    assert (copy.ami.id, copy.ami.status, copy.ami.tags[Tag.RUN]) == (left.id, AmiStatus.VERIFIED, RUN.id)


def test_copy_that_is_still_made_is_waited_for(scene: Scene, source: AmiRecord) -> None:
    left = begin(scene, source, steps=1)
    elsewhere = scene.ports.amis_in(WEST)
    elsewhere.change(left.id, state=AmiState.PENDING)
    elsewhere.course[left.id] = [AmiState.PENDING, None, AmiState.PENDING, AmiState.AVAILABLE]
    assert names_of(plan_copy(scene.ports, scene.target, RUN, source, WEST)) == FINISH
    (copy,) = copied(scene, source, WEST)
    assert copy.ami is not None
    assert copy.ami.id == left.id


def test_copy_that_ec2_gave_up_is_replaced(scene: Scene, source: AmiRecord) -> None:
    left = begin(scene, source, steps=1)
    scene.ports.amis_in(WEST).change(left.id, state=AmiState.FAILED)
    plan = plan_copy(scene.ports, scene.target, RUN, source, WEST)
    assert names_of(plan) == ["DeregisterDead", "CopyAmi", *FINISH]
    (copy,) = copied(scene, source, WEST)
    assert copy.ami is not None
    assert copy.ami.id != left.id


def test_copy_that_another_run_begins_meanwhile_is_adopted(scene: Scene, source: AmiRecord) -> None:
    plan = plan_copy(scene.ports, scene.target, RUN, source, WEST)
    other = begin(scene, source, steps=1)
    execute(plan, scene.ports, RUN)
    assert there(scene, source).id == other.id


@pytest.mark.parametrize("tag", [Tag.BAKE_DIGEST, Tag.COPIED_FROM])
def test_another_ami_of_the_name_is_an_error(scene: Scene, source: AmiRecord, tag: Tag) -> None:
    left = begin(scene, source, steps=1)
    scene.ports.amis_in(WEST).tag(left.id, {tag.value: digest_of(b"other")})
    failure = copied(scene, source, WEST)[0].failure
    assert failure is not None
    assert failure.code == "ami-name-taken"


def test_verified_ami_of_the_name_that_ec2_knows_no_copy_of_the_source_is_an_error(
    scene: Scene, source: AmiRecord
) -> None:
    origin = {Tag.COPIED_FROM.value: f"us-west-2/{source.id}"}
    scene.ports.amis_in(WEST).add(source.name, tags={**source.tags, **origin})
    failure = copied(scene, source, WEST)[0].failure
    assert failure is not None
    assert failure.code == "ami-name-taken"


def test_copy_that_failed_a_boot_is_not_verified_by_its_report(scene: Scene, source: AmiRecord) -> None:
    left = begin(scene, source, steps=2)
    scene.ports.amis_in(WEST).tag(left.id, {Tag.VERIFIED.value: "failed boot 2026-01-01T00:00:00Z"})
    failure = copied(scene, source, WEST)[0].failure
    assert failure is not None
    assert (failure.code, "only a proof by boot lifts" in failure.message) == ("ami-not-verified", True)
    assert there(scene, source).status is AmiStatus.CANDIDATE


def test_name_taken_by_a_foreign_ami_between_plan_and_copy_is_an_error(scene: Scene, source: AmiRecord) -> None:
    plan = plan_copy(scene.ports, scene.target, RUN, source, WEST)
    scene.ports.amis_in(WEST).add(source.name)
    with pytest.raises(CapctlError) as failed:
        execute(plan, scene.ports, RUN)
    assert failed.value.code == "ami-name-taken"


def test_copy_that_was_withdrawn_is_not_brought_back(scene: Scene, source: AmiRecord) -> None:
    copied(scene, source, WEST)
    elsewhere = scene.ports.amis_in(WEST)
    elsewhere.disable(there(scene, source).id)
    elsewhere.tag(there(scene, source).id, {Tag.STATUS.value: AmiStatus.DISABLED.value})
    failure = copied(scene, source, WEST)[0].failure
    assert failure is not None
    assert failure.code == "ami-not-replaced"


def test_unproven_ami_is_not_copied(scene: Scene, source: AmiRecord) -> None:
    scene.mark(source.id, AmiStatus.CANDIDATE)
    with pytest.raises(CapctlError) as failed:
        copied(scene, source, WEST)
    assert failed.value.code == "ami-not-verified"


def test_ami_of_another_project_is_not_copied(scene: Scene) -> None:
    foreign = scene.amis.add("foreign", tags={Tag.PROJECT: "other", Tag.STATUS: AmiStatus.VERIFIED})
    with pytest.raises(CapctlError) as failed:
        copied(scene, foreign, WEST)
    assert failed.value.code == "ami-foreign"


def test_copy_whose_tags_lie_is_not_verified(scene: Scene, source: AmiRecord) -> None:
    scene.remove_reports()
    failure = copied(scene, source, WEST)[0].failure
    assert failure is not None
    assert failure.code == "ami-not-verified"
    assert there(scene, source).status is AmiStatus.CANDIDATE


class RefusingAmis(FakeAmis):
    """A region that the credentials do not reach, or in which somebody presses Ctrl-C."""

    def __init__(self, error: CapctlError) -> None:
        super().__init__()
        self.error = error

    def by_name(self, name: str) -> AmiRecord | None:
        raise self.error


def test_failure_in_one_region_stops_none_of_the_others(scene: Scene, source: AmiRecord) -> None:
    scene.ports.elsewhere[WEST] = RefusingAmis(Denied("permission-denied", "AWS refused", hint="Allow it"))
    copies = copied(scene, source, WEST, CENTRAL)
    assert [(copy.region, copy.ami is not None) for copy in copies] == [(WEST, False), (CENTRAL, True)]
    failure = copy_failure(copies)
    assert failure is not None
    assert (failure.code, failure.exit_code) == ("copies-incomplete", ExitCode.PARTLY_APPLIED)
    assert (failure.details, failure.hint) == (("eu-west-1: AWS refused",), "Allow it")


def test_failure_in_every_region_is_the_first_one(scene: Scene, source: AmiRecord) -> None:
    for region in (WEST, CENTRAL):
        scene.ports.elsewhere[region] = RefusingAmis(Denied("permission-denied", f"AWS refused {region}"))
    failure = copy_failure(copied(scene, source, WEST, CENTRAL))
    assert failure is not None
    assert (failure.code, failure.exit_code) == ("permission-denied", ExitCode.DENIED)
    assert failure.details == ("eu-central-1: AWS refused eu-central-1",)


def test_signal_stops_all_regions(scene: Scene, source: AmiRecord) -> None:
    scene.ports.elsewhere[WEST] = RefusingAmis(Interrupted("interrupted", "Interrupted"))
    with pytest.raises(Interrupted):
        copied(scene, source, WEST, CENTRAL)
    assert scene.ports.amis_in(CENTRAL).by_name(source.name) is None


def test_encrypted_copies_are_said_to_have_the_default_key(scene: Scene, source: AmiRecord) -> None:
    copied(scene, source, WEST)
    assert any("default EBS key" in line for line in scene.ports.ui.lines)


def test_dry_run_shows_all_regions_as_one_plan(scene: Scene, source: AmiRecord) -> None:
    plan = plan_copies(scene.ports, scene.target, RUN, source.id, (WEST, CENTRAL))
    assert names_of(plan) == ["CopyAmi", *FINISH, "CopyAmi", *FINISH]
    assert scene.ports.amis_in(WEST).by_name(source.name) is None


@pytest.mark.parametrize("text", ["us-west-2", "nonsense", "EU-WEST-1", "eu-west-1 ", "eu-west-\uff11", ""])
def test_region_is_another_one_of_aws(scene: Scene, text: str) -> None:
    with pytest.raises(CapctlError) as failed:
        parse_regions([WEST, text], scene.target)
    assert (failed.value.code, failed.value.exit_code) == ("region-invalid", ExitCode.USAGE)


def test_region_that_is_named_twice_is_copied_to_once(scene: Scene) -> None:
    assert parse_regions([WEST, CENTRAL, WEST], scene.target) == (WEST, CENTRAL)


def test_missing_source_is_an_error(scene: Scene) -> None:
    with pytest.raises(CapctlError) as failed:
        copy_ami(scene.ports, scene.target, RUN, AmiId("ami-00000000000000009"), (WEST,), carry_out=carry_out(scene))
    assert failed.value.code == "ami-missing"
