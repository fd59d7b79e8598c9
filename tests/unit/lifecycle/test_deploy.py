"""Deploy: which plan, and where the pointer is after each way it can end."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId, Tag
from lifecycle.domain.digest import digest_of
from lifecycle.domain.image import ImageRef
from lifecycle.domain.job import JobState
from lifecycle.domain.release import Pointer, Release
from lifecycle.errors import CapctlError, Inconclusive, Interrupted, PartlyApplied, RolledBack, UsageError
from lifecycle.ports.images import Violation
from lifecycle.ports.stack import Operation, ResourceChange
from lifecycle.workflows.deploy import Wanted, plan_deploy, wanted_release
from lifecycle.workflows.execute import execute
from lifecycle.workflows.promote import MovePointer
from lifecycle.workflows.release_steps import surplus_releases
from tests.fakes.amis import FakeAmis
from tests.fakes.images import FakeImages
from tests.fakes.jobs import FakeJobs
from tests.fakes.pointers import FakePointers
from tests.fakes.ports import FakePorts
from tests.fakes.releases import MODEL_SET, make_release, result_document
from tests.fakes.results import FakeResults
from tests.fakes.runs import RUN
from tests.fakes.stack import FakeStack, deployed
from tests.fakes.targets import make_target


class World:
    """A bootstrapped target with one verified AMI and one pushed image."""

    def __init__(self, folder: Path) -> None:
        self.target: Target = make_target(
            folder,
            release={"subnet_ids": ("subnet-1",), "security_group_ids": ("sg-1",)},
            smoke={"video_url": "s3://vision-capctl-123456789012-us-west-2/videos/face.mp4", "timeout_s": 100},
        )
        self.amis = FakeAmis()
        self.ami = self.amis.add("models", tags=_tags("verified"))
        self.images = FakeImages()
        self.images.build_base()
        self.images.push_code()
        self.stack = FakeStack()
        self.pointers = FakePointers()
        self.jobs = FakeJobs(self.stack)
        self.results = FakeResults(result_document())
        self.ports = FakePorts(
            amis=self.amis,
            images=self.images,
            stack=self.stack,
            pointers=self.pointers,
            jobs=self.jobs,
            results=self.results,
        )

    def deploy(self, **wanted: str) -> None:
        execute(plan_deploy(self.ports, self.target, RUN, Wanted(**wanted)), self.ports, RUN)

    def change_code(self) -> None:
        self.images.code += "#"
        self.images.push_code()

    @property
    def active(self) -> str | None:
        pointer = self.pointers.read()
        return pointer.release_id if pointer else None

    @property
    def ids(self) -> list[str]:
        return [release.id for release in self.stack.releases()]


def _tags(status: str) -> dict[str, str]:
    return {Tag.PROJECT: "vision", Tag.STATUS: status, Tag.MODEL_SET: MODEL_SET}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_deploy_creates_smokes_and_promotes(world: World) -> None:
    world.deploy()
    assert world.ids == [world.active]
    (request,) = world.jobs.requests
    assert request.environment["VIDEO_URL"] == "s3://vision-capctl-123456789012-us-west-2/videos/face.mp4"
    assert world.results.read == [f"{request.environment['RESULT_URL']}/result.json"]


def test_deploy_of_the_active_release_does_nothing(world: World) -> None:
    world.deploy()
    plan = plan_deploy(world.ports, world.target, RUN, Wanted())
    assert plan.steps == ()
    assert plan.because == "it is active already"


def test_plan_names_every_step_in_order(world: World) -> None:
    plan = plan_deploy(world.ports, world.target, RUN, Wanted())
    verbs = [step.describe().split()[0] for step in plan.steps]
    assert verbs == ["create", "wait", "smoke", "pointer:", "prune"]
    assert [step.describe().split()[0] for step in plan.undo] == ["remove"]
    assert world.ids == []


def test_newest_verified_ami_is_taken_and_candidates_are_not(world: World) -> None:
    newer = world.amis.add("newer", tags=_tags("verified"))
    world.amis.add("newest", tags=_tags("candidate"))
    assert wanted_release(world.ports, world.target, Wanted()).ami_id == newer.id


def test_named_ami_must_be_verified(world: World) -> None:
    candidate = world.amis.add("candidate", tags=_tags("candidate"))
    with pytest.raises(CapctlError, match="needs a verified one") as failed:
        world.deploy(ami=candidate.id)
    assert failed.value.code == "ami-not-verified"


def test_image_that_breaks_a_rule_is_not_deployed(world: World) -> None:
    world.images.violations = (Violation(code="model-file", message="`a.onnx` is a model", path="a.onnx"),)
    with pytest.raises(CapctlError) as failed:
        world.deploy()
    assert failed.value.code == "image-rejected"
    assert world.ids == []


def test_image_tag_is_refused(world: World) -> None:
    with pytest.raises(UsageError):
        world.deploy(image="repo:latest")


def test_failing_smoke_removes_the_release_and_leaves_the_pointer(world: World) -> None:
    world.deploy()
    good = world.active
    world.change_code()
    world.jobs.course = (JobState.RUNNING, JobState.FAILED)
    world.jobs.outcome = {"exit_code": 1, "status_reason": "Essential container in task exited"}
    with pytest.raises(RolledBack) as failed:
        world.deploy()
    assert failed.value.exit_code == 7
    assert "exit code 1" in failed.value.message
    assert failed.value.details == ("analysis begins", "analysis ends")
    assert (world.active, world.ids) == (good, [good])


def test_wrong_host_ami_fails_the_gate(world: World) -> None:
    plan = plan_deploy(world.ports, world.target, RUN, Wanted())
    release = wanted_release(world.ports, world.target, Wanted())
    world.jobs.hosts[deployed(release).job_queue_arn] = AmiId("ami-0ffffffffffffffff")
    with pytest.raises(RolledBack, match="`host-ami`"):
        execute(plan, world.ports, RUN)
    assert world.active is None
    assert world.ids == []


def test_failed_creation_leaves_nothing(world: World) -> None:
    world.stack.fail_with = CapctlError("stack-failed", "Pulumi failed", details=("InvalidAMIID.NotFound",))
    with pytest.raises(RolledBack):
        world.deploy()
    assert world.stack.half_made == set()
    assert world.ids == []


def test_want_of_capacity_decides_nothing_and_removes_nothing(world: World) -> None:
    world.jobs.course = (JobState.RUNNABLE,)
    world.jobs.outcome = {"status_reason": "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"}
    with pytest.raises(Inconclusive) as failed:
        world.deploy()
    assert failed.value.exit_code == 3
    assert world.active is None
    assert len(world.ids) == 1
    assert list(world.jobs.cancelled) == ["job-1"]
    world.jobs.course, world.jobs.outcome = (JobState.SUCCEEDED,), {}
    world.deploy()
    assert world.active == world.ids[0]


def test_misconfigured_release_fails_without_waiting(world: World) -> None:
    world.jobs.course = (JobState.RUNNABLE,)
    world.jobs.outcome = {"status_reason": "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - no GPU"}
    with pytest.raises(RolledBack):
        world.deploy()
    assert world.ports.clock.slept == []


def test_job_that_never_ends_is_cancelled_and_taken_back(world: World) -> None:
    world.jobs.course = (JobState.RUNNING,)
    with pytest.raises(RolledBack) as failed:
        world.deploy()
    assert failed.value.code == "smoke-timed-out"
    assert list(world.jobs.cancelled) == ["job-1"]
    assert world.ids == []


def test_invalid_queue_fails_the_gate(world: World) -> None:
    world.jobs.queue_states = [("CREATING", ""), ("INVALID", "AMI cannot be described")]
    with pytest.raises(RolledBack, match="AMI cannot be described"):
        world.deploy()
    assert world.jobs.requests == []
    assert world.ids == []


def test_interrupt_cancels_the_job_and_the_next_run_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(seconds: float) -> None:
        raise Interrupted("interrupted", "The command was interrupted")

    with monkeypatch.context() as patched:
        patched.setattr(world.ports.clock, "sleep", interrupt)
        with pytest.raises(Interrupted):
            world.deploy()
    assert list(world.jobs.cancelled) == ["job-1"]
    assert (world.active, len(world.ids)) == (None, 1)
    world.deploy()
    assert world.active == world.ids[0]


def test_smoke_job_of_a_killed_run_is_followed_not_repeated(world: World) -> None:
    release = wanted_release(world.ports, world.target, Wanted())
    world.stack.add_release(release)
    plan = plan_deploy(world.ports, world.target, RUN, Wanted())
    step = next(step for step in plan.steps if step.describe().startswith("smoke"))
    step.apply()
    world.jobs._jobs["job-1"] = replace(world.jobs._jobs["job-1"], state=JobState.RUNNING)
    world.jobs._left["job-1"] = [JobState.SUCCEEDED]
    execute(plan, world.ports, RUN)
    assert len(world.jobs.requests) == 1


def test_two_operators_the_second_promotion_loses(world: World) -> None:
    plan = plan_deploy(world.ports, world.target, RUN, Wanted())
    other = make_release(99)
    world.stack.add_release(other)
    world.pointers.move(_pointer(other), expected_version=0)
    with pytest.raises(RolledBack) as failed:
        execute(plan, world.ports, RUN)
    assert failed.value.code == "pointer-moved"
    assert world.active == other.id
    assert world.ids == [other.id]


def test_release_that_another_run_made_meanwhile_survives_a_rollback(world: World) -> None:
    plan, other = plan_deploy(world.ports, world.target, RUN, Wanted()), make_release(99)
    world.stack.add_release(other)
    world.jobs.course = (JobState.FAILED,)
    with pytest.raises(RolledBack):
        execute(plan, world.ports, RUN)
    assert world.ids == [other.id]


def test_nothing_is_called_rolled_back_while_the_pointer_names_the_release(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: MovePointer, _: Pointer) -> None:
        raise CapctlError("aws-unreachable", "DynamoDB did not answer")

    monkeypatch.setattr(MovePointer, "verify", fail)
    with pytest.raises(PartlyApplied, match="which takes jobs") as failed:
        world.deploy()
    assert (failed.value.code, failed.value.exit_code) == ("release-active", 6)
    assert "capctl rollback" in failed.value.hint
    assert world.ids == [world.active]


def test_older_release_that_fails_its_smoke_job_stays(world: World) -> None:
    for _ in range(3):
        world.deploy(image=str(world.images.pushed_code().ref))
        world.change_code()
    kept = wanted_release(world.ports, world.target, Wanted())
    world.stack._releases = {kept.id: deployed(kept)} | world.stack._releases
    world.jobs.course = (JobState.FAILED,)
    before = world.ids
    plan = plan_deploy(world.ports, world.target, RUN, Wanted())
    assert plan.undo == ()
    with pytest.raises(CapctlError) as failed:
        execute(plan, world.ports, RUN)
    assert (failed.value.code, failed.value.exit_code) == ("smoke-failed", 1)
    assert world.ids == before


def test_release_that_a_killed_run_left_is_removed_when_it_fails(world: World) -> None:
    world.deploy()
    good = world.active
    world.change_code()
    world.stack.add_release(wanted_release(world.ports, world.target, Wanted()))
    world.jobs.course = (JobState.FAILED,)
    with pytest.raises(RolledBack):
        world.deploy()
    assert world.ids == [good]


def test_release_that_took_jobs_is_not_removed_when_it_fails(world: World) -> None:
    world.deploy()
    world.change_code()
    release = wanted_release(world.ports, world.target, Wanted())
    world.stack.add_release(release)
    world.jobs.submit(replace(world.jobs.requests[0], name="vision-a", queue_arn=deployed(release).job_queue_arn))
    assert plan_deploy(world.ports, world.target, RUN, Wanted()).undo == ()


def test_prune_that_did_not_prune_is_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeStack, "remove_releases", lambda self, ids: self.releases())
    for _ in range(3):
        world.deploy()
        world.change_code()
    assert any("still exist after they were pruned" in line for line in world.ports.ui.lines)


def test_creation_is_read_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeStack, "add_release", lambda self, release: ())
    with pytest.raises(RolledBack) as failed:
        world.deploy()
    assert failed.value.code == "release-missing"


def test_old_releases_are_pruned_but_never_active_or_previous(world: World) -> None:
    seen = []
    for _ in range(4):
        world.deploy()
        seen.append(world.active)
        world.change_code()
    assert world.ids == seen[-2:]


def test_prune_keeps_a_release_with_unfinished_jobs(world: World) -> None:
    world.deploy()
    first = world.stack.releases()[0]
    world.change_code()
    world.deploy()
    world.jobs.course = ()
    world.jobs.submit(replace(world.jobs.requests[0], name="late", queue_arn=first.job_queue_arn))
    world.jobs.course = (JobState.SUCCEEDED,)
    world.change_code()
    world.deploy()
    assert first.id in world.ids
    outcome = [entry.outcome for entry in world.ports.journal.entries() if entry.step.startswith("prune")][-1]
    assert outcome == f"nothing to prune; kept {first.id}, it has unfinished jobs"


def test_failing_prune_keeps_the_promotion(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: FakeStack, ids: object) -> None:
        raise CapctlError("stack-failed", "Pulumi failed")

    monkeypatch.setattr(FakeStack, "remove_releases", fail)
    for _ in range(3):
        world.deploy()
        world.change_code()
    assert world.active == world.ids[-1]
    assert len(world.ids) == 3
    assert any(line.startswith("warning: Old releases") for line in world.ports.ui.lines)


def test_preview_that_touches_an_existing_release_is_refused(world: World) -> None:
    world.deploy()
    touched = ResourceChange(
        operation=Operation.UPDATE, type="aws:batch/jobQueue:JobQueue", name="q", release_id=world.active
    )
    world.stack.surprise = (touched,)
    world.change_code()
    with pytest.raises(CapctlError) as failed:
        plan_deploy(world.ports, world.target, RUN, Wanted())
    assert failed.value.code == "release-would-change"


def test_leftovers_of_a_killed_creation_may_be_deleted(world: World) -> None:
    world.stack.half_made.add("0123456789ab")
    world.deploy()
    assert world.stack.half_made == set()
    assert world.active is not None


def test_full_account_is_refused_before_anything_is_made(world: World) -> None:
    world.jobs.environments = 48
    with pytest.raises(CapctlError) as failed:
        world.deploy()
    assert failed.value.code == "quota-reached"


@pytest.mark.parametrize(
    ("section", "change", "code"),
    [
        ("smoke", {"video_url": None}, "video-missing"),
        ("release", {"subnet_ids": ()}, "network-missing"),
        ("release", {"security_group_ids": ()}, "network-missing"),
    ],
)
def test_missing_settings_are_usage_errors(world: World, section: str, change: dict[str, object], code: str) -> None:
    settings = world.target.settings
    changed = replace(settings, **{section: replace(getattr(settings, section), **change)})
    with pytest.raises(UsageError) as failed:
        plan_deploy(world.ports, replace(world.target, settings=changed), RUN, Wanted())
    assert failed.value.code == code


@pytest.mark.parametrize(
    ("keep", "active", "previous", "surplus"),
    [
        (2, 4, 3, [1, 2]),
        (3, 4, 3, [1]),
        (1, 4, 3, [1, 2]),
        (2, 1, 4, [2, 3]),
        (10, 4, 3, []),
    ],
)
def test_surplus_counts_from_the_oldest(keep: int, active: int, previous: int, surplus: list[int]) -> None:
    releases = {number: make_release(number) for number in (1, 2, 3, 4)}
    pointer = replace(_pointer(releases[active]), previous_release_id=releases[previous].id)
    found = surplus_releases(tuple(deployed(release) for release in releases.values()), pointer, keep=keep)
    assert [release.id for release in found] == [releases[number].id for number in surplus]


def _pointer(release: Release) -> Pointer:
    return Pointer(
        version=1,
        release_id=release.id,
        previous_release_id="",
        job_queue_arn=deployed(release).job_queue_arn,
        job_definition_arn=deployed(release).job_definition_arn,
        moved_at="2026-01-01T00:00:00+00:00",
        moved_by="tester",
        reason="",
    )


def test_release_has_every_parameter_of_the_configuration(world: World) -> None:
    section = replace(world.target.settings.release, attempts=3, environment={"A": "1"})
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
