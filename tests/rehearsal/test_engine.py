"""The engine on the real Pulumi CLI: what changed outside is seen, what fails is gone on with, and a lost answer loses nothing."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lifecycle.adapters.aws.deployments import DynamoDeployments
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.adapters.aws.table import ReleasesTable
from lifecycle.adapters.aws.turn import HeldTurn
from lifecycle.adapters.clock import SystemClock
from lifecycle.adapters.pulumi_auto import PulumiStack
from lifecycle.adapters.pulumi_programs import base_program
from lifecycle.app import App
from lifecycle.domain.ami import AmiId
from lifecycle.errors import CapctlError
from lifecycle.ports.stack import Operation
from lifecycle.rehearsal.emulator.launch import Emulator
from lifecycle.workflows.bootstrap import plan_bootstrap
from lifecycle.workflows.execute import execute
from pulumi_stack.standing import TEMPLATE
from tests.failures import code_of
from tests.fakes.clock import FakeClock
from tests.fakes.deployments import HOLDER
from tests.fakes.runs import RUN
from tests.fakes.ui import FakeUi
from tests.rehearsal.engine_parts import PARTS, counted, jobless_emulator, lose, named, told_calls
from tests.rehearsal.slow_door import LosingDoor
from tests.rehearsal.stage_parts import PulumiStage, cache, pulumi_stage

pytestmark = pytest.mark.rehearsal


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with jobless_emulator(tmp_path_factory.mktemp("emulator")) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def stage(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PulumiStage]:
    """With a base stack, and the state in a folder."""
    with pulumi_stage(emulator, tmp_path_factory.mktemp("stack")) as stage:
        stage.run().apply_base()
        yield stage


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return told_calls(monkeypatch)


def test_an_update_takes_four_calls_of_the_cli_at_most(stage: PulumiStage, calls: list[str]) -> None:
    first, second = stage.release(10), stage.release(11)
    taken = {}
    for name, action in {
        "base again": lambda: stage.run().apply_base(),
        "first preview": lambda: stage.run().preview_release(first),
        "first release": lambda: stage.run().add_release(first),
        "preview": lambda: stage.run().preview_release(second),
        "release": lambda: stage.run().add_release(second),
        "removal": lambda: stage.run().remove_releases({first.id, second.id}),
    }.items():
        calls.clear()
        action()
        taken[name] = len(calls)
    assert taken == {"base again": 2, "first preview": 3, "first release": 4, "preview": 3, "release": 4, "removal": 4}


def test_logs_of_the_cli_do_not_pile_up(stage: PulumiStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pulumi itself would keep 500 MB of them, and look at each in every call."""
    logs = tmp_path / "capctl" / "pulumi-home" / "logs"
    logs.mkdir(parents=True)
    (tmp_path / "capctl" / "tools").symlink_to(cache() / "tools")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    old, young = (logs / f"pulumi-{datetime.now(UTC) - timedelta(days=days):%Y%m%dT%H%M%S}-1.log" for days in (3, 2))
    for log in (old, young):
        with log.open("wb") as stream:
            stream.truncate(30_000_000)
    stage.run().releases()
    assert not old.exists()
    assert young in (kept := set(logs.iterdir()))
    assert len(kept) == 2


def test_what_was_deleted_or_changed_outside_is_seen_by_a_refresh_and_made_good(stage: PulumiStage) -> None:
    target, ecr, s3 = stage.target, stage.session.client("ecr"), stage.session.client("s3")
    ecr.delete_lifecycle_policy(repositoryName=target.repository_name)
    s3.put_bucket_versioning(Bucket=target.bucket, VersioningConfiguration={"Status": "Suspended"})
    assert {change.operation for change in stage.run().preview_base()} == {Operation.SAME}
    log = stage.run()._engine.up("base", base_program(target), refresh=True)
    differing = {change.type: change.operation for change in log.changes if change.operation is not Operation.SAME}
    assert differing == {
        "aws:ecr/lifecyclePolicy:LifecyclePolicy": Operation.CREATE,
        "aws:s3/bucketVersioning:BucketVersioning": Operation.UPDATE,
    }
    assert ecr.get_lifecycle_policy(repositoryName=target.repository_name)["lifecyclePolicyText"]
    assert s3.get_bucket_versioning(Bucket=target.bucket)["Status"] == "Enabled"


