"""Share: whom a verified AMI is given to, on the AMI and on each of its snapshots."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.domain.ami import AmiRecord, Grant
from lifecycle.domain.ami_status import AmiStatus
from lifecycle.errors import CapctlError, ExitCode
from lifecycle.workflows.execute import execute
from lifecycle.workflows.share_ami import parse_grants, plan_revoke, plan_share
from tests.failures import failure
from tests.fakes.bakes import Scene
from tests.fakes.runs import RUN

ACCOUNT = Grant(account="210987654321")
ORGANIZATION = Grant(organization="arn:aws:organizations::123456789012:organization/o-abcdefghij")
UNIT = Grant(unit="arn:aws-us-gov:organizations::123456789012:ou/o-abcdefghij/ou-ab12-cdefghij")


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.fixture
def ami(scene: Scene) -> AmiRecord:
    return scene.bake()


def test_grants_are_given_and_taken_back(scene: Scene, ami: AmiRecord) -> None:
    every = (ACCOUNT, ORGANIZATION, UNIT)
    execute(plan_share(scene.ports, scene.target, ami.id, every), scene.ports, RUN)
    assert scene.amis.grants(ami.id) == set(every)
    assert scene.amis.snapshot_grants(ami.snapshot_ids) == {ami.snapshot_ids[0]: {ACCOUNT}}
    execute(plan_revoke(scene.ports, scene.target, ami.id, every[:2]), scene.ports, RUN)
    assert scene.amis.grants(ami.id) == {UNIT}
    assert scene.amis.snapshot_grants(ami.snapshot_ids) == {ami.snapshot_ids[0]: frozenset()}


def test_what_is_so_already_is_said_and_changes_nothing(scene: Scene, ami: AmiRecord) -> None:
    scene.amis.change_grants(ami.id, add=[ACCOUNT])
    plan = plan_share(scene.ports, scene.target, ami.id, (ACCOUNT,))
    assert (plan.steps, plan.because) == ((), "it is shared with 210987654321 already")
    plan = plan_revoke(scene.ports, scene.target, ami.id, (UNIT,))
    assert (plan.steps, plan.because) == ((), f"it is not shared with {UNIT}")


def test_only_what_is_lacking_is_changed(scene: Scene, ami: AmiRecord) -> None:
    scene.amis.change_grants(ami.id, add=[ORGANIZATION])
    plan = plan_share(scene.ports, scene.target, ami.id, (ACCOUNT, ORGANIZATION))
    assert [step.describe() for step in plan.steps] == [f"share {ami.id} with 210987654321"]


def test_snapshot_that_a_killed_run_left_out_is_shared(scene: Scene, ami: AmiRecord) -> None:
    scene.amis.change_grants(ami.id, add=[ACCOUNT])
    scene.amis.set_snapshot_grants(ami.snapshot_ids[0])
    execute(plan_share(scene.ports, scene.target, ami.id, (ACCOUNT,)), scene.ports, RUN)
    assert scene.amis.snapshot_grants(ami.snapshot_ids) == {ami.snapshot_ids[0]: {ACCOUNT}}


def test_unproven_ami_is_not_shared_and_can_be_revoked(scene: Scene, ami: AmiRecord) -> None:
    scene.amis.change_grants(ami.id, add=[ACCOUNT])
    scene.mark(ami.id, AmiStatus.CANDIDATE)
    with pytest.raises(CapctlError) as failed:
        plan_share(scene.ports, scene.target, ami.id, (ACCOUNT,))
    assert failed.value.code == "ami-not-verified"
    execute(plan_revoke(scene.ports, scene.target, ami.id, (ACCOUNT,)), scene.ports, RUN)
    assert scene.amis.grants(ami.id) == frozenset()


def test_ami_under_the_default_key_is_refused_before_anybody_is_asked(scene: Scene, ami: AmiRecord) -> None:
    scene.amis.encrypts_by_default_key = True
    assert failure(lambda: plan_share(scene.ports, scene.target, ami.id, (ACCOUNT,))).code == "ami-not-shareable"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({}, "grant-missing"),
        ({"accounts": ["all"]}, "grant-invalid"),
        ({"accounts": ["2109-8765-4321"]}, "grant-invalid"),
        ({"accounts": ["\uff12" * 12]}, "grant-invalid"),
        ({"accounts": ["123456789012"]}, "grant-invalid"),
        ({"organizations": ["o-abcdefghij"]}, "grant-invalid"),
        ({"units": [str(ORGANIZATION)]}, "grant-invalid"),
        ({"organizations": [str(UNIT)]}, "grant-invalid"),
    ],
)
def test_nobody_is_guessed_and_never_everybody(scene: Scene, options: dict[str, list[str]], code: str) -> None:
    with pytest.raises(CapctlError) as failed:
        parse_grants(scene.target, **{"accounts": (), "organizations": (), "units": (), **options})
    assert (failed.value.code, failed.value.exit_code) == (code, ExitCode.USAGE)


def test_grants_are_read_from_the_options_once_each(scene: Scene) -> None:
    given = parse_grants(
        scene.target,
        accounts=["210987654321", "210987654321"],
        organizations=[str(ORGANIZATION)],
        units=[str(UNIT)],
    )
    assert given == (ACCOUNT, ORGANIZATION, UNIT)
