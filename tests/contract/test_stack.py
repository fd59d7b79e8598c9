"""What every `ports.Stack` does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import pytest

from lifecycle.domain.ami import AmiId
from lifecycle.domain.release import Release
from lifecycle.errors import CapctlError
from lifecycle.ports.stack import Operation, ResourceChange, Stack
from tests.failures import code_of
from tests.fakes.releases import make_release
from tests.fakes.stack import PARTS, FakeStack, deployed
from tests.fakes.targets import make_target
from tests.rehearsal.stage_parts import PulumiStage, pulumi_stage

BOTH = ["fake", pytest.param("pulumi", marks=pytest.mark.rehearsal)]
NUMBERS = count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """`run` gives the stacks as one more command sees them; `made` names the releases of which anything exists.

    `release` and `refused` make releases that AWS takes and refuses, another one each time. `earlier` lets one more exist, which an
    earlier version of capctl made, and gives its id.
    """

    run: Callable[[], Stack]
    made: Callable[[], set[str]]
    release: Callable[[], Release]
    refused: Callable[[], Release]
    earlier: Callable[[], str]


def _in_memory(*, bootstrapped: bool) -> Account:
    stack = FakeStack(bootstrapped=bootstrapped)

    def made() -> set[str]:
        return {f"vision-{release_id}" for release_id in {one.id for one in stack.releases()} | stack.left_half_made}

    def release() -> Release:
        return make_release(next(NUMBERS))

    def refused() -> Release:
        stack.fail_with = CapctlError(
            "stack-failed", "Pulumi failed", details=("the AMI cannot be described",), verdict=True
        )
        return release()

    def earlier() -> str:
        number = next(NUMBERS)
        stack.stand(replace(deployed(make_release(number)), id=f"{number:012x}"))
        return f"{number:012x}"

    return Account(run=lambda: stack, made=made, release=release, refused=refused, earlier=earlier)


def _emulated(stage: PulumiStage) -> Account:
    def made() -> set[str]:
        ec2, batch = stage.session.client("ec2"), stage.session.client("batch")
        templates = ec2.describe_launch_templates()["LaunchTemplates"]
        environments = batch.describe_compute_environments()["computeEnvironments"]
        names = {template["LaunchTemplateName"] for template in templates}
        names |= {environment["computeEnvironmentName"] for environment in environments}
        names |= {queue["jobQueueName"] for queue in batch.describe_job_queues()["jobQueues"]}
        return {name for name in names if name.startswith("vision-")}

    def refused() -> Release:
        return replace(stage.release(next(NUMBERS)), ami_id=AmiId("ami-0doesnotexist0000"))

    return Account(
        run=stage.run,
        made=made,
        release=lambda: stage.release(next(NUMBERS)),
        refused=refused,
        earlier=lambda: stage.stand_earlier(next(NUMBERS)),
    )


@pytest.fixture(scope="module")
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PulumiStage]:
    """With a base stack, which ends with the emulator."""
    with pulumi_stage(request.getfixturevalue("emulator"), tmp_path_factory.mktemp("stack")) as stage:
        stage.run().apply_base()
        yield stage


@pytest.fixture(params=BOTH)
def account(request: pytest.FixtureRequest) -> Iterator[Account]:
    """With a base stack and no release."""
    if request.param == "fake":
        yield _in_memory(bootstrapped=True)
        return
    account = _emulated(request.getfixturevalue("stage"))
    yield account
    if account.made():
        stack = account.run()
        stack.remove_releases({one.id for one in stack.releases()})


@pytest.fixture(params=BOTH)
def bare_account(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """Before the first `apply_base`."""
    if request.param == "fake":
        yield _in_memory(bootstrapped=False)
        return
    folder = tmp_path_factory.mktemp("bare")
    with pulumi_stage(request.getfixturevalue("emulator"), folder, project="bare") as stage:
        yield _emulated(stage)


def operations(changes: Iterable[ResourceChange], release_id: str) -> dict[str, Operation]:
    """Operation by type of resource, of one release."""
    return {change.type: change.operation for change in changes if change.release_id == release_id}


def test_first_preview_creates_the_base_stack_and_makes_nothing(bare_account: Account) -> None:
    changes = bare_account.run().preview_base()
    assert {change.operation for change in changes} == {Operation.CREATE}
    assert "aws:s3/bucket:Bucket" in {change.type for change in changes}
    assert code_of(bare_account.run().base) == "base-missing"


def test_without_a_base_stack_there_is_no_release_and_none_can_be_made(bare_account: Account) -> None:
    stack, release = bare_account.run(), bare_account.release()
    assert stack.releases() == ()
    assert code_of(lambda: stack.preview_release(release)) == "base-missing"
    assert code_of(lambda: stack.add_release(release)) == "base-missing"
    assert code_of(lambda: stack.remove_releases({release.id})) == "base-missing"
    assert stack.releases() == ()


def test_outputs_name_what_the_target_names(account: Account, tmp_path: Path) -> None:
    target, outputs = make_target(tmp_path), account.run().base()
    assert (outputs.bucket, outputs.repository) == (target.bucket, target.repository)
    assert (outputs.table, outputs.log_group) == (target.table, target.log_group)
    roles = (outputs.job_role_arn, outputs.execution_role_arn, outputs.instance_profile_arn)
    assert all(role.startswith(f"arn:aws:iam::{target.account}:") for role in roles)


def test_base_stack_that_stands_is_the_same_when_it_is_applied_again(account: Account) -> None:
    before = account.run().base()
    assert {change.operation for change in account.run().preview_base()} == {Operation.SAME}
    assert account.run().apply_base() == before


def test_release_comes_last_goes_alone_and_touches_no_other(account: Account) -> None:
    first, second = account.release(), account.release()
    assert account.run().add_release(first) == (deployed(first),)
    changes = account.run().preview_release(second)
    assert operations(changes, first.id) == dict.fromkeys(PARTS, Operation.SAME)
    assert operations(changes, second.id) == dict.fromkeys(PARTS, Operation.CREATE)
    assert len(changes) == 2 * len(PARTS)
    assert account.run().releases() == (deployed(first),)
    both = (deployed(first), deployed(second))
    assert account.run().add_release(second) == both
    assert account.run().add_release(first) == both
    assert account.run().remove_releases({first.id, account.release().id}) == (deployed(second),)
    assert account.made() == {f"vision-{second.id}"}
    assert account.run().add_release(first) == (deployed(second), deployed(first, revision=2))


def test_two_runs_at_once_keep_each_other_s_release(account: Account) -> None:
    releases = [account.release() for _ in range(2)]
    runs = [account.run() for _ in releases]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda run, release: run.add_release(release), runs, releases))
    assert {one.id for one in account.run().releases()} == {release.id for release in releases}


def test_refused_release_says_why_and_is_no_release_until_it_is_finished_or_removed(account: Account) -> None:
    release = account.refused()
    with pytest.raises(CapctlError) as failed:
        account.run().add_release(release)
    assert failed.value.code == "stack-failed"
    assert failed.value.is_verdict
    assert any("cannot be described" in line for line in failed.value.details)
    assert account.run().releases() == ()
    template, definition, environment, queue = PARTS
    expected = dict.fromkeys((template, definition), Operation.SAME)
    expected |= {environment: Operation.UPDATE, queue: Operation.CREATE}
    assert operations(account.run().preview_release(release), release.id) == expected
    assert account.run().remove_releases({release.id}) == ()
    assert account.made() == set()


def test_what_a_refused_release_left_goes_with_the_next_one(account: Account) -> None:
    refused = account.refused()
    assert code_of(lambda: account.run().add_release(refused)) == "stack-failed"
    release = account.release()
    changes = account.run().preview_release(release)
    assert set(operations(changes, refused.id).values()) == {Operation.DELETE}
    assert operations(changes, release.id) == dict.fromkeys(PARTS, Operation.CREATE)
    assert account.run().add_release(release) == (deployed(release),)
    assert account.made() == {f"vision-{release.id}"}


def test_what_exists_of_a_half_made_release_stays_while_it_is_needed(account: Account) -> None:
    refused = account.refused()
    assert code_of(lambda: account.run().add_release(refused)) == "stack-failed"
    assert account.run().half_made() == {refused.id}
    release, needed = account.release(), {refused.id}
    changes = account.run().preview_release(release, needed=needed)
    assert set(operations(changes, refused.id).values()) == {Operation.SAME}
    assert account.run().add_release(release, needed=needed) == (deployed(release),)
    assert account.made() == {f"vision-{refused.id}", f"vision-{release.id}"}
    assert account.run().remove_releases({release.id}, needed=needed) == ()
    assert account.run().half_made() == {refused.id}
    assert account.made() == {f"vision-{refused.id}"}
    assert account.run().remove_releases({refused.id}) == ()
    assert account.made() == set()


def test_release_of_an_earlier_version_keeps_its_id_stays_as_it_is_and_goes_when_it_is_removed(
    account: Account,
) -> None:
    earlier, release = account.earlier(), account.release()
    (listed,) = account.run().releases()
    assert listed.id == earlier
    changes = account.run().preview_release(release)
    assert operations(changes, earlier) == dict.fromkeys(PARTS, Operation.SAME)
    assert operations(changes, release.id) == dict.fromkeys(PARTS, Operation.CREATE)
    assert len(changes) == 2 * len(PARTS)
    assert account.run().add_release(release) == (listed, deployed(release))
    assert account.run().remove_releases({earlier}) == (deployed(release),)
    assert account.made() == {f"vision-{release.id}"}


def test_release_of_an_earlier_version_outlives_one_that_is_refused(account: Account) -> None:
    earlier, refused = account.earlier(), account.refused()
    (listed,) = account.run().releases()
    assert code_of(lambda: account.run().add_release(refused)) == "stack-failed"
    assert account.run().releases() == (listed,)
    assert account.run().remove_releases({refused.id}) == (listed,)
    assert account.made() == {f"vision-{earlier}"}
