"""Proofs: what a failed verification takes away, and what it takes to get it back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from lifecycle.domain.ami import AmiId, AmiRecord, Grant, SnapshotRecord
from lifecycle.domain.ami_status import AmiState, AmiStatus
from lifecycle.domain.channel import CANDIDATE, Channel, takes
from lifecycle.domain.digest import digest_of
from lifecycle.domain.proof import Level
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError, Denied, Inconclusive
from lifecycle.workflows.bake import bake
from lifecycle.workflows.bake_steps import ProveAmi
from lifecycle.workflows.copy_ami import plan_copies
from lifecycle.workflows.disable_ami import plan_disable, plan_enable
from lifecycle.workflows.execute import execute
from lifecycle.workflows.promote_ami import plan_channel_rollback, plan_promote
from lifecycle.workflows.share_ami import plan_share
from tests.failures import code_of
from tests.fakes.bakes import Scene, names_of
from tests.fakes.runs import RUN
from tests.unit.lifecycle.proof_parts import ask_for_boots, booted, next_run

AT = "2026-01-01T00:00:00Z"
STABLE = Channel("stable")


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def disable(scene: Scene, ami: AmiRecord) -> None:
    execute(plan_disable(scene.ports, scene.target, RUN, ami.id, force=True), scene.ports, RUN)


def enable(scene: Scene, ami: AmiRecord) -> None:
    run = next_run(scene)
    execute(plan_enable(scene.ports, scene.target, run, ami.id), scene.ports, run)


@pytest.mark.parametrize("status", [AmiStatus.VERIFIED, AmiStatus.SMOKE_PASSED])
def test_ami_that_fails_a_verification_is_a_candidate_that_nothing_takes(scene: Scene, status: AmiStatus) -> None:
    ami = scene.bake()
    scene.mark(ami.id, status)
    assert booted(scene, ami, is_damaged=True).failed
    found = scene.amis.get(ami.id)
    assert (found.status, found.tags[Tag.VERIFIED][:12]) == (AmiStatus.CANDIDATE, "failed boot ")
    assert not found.is_deployable_by(Level.PAYLOAD)
    ports, target = scene.ports, scene.target
    assert code_of(lambda: plan_share(ports, target, ami.id, (Grant(account="210987654321"),))) == "ami-not-verified"
    assert code_of(lambda: plan_promote(ports, target, RUN, ami=ami.id, channel=STABLE)) == "ami-not-verified"


def test_wrong_payload_takes_the_status_back_without_a_boot_and_says_so(scene: Scene) -> None:
    ami = scene.bake()
    scene.amis.tag(ami.id, {Tag.MODEL_SET.value: digest_of(b"other")})
    assert booted(scene, ami, is_damaged=False).failed
    found = scene.amis.get(ami.id)
    assert (found.status, found.tags[Tag.VERIFIED][:15]) == (AmiStatus.CANDIDATE, "failed payload ")
    assert scene.ports.instances.requests == []
    assert not any("boot" in entry.step for entry in scene.ports.journal.entries())


def test_one_early_answer_takes_no_status_away(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    ami = scene.bake()
    ask_for_boots(scene)
    early, snapshots = [tuple[SnapshotRecord, ...]()], scene.amis.snapshots
    monkeypatch.setattr(scene.amis, "snapshots", lambda ids: early.pop() if early else snapshots(ids))
    assert scene.bake().status is AmiStatus.VERIFIED
    assert scene.amis.get(ami.id).is_proven_by(Level.BOOT)


@pytest.mark.parametrize("is_denied", [False, True])
def test_failure_tells_with_whom_the_ami_is_shared(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, *, is_denied: bool
) -> None:
    def deny(_: AmiId) -> frozenset[Grant]:
        raise Denied("permission-denied", "AWS refused reading the grants")

    ami = scene.bake()
    scene.amis.change_grants(ami.id, add=[Grant(account="210987654321")])
    if is_denied:
        monkeypatch.setattr(scene.amis, "grants", deny)
    assert booted(scene, ami, is_damaged=True).failed
    said = "cannot be read" if is_denied else "is shared with 210987654321"
    assert [line for line in scene.ports.ui.lines if said in line]
    assert scene.amis.get(ami.id).status is AmiStatus.CANDIDATE


def test_status_that_comes_while_an_ami_fails_is_not_lowered(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    ami = scene.bake()
    scene.mark(ami.id, AmiStatus.SMOKE_PASSED)
    tag = scene.amis.tag

    def promoted_first(ami_id: AmiId, tags: dict[str, str]) -> None:
        tag(ami_id, {Tag.STATUS.value: AmiStatus.PROMOTED, **tags})

    monkeypatch.setattr(scene.amis, "tag", promoted_first)
    assert booted(scene, ami, is_damaged=True).failed
    found = scene.amis.get(ami.id)
    assert (found.status, found.is_proven) == (AmiStatus.PROMOTED, False)


@pytest.mark.parametrize("status", [AmiStatus.PROMOTED, AmiStatus.SUPERSEDED])
def test_promoted_ami_that_fails_keeps_its_status_and_is_taken_by_nothing(scene: Scene, status: AmiStatus) -> None:
    ami = scene.bake()
    scene.mark(ami.id, status)
    assert booted(scene, ami, is_damaged=True).failed
    found = scene.amis.get(ami.id)
    assert (found.status, found.is_proven, takes(STABLE, found)) == (status, False, False)
    assert any(f"is {status}, so releases may run on it" in line for line in scene.ports.ui.lines)
    with pytest.raises(CapctlError, match="its last verification failed"):
        plan_promote(scene.ports, scene.target, RUN, ami=ami.id, channel=STABLE)
    assert booted(scene, ami, is_damaged=False).failed == ()
    assert scene.amis.get(ami.id).is_proven


def test_another_projects_ami_is_not_booted(scene: Scene) -> None:
    foreign = scene.amis.add("foreign", tags={Tag.PROJECT: "other", Tag.STATUS: AmiStatus.VERIFIED})
    assert code_of(lambda: booted(scene, foreign, is_damaged=True)) == "ami-foreign"
    assert scene.amis.get(foreign.id) == foreign


@pytest.mark.parametrize("asks_for_boots", [False, True])
def test_bake_pays_no_other_instance_for_an_ami_that_one_found_wrong(scene: Scene, asks_for_boots: bool) -> None:
    ami = scene.bake()
    booted(scene, ami, is_damaged=True)
    if asks_for_boots:
        ask_for_boots(scene)
    scene.ports.instances.requests.clear()
    for call in (scene.bake, scene.plan):
        with pytest.raises(CapctlError, match="an instance of it found it wrong") as failed:
            call()
        assert (failed.value.code, "`capctl ami bake --force`" in failed.value.hint) == ("ami-not-verified", True)
    assert scene.ports.instances.requests == []
    assert scene.amis.get(ami.id).tags[Tag.VERIFIED].startswith("failed boot ")


@pytest.mark.parametrize("trouble", ["capacity", "time", "network"])
def test_bake_boots_again_what_no_instance_has_found_wrong(scene: Scene, trouble: str) -> None:
    ask_for_boots(scene)
    instances = scene.ports.instances
    if trouble == "capacity":
        instances.refusals = [Inconclusive("no-capacity", "AWS has no capacity")] * 9
    elif trouble == "time":
        instances.is_mute = True
    else:
        instances.says = "capctl-bake: input-unreadable: CHECK: curl ended with status 6"
    with pytest.raises(CapctlError) as failed:
        scene.bake()
    assert failed.value.code != "ami-not-verified"
    instances.refusals, instances.is_mute, instances.says = [], False, ""
    (left,) = scene.amis.list("vision")
    run = next_run(scene)
    assert bake(scene.ports, scene.target, run, force=False, carry_out=partial(execute, ports=scene.ports, run=run))
    assert scene.amis.get(left.id).is_proven_by(Level.BOOT)


def test_bake_takes_an_ami_that_failed_only_after_it_booted(scene: Scene) -> None:
    ami = scene.bake()
    booted(scene, ami, is_damaged=True)
    assert code_of(scene.bake) == "ami-not-verified"
    booted(scene, ami, is_damaged=False)
    found = scene.bake()
    assert (found.id, found.status, found.tags[Tag.VERIFIED][:5]) == (ami.id, AmiStatus.VERIFIED, "boot ")


@pytest.mark.parametrize(
    ("status", "state", "verified", "remedy"),
    [
        ("candidate", "available", "", "`capctl ami bake`"),
        ("candidate", "available", f"failed boot {AT}", "`capctl ami bake --force`"),
        ("promoted", "available", f"failed boot {AT}", "`capctl ami bake --force`"),
        ("disabled", "disabled", "", "--undo`"),
        ("verified", "disabled", "", "--undo`"),
        ("verified", "failed", "", "`capctl ami ls --status verified`"),
    ],
)
def test_refusal_of_an_unproven_ami_names_what_proves_it(
    scene: Scene, status: str, state: str, verified: str, remedy: str
) -> None:
    ami = scene.bake()
    scene.amis.tag(ami.id, {Tag.STATUS.value: status, Tag.VERIFIED.value: verified})
    scene.amis.change(ami.id, state=AmiState(state))
    with pytest.raises(CapctlError) as failed:
        plan_promote(scene.ports, scene.target, RUN, ami=ami.id, channel=STABLE)
    assert (failed.value.code, remedy in failed.value.hint) == ("ami-not-verified", True)


def test_forced_bake_does_not_go_on_with_an_ami_that_failed(scene: Scene) -> None:
    ami = scene.bake()
    booted(scene, ami, is_damaged=True)
    another = scene.bake(force=True)
    assert another.id != ami.id
    assert scene.bake().id == another.id


def test_ami_that_takes_the_place_of_one_that_failed_owes_no_boot(scene: Scene) -> None:
    ami = scene.bake()
    booted(scene, ami, is_damaged=True)
    scene.remove_reports()
    (prove,) = [step for step in scene.plan().steps if isinstance(step, ProveAmi)]
    assert prove.level is Level.PAYLOAD


def test_level_that_the_configuration_asks_for_later_is_proven_without_another_bake(scene: Scene) -> None:
    ami = scene.bake()
    ask_for_boots(scene)
    plan = scene.plan()
    assert (names_of(plan), "short of `ami.verify_boot`" in plan.because) == (["ProveAmi"], True)
    found = scene.bake()
    assert (found.id, found.tags[Tag.VERIFIED][:5]) == (ami.id, "boot ")
    assert scene.plan().steps == ()


def test_level_of_the_configuration_binds_whatever_gives_an_ami_away(scene: Scene) -> None:
    ports, ami = scene.ports, scene.bake()
    scene.mark(ami.id, AmiStatus.SMOKE_PASSED)
    ask_for_boots(scene)
    gates: list[Callable[[], object]] = [
        lambda: plan_promote(ports, scene.target, RUN, ami=ami.id, channel=STABLE),
        lambda: plan_promote(ports, scene.target, RUN, ami=ami.id, channel=CANDIDATE),
        lambda: plan_share(ports, scene.target, ami.id, (Grant(account="210987654321"),)),
        lambda: plan_copies(ports, scene.target, RUN, ami.id, ("eu-west-1",)),
    ]
    for gate in gates:
        with pytest.raises(CapctlError, match="no boot of it was verified") as refused:
            gate()
        assert (refused.value.code, f"`capctl ami verify {ami.id} --boot`" in refused.value.hint) == (
            "ami-not-verified",
            True,
        )
    assert booted(scene, ami, is_damaged=False).failed == ()
    assert all(gate() for gate in gates)


def test_channel_goes_back_to_an_ami_that_was_never_booted(scene: Scene) -> None:
    ports, amis = scene.ports, [scene.bake(), scene.bake(force=True)]
    for ami in amis:
        scene.mark(ami.id, AmiStatus.SMOKE_PASSED)
        execute(plan_promote(ports, scene.target, RUN, ami=ami.id, channel=STABLE), ports, RUN)
    ask_for_boots(scene)
    execute(plan_channel_rollback(ports, scene.target, RUN, channel=STABLE), ports, RUN)
    named = ports.channels.read(STABLE)
    assert named is not None
    assert named.ami_id == amis[0].id


def test_way_back_proves_at_the_level_of_the_last_failure(scene: Scene) -> None:
    ami = scene.bake()
    booted(scene, ami, is_damaged=True)
    disable(scene, ami)
    assert code_of(lambda: enable(scene, ami)) == "ami-not-verified"
    assert scene.amis.get(ami.id).status is AmiStatus.CANDIDATE
    scene.ports.instances.damage = lambda _: None
    enable(scene, ami)
    assert scene.amis.get(ami.id).is_proven_by(Level.BOOT)


def test_way_back_proves_at_the_level_of_the_configuration(scene: Scene) -> None:
    ami = scene.bake()
    disable(scene, ami)
    ask_for_boots(scene)
    enable(scene, ami)
    assert scene.amis.get(ami.id).is_proven_by(Level.BOOT)


def test_candidate_that_passes_every_level_is_verified(scene: Scene) -> None:
    ami = scene.leave_unproven()
    assert booted(scene, ami, is_damaged=False).failed == ()
    assert scene.amis.get(ami.id).status is AmiStatus.VERIFIED


def test_ami_that_is_withdrawn_while_a_bake_proves_it_is_refused(scene: Scene) -> None:
    ami = scene.leave_unproven()
    (prove,) = [step for step in scene.plan().steps if isinstance(step, ProveAmi)]
    scene.mark(ami.id, AmiStatus.DISABLED)
    assert code_of(lambda: prove.verify(prove.apply())) == "ami-status-refused"
    assert scene.amis.get(ami.id).status is AmiStatus.DISABLED