def test_each_resource_is_told_when_it_is_made_and_when_it_is_refused(stage: PulumiStage) -> None:
    ui, release = FakeUi(), replace(stage.release(21), ami_id=AmiId("ami-0doesnotexist0000"))
    stack = PulumiStack(stage.target, stage.session, SystemClock(), ui)
    stack.preview_release(release)
    assert {line.partition(":")[0] for line in ui.lines} == {"detail"}
    assert code_of(lambda: stack.add_release(release)) == "stack-failed"
    name = f"vision-{release.id}"
    told = [line for line in ui.lines if not line.startswith("detail: ")]
    assert sorted(told) == [
        f"✓ create JobDefinition {name}",
        f"✓ create LaunchTemplate {name}",
        f"✗ create ComputeEnvironment {name}",
    ]
    stack.remove_releases({release.id})


def test_what_never_came_to_life_is_not_tried_again_by_a_run_for_another_release(stage: PulumiStage) -> None:
    """Not even by one that goes on with a killed run, and so reads first what exists: that makes Pulumi forget why."""
    refused, other = replace(stage.release(22), ami_id=AmiId("ami-0doesnotexist0000")), stage.release(23)
    assert code_of(lambda: stage.run().add_release(refused)) == "stack-failed"
    name = f"vision-{other.id}"
    urn = f"urn:pulumi:test-releases::vision::capctl:release:Release$aws:ec2/launchTemplate:LaunchTemplate::{name}"
    parent = f"urn:pulumi:test-releases::vision::capctl:release:Release::{other.id}"
    creating = {"urn": urn, "custom": True, "type": TEMPLATE, "inputs": {"name": name}, "parent": parent}
    stage.run()._engine.repair(
        "releases", lambda now: {**now, "pending_operations": [{"type": "creating", "resource": creating}]}
    )
    assert [made.id for made in stage.run().add_release(other, needed={refused.id})] == [other.id]
    assert stage.run().half_made() == {refused.id}
    (environment,) = stage.session.client("batch").describe_compute_environments(
        computeEnvironments=[f"vision-{refused.id}"]
    )["computeEnvironments"]
    assert environment["status"] == "INVALID"
    state = stage.run()._engine.current("releases")
    failed = [one["urn"] for one in state["resources"] if one.get("initErrors")]
    assert [urn.rpartition("::")[2] for urn in failed] == [f"vision-{refused.id}"]
    assert stage.run().remove_releases({other.id, refused.id}) == ()


def test_lock_of_a_run_that_is_gone_from_another_machine_is_broken_for_who_knows_it(stage: PulumiStage) -> None:
    release, folder = stage.release(30), stage.target.folder / "state/.pulumi/locks/organization/vision/test-releases"
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / f"{uuid.uuid4()}.json"
    lock.write_text('{"pid": 1, "username": "ann", "hostname": "elsewhere", "timestamp": "2026-01-01T00:00:00Z"}')
    with pytest.raises(CapctlError, match=r"by ann@elsewhere \(pid 1\)") as failed:
        stage.run().add_release(release)
    assert failed.value.code == "stack-locked"
    assert lock.exists()
    session = AwsSession(stage.target)
    knowing = PulumiStack(
        stage.target, session, SystemClock(), FakeUi(), is_abandoned=lambda holder: holder.host == "elsewhere"
    )
    assert [one.id for one in knowing.add_release(release)] == [release.id]
    assert not lock.exists()
    stage.run().remove_releases({release.id})


def test_lock_that_a_dead_bootstrap_elsewhere_left_is_given_back_by_any_later_one(stage: PulumiStage) -> None:
    """Also after the run that took its turn over, which changed nothing."""
    now, folder = datetime.now(UTC), stage.target.folder / "state/.pulumi/locks/organization/vision/test-base"
    died = now - timedelta(minutes=10)
    dead = replace(HOLDER, run_id="dead", host="elsewhere", since=died.isoformat(timespec="seconds"))
    HeldTurn(ReleasesTable(stage.session, stage.target.table), FakeClock(died), dead).take()
    with DynamoDeployments(stage.session, FakeClock(now), table=stage.target.table).turn("next", "capctl deploy"):
        pass
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / f"{uuid.uuid4()}.json"

    def lock_at(moment: datetime) -> None:
        lock.write_text(
            json.dumps({"pid": 1, "username": "ann", "hostname": "elsewhere", "timestamp": moment.isoformat()})
        )

    registry = replace(stage.target.settings.image.registry, scan_on_push=False)
    image = replace(stage.target.settings.image, registry=registry)
    target = replace(stage.target, settings=replace(stage.target.settings, image=image))
    app = App(target, FakeUi())
    plan = plan_bootstrap(app, target, RUN)
    lock_at(died + timedelta(minutes=3))
    assert code_of(lambda: execute(plan, app, RUN)) == "stack-locked"
    lock_at(died + timedelta(seconds=5))
    execute(plan, app, RUN)
    assert not lock.exists()
    assert plan_bootstrap(app, target, RUN).steps == ()
    assert app.deployments.standing(1).holder is None
    stage.run().apply_base()


