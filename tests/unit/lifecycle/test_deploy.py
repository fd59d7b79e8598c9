"""Deploy: which plan."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId
from lifecycle.domain.channel import STABLE, Note
from lifecycle.domain.digest import digest_of
from lifecycle.domain.image import ImageRef
from lifecycle.domain.job import JobState, Purpose, QueueState
from lifecycle.domain.release import Pointer, Release
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError, UsageError
from lifecycle.ports.jobs import JobRequest
from lifecycle.ports.stack import Operation, ResourceChange
from lifecycle.workflows.ami_status import MarkSmokePassed
from lifecycle.workflows.deploy import plan_deploy
from lifecycle.workflows.execute import execute
from lifecycle.workflows.move_jobs import RestoreJobs
from lifecycle.workflows.restore_pointer import RestorePointer
from lifecycle.workflows.wanted_release import Wanted, wanted_release
from tests.failures import failure
from tests.fakes.deploys import DeployWorld, ami_tags
from tests.fakes.releases import make_release, result_document
from tests.fakes.runs import RUN
from tests.fakes.stack import OUTPUTS, deployed

SECRET = "arn:aws:secretsmanager:us-west-2:123456789012:secret:database-a1b2c3"


@pytest.fixture
def world(tmp_path: Path) -> DeployWorld:
    return DeployWorld(tmp_path)


def test_deploy_of_the_active_release_does_nothing(world: DeployWorld) -> None:
    world.deploy()
    plan = plan_deploy(world.ports, world.target, RUN, Wanted())
    assert plan.steps == ()
    assert plan.because == "it is active already"


def test_plan_names_every_step_in_order(world: DeployWorld) -> None:
    plan = plan_deploy(world.ports, world.target, RUN, Wanted())
    verbs = [step.describe().split()[0] for step in plan.steps]
    assert verbs == ["tag", "create", "wait", "smoke", "pointer:", "watch"]
    assert [step.describe().split()[0] for step in plan.after] == ["tag", "drain"]
    assert [step.describe().split()[0] for step in plan.undo] == ["take", "give", "remove"]
    assert world.ids == []


def test_newest_verified_ami_is_taken_and_candidates_are_not(world: DeployWorld) -> None:
    newer = world.amis.add("newer", tags=ami_tags("verified"))
    world.amis.add("newest", tags=ami_tags("candidate"))
    assert wanted_release(world.ports, world.target, Wanted()).ami_id == newer.id


def test_named_ami_must_be_verified(world: DeployWorld) -> None:
    candidate = world.amis.add("candidate", tags=ami_tags("candidate"))
    with pytest.raises(CapctlError, match="needs a verified one") as failed:
        world.deploy(ami=candidate.id)
    assert failed.value.code == "ami-not-verified"


def test_named_ami_must_have_booted_where_the_configuration_asks_for_it(world: DeployWorld) -> None:
    named = world.amis.add("named", tags=ami_tags("verified"))
    settings = world.target.settings
    world.target = replace(world.target, settings=replace(settings, ami=replace(settings.ami, verify_boot=True)))
    with pytest.raises(CapctlError, match="no boot of it was verified") as failed:
        world.deploy(ami=named.id)
    assert (failed.value.code, f"`capctl ami verify {named.id} --boot`" in failed.value.hint) == (
        "ami-not-verified",
        True,
    )
    world.amis.tag(named.id, {Tag.VERIFIED.value: "boot 2026-01-01T00:00:00Z"})
    assert wanted_release(world.ports, world.target, Wanted(ami=named.id)).ami_id == named.id


def test_image_that_breaks_a_rule_is_not_deployed(world: DeployWorld) -> None:
    world.ports.code.files["a.onnx"] = "weights"
    world.ports.code.push()
    with pytest.raises(CapctlError) as failed:
        world.deploy()
    assert failed.value.code == "image-rejected"
    assert world.ids == []


def test_image_tag_is_refused(world: DeployWorld) -> None:
    with pytest.raises(UsageError):
        world.deploy(image="repo:latest")


def customer_job(world: DeployWorld, release: Release) -> JobRequest:
    """A job of a project called `smoke-tests`."""
    queue_arn = deployed(release).job_queue_arn
    return replace(world.jobs.requests[0], name="smoke-tests-42", purpose=Purpose.WORK, queue_arn=queue_arn)


def test_release_that_took_jobs_is_not_removed_when_it_fails(world: DeployWorld) -> None:
    world.deploy()
    world.change_code()
    release = wanted_release(world.ports, world.target, Wanted())
    world.stack.add_release(release)
    world.jobs.submit(customer_job(world, release))
    undo = plan_deploy(world.ports, world.target, RUN, Wanted()).undo
    assert [type(step) for step in undo] == [RestorePointer, RestoreJobs]


def test_customer_s_job_is_not_followed_as_the_smoke_job_whatever_its_name(world: DeployWorld) -> None:
    world.deploy()
    world.change_code()
    release = wanted_release(world.ports, world.target, Wanted())
    world.stack.add_release(release)
    theirs = world.jobs.submit(customer_job(world, release))
    world.deploy()
    assert [request.purpose for request in world.jobs.requests] == [Purpose.SMOKE, Purpose.WORK, Purpose.SMOKE]
    assert world.jobs.batch.jobs[theirs].state is JobState.SUBMITTED


def test_preview_that_touches_an_existing_release_is_refused(world: DeployWorld) -> None:
    world.deploy()
    touched = ResourceChange(
        operation=Operation.UPDATE, type="aws:batch/jobQueue:JobQueue", name="q", release_id=world.active
    )
    world.stack.surprise = (touched,)
    world.change_code()
    with pytest.raises(CapctlError) as failed:
        plan_deploy(world.ports, world.target, RUN, Wanted())
    assert failed.value.code == "release-would-change"


def test_leftovers_of_a_killed_creation_may_be_deleted(world: DeployWorld) -> None:
    world.stack.leave("0123456789ab")
    world.deploy()
    assert world.stack.left_half_made == set()
    assert world.active is not None


def test_full_account_is_refused_before_anything_is_made(world: DeployWorld) -> None:
    world.jobs.batch.foreign_environments = 48
    with pytest.raises(CapctlError) as failed:
        world.deploy()
    assert failed.value.code == "quota-reached"


@pytest.mark.parametrize("deploy", ["deploy", "resume"])
def test_full_account_has_room_for_the_release_whose_environment_is_there(world: DeployWorld, deploy: str) -> None:
    world.stack.fail_with = CapctlError("aws-unreachable", "No answer")
    assert failure(world.deploy).code == "aws-unreachable"
    assert len(world.stack.left_half_made) == 1
    world.jobs.batch.foreign_environments = 48
    getattr(world, deploy)()
    assert world.active
    world.change_code()
    assert failure(world.deploy).code == "quota-reached"


@pytest.mark.parametrize(
    ("section", "change", "code"),
    [
        ("smoke", {"video_url": "s3://elsewhere/face.mp4"}, "video-out-of-reach"),
        ("release", {"subnet_ids": ()}, "network-missing"),
        ("release", {"security_group_ids": ()}, "network-missing"),
    ],
)
def test_missing_settings_are_usage_errors(
    world: DeployWorld, section: str, change: dict[str, object], code: str
) -> None:
    settings = world.target.settings
    changed = replace(settings, **{section: replace(getattr(settings, section), **change)})
    with pytest.raises(UsageError) as failed:
        plan_deploy(world.ports, replace(world.target, settings=changed), RUN, Wanted())
    assert failed.value.code == code


def in_release(target: Target, **change: object) -> Target:
    release = replace(target.settings.release, **change)  # type: ignore[arg-type]
    return replace(target, settings=replace(target.settings, release=release))


def test_release_without_a_network_of_its_own_is_in_the_one_of_the_base_stack(world: DeployWorld) -> None:
    world.stack.outputs = replace(OUTPUTS, subnet_ids=("subnet-8", "subnet-9"), security_group_ids=("sg-9",))
    nowhere = in_release(world.target, subnet_ids=(), security_group_ids=())
    made = wanted_release(world.ports, nowhere, Wanted()).parameters
    assert (made.subnet_ids, made.security_group_ids) == (("subnet-8", "subnet-9"), ("sg-9",))
    given = wanted_release(world.ports, world.target, Wanted()).parameters
    assert (given.subnet_ids, given.security_group_ids) == (("subnet-1",), ("sg-1",))


@pytest.mark.parametrize("lacking", ["subnet_ids", "security_group_ids"])
def test_network_is_never_mixed_of_two(world: DeployWorld, lacking: str) -> None:
    world.stack.outputs = replace(OUTPUTS, subnet_ids=("subnet-8",), security_group_ids=("sg-9",))
    with pytest.raises(UsageError) as failed:
        wanted_release(world.ports, in_release(world.target, **{lacking: ()}), Wanted())
    assert failed.value.code == "network-missing"
    assert f"`release.{lacking}`" in failed.value.message


def test_missing_network_is_told_with_both_ways_to_one(world: DeployWorld) -> None:
    with pytest.raises(UsageError) as failed:
        wanted_release(world.ports, in_release(world.target, subnet_ids=(), security_group_ids=()), Wanted())
    assert failed.value.code == "network-missing"
    assert "`release.subnet_ids`" in failed.value.hint
    assert "`network.create`" in failed.value.hint


def test_address_of_the_database_comes_from_one_place(world: DeployWorld) -> None:
    both = in_release(world.target, database_secret_arn=SECRET, environment={"DATABASE_URL": "postgresql://db"})
    with pytest.raises(UsageError) as failed:
        wanted_release(world.ports, both, Wanted())
    assert failed.value.code == "database-twice"


def test_release_without_a_secret_has_the_id_that_it_had_before_there_were_any() -> None:
    assert "database_secret_arn" not in make_release(1).record["parameters"]
    with_secret = make_release(1, database_secret_arn=SECRET)
    assert with_secret.record["parameters"]["database_secret_arn"] == SECRET
    assert with_secret.id != make_release(1).id


def test_release_has_every_parameter_of_the_configuration(world: DeployWorld) -> None:
    section = replace(world.target.settings.release, attempts=3, environment={"A": "1"}, database_secret_arn=SECRET)
    target = replace(world.target, settings=replace(world.target.settings, release=section))
    assert asdict(wanted_release(world.ports, target, Wanted()).parameters) == asdict(section)


def test_release_id_depends_on_every_part() -> None:
    base = make_release(1)
    others = [
        make_release(2),
        make_release(1, vcpus=8),
        make_release(1, environment={"A": "1"}),
        replace(base, ami_id=AmiId("ami-0ffffffffffffffff")),
        replace(base, model_set=digest_of(b"other")),
        replace(base, image=ImageRef(repository="other", digest=base.image.digest)),
    ]
    assert len({base.id, *(release.id for release in others)}) == 7


@pytest.mark.parametrize("status", ["smoke-passed", "promoted"])
def test_ami_that_has_come_further_than_verified_is_deployed(world: DeployWorld, status: str) -> None:
    newer = world.amis.add("newer", tags=ami_tags(status))
    assert wanted_release(world.ports, world.target, Wanted()).ami_id == newer.id
    assert wanted_release(world.ports, world.target, Wanted(ami=newer.id)).ami_id == newer.id


def test_superseded_ami_is_deployed_only_when_it_is_named(world: DeployWorld) -> None:
    newer = world.amis.add("newer", tags=ami_tags("superseded"))
    assert wanted_release(world.ports, world.target, Wanted()).ami_id == world.ami.id
    assert wanted_release(world.ports, world.target, Wanted(ami=newer.id)).ami_id == newer.id
    world.amis.tag(world.ami.id, {Tag.STATUS.value: "superseded"})
    refused = failure(world.deploy)
    assert (refused.code, "has no verified AMI in us-west-2 that is not superseded" in refused.message) == (
        "ami-missing",
        True,
    )


def test_plan_says_when_stable_names_another_ami_than_the_newest_which_is_taken(world: DeployWorld) -> None:
    world.ports.channels.write(STABLE, world.ami.id, Note(by="ada"), is_first=True)
    assert "stable" not in plan_deploy(world.ports, world.target, RUN, Wanted()).because
    newer = world.amis.add("newer", tags=ami_tags("verified"))
    told = f"; channel stable names {world.ami.id}, which `--ami stable` takes"
    assert plan_deploy(world.ports, world.target, RUN, Wanted()).because.endswith(told)
    assert "stable" not in plan_deploy(world.ports, world.target, RUN, Wanted(ami=newer.id)).because


def test_ami_with_the_status_of_a_newer_version_is_not_deployed_and_told_as_that(world: DeployWorld) -> None:
    quarantined = world.amis.add("newer", tags=ami_tags("quarantined"))
    assert wanted_release(world.ports, world.target, Wanted()).ami_id == world.ami.id
    with pytest.raises(CapctlError, match="quarantined") as failed:
        world.deploy(ami=quarantined.id)
    assert failed.value.code == "ami-status-unknown"


@pytest.mark.parametrize(
    ("status", "becomes"),
    [
        ("verified", "smoke-passed"),
        ("smoke-passed", "smoke-passed"),
        ("promoted", "promoted"),
        ("superseded", "superseded"),
    ],
)
def test_ami_on_which_the_smoke_job_passed_is_tagged_and_never_lowered(
    world: DeployWorld, status: str, becomes: str
) -> None:
    world.amis.tag(world.ami.id, {Tag.STATUS.value: status})
    assert world.deploy(ami=world.ami.id).failures == ()
    assert world.amis.get(world.ami.id).status == becomes


@pytest.mark.parametrize("status", ["disabled", "quarantined"])
def test_ami_that_was_withdrawn_as_the_pointer_moved_is_a_warning(
    world: DeployWorld, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    plan, move = plan_deploy(world.ports, world.target, RUN, Wanted()), world.pointers.move

    def raced(to: Pointer, *, expected_version: int) -> None:
        move(to, expected_version=expected_version)
        world.amis.tag(world.ami.id, {Tag.STATUS.value: status})

    monkeypatch.setattr(world.pointers, "move", raced)
    ((step, failure),) = execute(plan, world.ports, RUN).failures
    assert isinstance(step, MarkSmokePassed)
    assert failure.code in {"ami-status-refused", "ami-status-unknown"}
    assert (world.active, world.amis.get(world.ami.id).status) == (world.ids[0], status)


@pytest.mark.parametrize(
    "tags", [{Tag.STATUS: "disabled"}, {Tag.STATUS: "candidate", Tag.VERIFIED: "failed boot 2026-01-01T00:00:00Z"}]
)
def test_pointer_does_not_move_to_an_ami_that_may_not_be_taken_any_more_when_its_smoke_job_has_passed(
    world: DeployWorld, tags: dict[Tag, str]
) -> None:
    plan = plan_deploy(world.ports, world.target, RUN, Wanted())
    world.amis.tag(world.ami.id, {key.value: value for key, value in tags.items()})
    refused = failure(lambda: execute(plan, world.ports, RUN))
    assert (refused.code, world.active) == ("ami-not-verified", None)


def test_mark_of_a_smoke_job_that_failed_is_set_by_the_same_deploy_again(world: DeployWorld) -> None:
    world.deploy()
    world.amis.tag(world.ami.id, {Tag.STATUS.value: "verified"})
    plan = plan_deploy(world.ports, world.target, RUN, Wanted())
    assert (plan.steps, [type(step) for step in plan.after]) == ((), [MarkSmokePassed])
    execute(plan, world.ports, RUN)
    assert world.amis.get(world.ami.id).status == "smoke-passed"
    assert plan_deploy(world.ports, world.target, RUN, Wanted()).after == ()


def test_ami_of_another_project_keeps_its_status(world: DeployWorld) -> None:
    foreign = world.amis.add("foreign", tags={**ami_tags("verified"), Tag.PROJECT: "other"})
    ((_, failure),) = world.deploy(ami=foreign.id).failures
    assert failure.code == "ami-foreign"
    assert world.amis.get(foreign.id).status == "verified"
    assert plan_deploy(world.ports, world.target, RUN, Wanted(ami=foreign.id)).after == ()


def test_ami_of_a_release_that_failed_its_smoke_job_keeps_its_status(world: DeployWorld) -> None:
    world.jobs.leaves = result_document(tracks=[])
    with pytest.raises(CapctlError):
        world.deploy()
    assert world.amis.get(world.ami.id).status == "verified"


def test_deploy_takes_the_ami_of_a_channel(world: DeployWorld) -> None:
    world.amis.add("newer", tags=ami_tags("verified"))
    world.ports.channels.write(STABLE, world.ami.id, Note(by="ada"), is_first=True)
    assert wanted_release(world.ports, world.target, Wanted(ami="stable")).ami_id == world.ami.id


@pytest.mark.parametrize(
    ("part", "change", "told"),
    [
        ("job_queue_arn", {"is_enabled": False}, "its job queue is DISABLED"),
        ("compute_environment_arn", {"is_enabled": False}, "its compute environment is DISABLED"),
        (
            "compute_environment_arn",
            {"state": QueueState.INVALID, "reason": "no such role"},
            "Batch says INVALID: no such role",
        ),
    ],
)
def test_deploy_of_the_active_release_fails_where_it_takes_no_jobs(
    world: DeployWorld, part: str, change: dict[str, object], told: str
) -> None:
    world.deploy()
    (release,) = world.stack.releases()
    world.ports.compute.changed[getattr(release, part)] = change
    refused = failure(world.deploy)
    assert (refused.code, refused.exit_code) == ("release-closed", 1)
    assert refused.message == f"Release `{release.id}` is active, and takes no jobs: {told}"
    assert "`capctl drift`" in refused.hint


def test_deploy_of_the_active_release_makes_a_queue_again_that_is_gone(world: DeployWorld) -> None:
    world.deploy()
    (release,) = world.stack.releases()
    world.ports.compute.gone = {release.job_queue_arn}
    world.jobs.missing = {release.job_queue_arn}
    plan = plan_deploy(world.ports, world.target, RUN, Wanted())
    assert [step.describe().split()[0] for step in plan.steps][:3] == ["tag", "create", "wait"]
