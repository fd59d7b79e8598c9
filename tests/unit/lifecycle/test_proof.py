"""Proofs: what a failed verification takes away, and what it takes to get it back."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from lifecycle.domain.ami import AmiRecord, AmiState, AmiStatus, Grant, Tag
from lifecycle.domain.channel import Channel, takes
from lifecycle.domain.proof import Finding, Level, combined, parse_finding
from lifecycle.domain.run import Run
from lifecycle.errors import CapctlError, Inconclusive
from lifecycle.workflows.bake import bake
from lifecycle.workflows.bake_steps import ProveAmi
from lifecycle.workflows.disable_ami import plan_disable, plan_enable
from lifecycle.workflows.execute import execute
from lifecycle.workflows.promote_ami import plan_promote
from lifecycle.workflows.share_ami import plan_share
from lifecycle.workflows.verify_ami import AmiReport, verify_by_boot
from tests.failures import code_of
from tests.fakes.bakes import Scene, names_of
from tests.fakes.runs import RUN

AT, LATER = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
STABLE = Channel("stable")


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def next_run(scene: Scene) -> Run:
    """A run whose instance is a new one."""
    return replace(RUN, id=f"20260101-{len(scene.ports.instances.requests):06d}-fedcba")


def booted(scene: Scene, ami: AmiRecord, *, is_damaged: bool) -> AmiReport:
    def damage(found: dict[str, list[dict[str, str]]]) -> None:
        if is_damaged:
            found["files"][0].update(sha256="0" * 64)

    scene.ports.instances.damage = damage
    scene.ports.clock.sleep(60)
    run = next_run(scene)
    carry_out = partial(execute, ports=scene.ports, run=run)
    report = verify_by_boot(scene.ports, scene.target, run, ami.id, carry_out=carry_out)
    assert report is not None
    return report


def ask_for_boots(scene: Scene) -> None:
    settings = scene.target.settings
    scene.target = replace(scene.target, settings=replace(settings, ami=replace(settings.ami, verify_boot=True)))


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
    assert not found.is_deployable
    ports, target = scene.ports, scene.target
    assert code_of(lambda: plan_share(ports, target, ami.id, (Grant(account="210987654321"),))) == "ami-not-verified"
    assert code_of(lambda: plan_promote(ports, target, RUN, ami=ami.id, channel=STABLE)) == "ami-not-verified"


def test_payload_that_fails_before_a_boot_takes_the_status_back_too(scene: Scene) -> None:
    ami = scene.bake()
    scene.remove_reports()
    assert booted(scene, ami, is_damaged=False).failed
    found = scene.amis.get(ami.id)
    assert (found.status, found.tags[Tag.VERIFIED][:15]) == (AmiStatus.CANDIDATE, "failed payload ")
    assert scene.ports.instances.requests == []


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


def test_verification_of_another_projects_ami_leaves_its_tags_alone(scene: Scene) -> None:
    foreign = scene.amis.add("foreign", tags={Tag.PROJECT: "other", Tag.STATUS: AmiStatus.VERIFIED})
    assert booted(scene, foreign, is_damaged=True).failed
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
        ("deregistered", "available", "", "`capctl ami ls --status verified`"),
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


def finding(level: Level, *, failed: bool = False, at: str = AT) -> Finding:
    return Finding(level=level, is_failure=failed, at=at)


@pytest.mark.parametrize("failed", [False, True])
@pytest.mark.parametrize("level", Level)
def test_finding_is_read_as_it_was_written(level: Level, *, failed: bool) -> None:
    assert parse_finding(str(finding(level, failed=failed))) == finding(level, failed=failed)


@pytest.mark.parametrize(("text", "is_failure"), [("", None), ("signed 2027", None), (f"failed {AT}", True)])
def test_failure_that_tells_no_level_is_one_and_other_words_are_none(text: str, is_failure: bool | None) -> None:
    found = parse_finding(text)
    assert (found and found.is_failure) == is_failure


@pytest.mark.parametrize(
    ("last", "new", "stands"),
    [
        (None, finding(Level.PAYLOAD), finding(Level.PAYLOAD)),
        (finding(Level.PAYLOAD, failed=True), finding(Level.PAYLOAD, at=LATER), finding(Level.PAYLOAD, at=LATER)),
        (finding(Level.BOOT, failed=True), finding(Level.PAYLOAD, at=LATER), finding(Level.BOOT, failed=True)),
        (
            finding(Level.BOOT, failed=True),
            finding(Level.PAYLOAD, failed=True, at=LATER),
            finding(Level.BOOT, failed=True, at=LATER),
        ),
        (finding(Level.BOOT), finding(Level.PAYLOAD, at=LATER), finding(Level.BOOT)),
        (
            finding(Level.BOOT),
            finding(Level.PAYLOAD, failed=True, at=LATER),
            finding(Level.PAYLOAD, failed=True, at=LATER),
        ),
    ],
)
def test_failure_is_lifted_by_a_proof_of_its_level_only(last: Finding | None, new: Finding, stands: Finding) -> None:
    assert combined(last, new) == stands


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