def test_lock_of_a_namesake_of_this_machine_is_not_broken(stage: PulumiStage) -> None:
    """As two containers of a CI are, of which each has its first processes."""
    folder = stage.target.folder / "state/.pulumi/locks/organization/vision/test-base"
    folder.mkdir(parents=True, exist_ok=True)
    lock, now = folder / f"{uuid.uuid4()}.json", datetime.now(UTC).isoformat()
    lock.write_text(
        json.dumps({"pid": 2**22 + 1, "username": "ann", "hostname": os.uname().nodename, "timestamp": now})
    )
    assert code_of(lambda: stage.run().apply_base()) == "stack-locked"
    lock.unlink()
    stage.run().apply_base()


CREATIONS = ("CreateLaunchTemplate", "registerjobdefinition", "createcomputeenvironment", "createjobqueue")
REMOVALS = ("deletejobqueue", "deregisterjobdefinition", "deletecomputeenvironment", "DeleteLaunchTemplate")


@pytest.fixture(scope="module")
def door(emulator: Emulator) -> Iterator[LosingDoor]:
    with closing(LosingDoor(emulator.endpoint.removeprefix("http://"))) as made:
        yield made


@pytest.fixture
def losing(stage: PulumiStage, door: LosingDoor) -> Iterator[PulumiStage]:
    """The stage behind the door."""
    yield replace(stage, target=replace(stage.target, endpoint_url=door.url))
    door.loses = lambda _: False


@pytest.mark.slow
@pytest.mark.parametrize(("operation", "kind"), [*zip(CREATIONS, PARTS, strict=True)])
def test_creation_whose_answer_was_lost_is_taken_over_by_the_next_run(
    losing: PulumiStage, door: LosingDoor, calls: list[str], operation: str, kind: str
) -> None:
    release = losing.release(40 + PARTS.index(kind))
    lose(door, operation, lambda: losing.run().add_release(release))
    (made,) = named(losing, release.id)[kind]
    stack = losing.run()
    stack.preview_release(release)
    calls.clear()
    assert release.id in [one.id for one in stack.add_release(release)]
    assert len(calls) == 4
    state = losing.run()._engine.current("releases")
    (part,) = [one for one in state["resources"] if one["type"] == kind and release.id in one["urn"]]
    assert part["id"] == made
    assert part["inputs"]
    assert {kind: len(found) for kind, found in named(losing, release.id).items()} == dict.fromkeys(PARTS, 1)
    assert counted(losing.run().preview_release(release), release.id) == {Operation.SAME: 4}
    losing.run().remove_releases({release.id})
    assert not any(named(losing, release.id).values())


@pytest.mark.slow
def test_what_a_lost_answer_left_of_a_release_that_nobody_wants_goes_with_it(
    losing: PulumiStage, door: LosingDoor
) -> None:
    unwanted, wanted = losing.release(50), losing.release(51)
    lose(door, "createcomputeenvironment", lambda: losing.run().add_release(unwanted))
    assert [one.id for one in losing.run().add_release(wanted)] == [wanted.id]
    assert not any(named(losing, unwanted.id).values())
    assert losing.run().half_made() == frozenset()
    # A queue that the state did not know would keep its compute environment.
    lose(door, "createjobqueue", lambda: losing.run().add_release(unwanted))
    assert [one.id for one in losing.run().remove_releases({unwanted.id})] == [wanted.id]
    assert not any(named(losing, unwanted.id).values())
    losing.run().remove_releases({wanted.id})


@pytest.mark.slow
@pytest.mark.parametrize("operation", REMOVALS)
def test_removal_whose_answer_was_lost_is_finished_by_the_next_run(
    losing: PulumiStage, door: LosingDoor, operation: str
) -> None:
    release = losing.release(60 + REMOVALS.index(operation))
    losing.run().add_release(release)
    lose(door, operation, lambda: losing.run().remove_releases({release.id}))
    assert losing.run().remove_releases({release.id}) == ()
    assert not any(named(losing, release.id).values())
    assert losing.run().half_made() == frozenset()


@pytest.mark.slow
def test_release_whose_removal_got_no_answer_may_come_again(losing: PulumiStage, door: LosingDoor) -> None:
    """The state goes on to list a queue that is gone."""
    release = losing.release(70)
    losing.run().add_release(release)
    lose(door, "deletejobqueue", lambda: losing.run().remove_releases({release.id}))
    assert [one.id for one in losing.run().add_release(release)] == [release.id]
    assert {kind: len(found) for kind, found in named(losing, release.id).items()} == dict.fromkeys(PARTS, 1)
    losing.run().remove_releases({release.id})
