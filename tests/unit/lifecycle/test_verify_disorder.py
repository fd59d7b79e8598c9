"""What is not in order with an AMI: it fails a verification with what mends it, and says nothing of the content."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lifecycle.domain.ami import AmiRecord
from lifecycle.domain.ami_status import AmiState, AmiStatus
from lifecycle.domain.digest import digest_of
from lifecycle.domain.proof import Level
from lifecycle.domain.tags import Tag
from lifecycle.workflows.bake_steps import ProveAmi
from lifecycle.workflows.verify_ami import ami_rejection, verify_ami
from tests.failures import code_of
from tests.fakes.bakes import Scene
from tests.fakes.runs import RUN
from tests.unit.lifecycle.proof_parts import booted


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def lose_the_report(scene: Scene, _: AmiRecord) -> None:
    scene.remove_reports()


def allow_less(scene: Scene, _: AmiRecord) -> None:
    settings = scene.target.settings
    scene.target = replace(scene.target, settings=replace(settings, models=replace(settings.models, budget_bytes=1)))


def change_the_report(scene: Scene, _: AmiRecord) -> None:
    for uri in scene.reports():
        scene.objects.write(uri, scene.objects.stored[uri][0].replace(b"age.onnx", b"AGE.onnx"))


def lose_a_snapshot(scene: Scene, ami: AmiRecord) -> None:
    scene.amis.snapshot_states[ami.snapshot_ids[0]] = None


@pytest.mark.parametrize(
    "disorder",
    [
        lose_the_report,
        change_the_report,
        allow_less,
        lose_a_snapshot,
        lambda scene, ami: scene.amis.untag(ami.id, [Tag.MODEL_SET.value]),
        lambda scene, ami: scene.amis.untag(ami.id, [Tag.RECIPE.value]),
        lambda scene, ami: scene.amis.change(ami.id, state=AmiState.DISABLED),
    ],
    ids=["no-report", "other-report", "budget", "snapshot", "no-set", "no-recipe", "disabled"],
)
@pytest.mark.parametrize("status", [AmiStatus.SMOKE_PASSED, AmiStatus.PROMOTED])
def test_what_is_not_in_order_fails_and_says_nothing_of_the_content(
    scene: Scene, disorder: Callable[[Scene, AmiRecord], None], status: AmiStatus
) -> None:
    ami = scene.bake()
    scene.mark(ami.id, status)
    disorder(scene, ami)
    before, journal = scene.amis.get(ami.id), scene.ports.journal.entries()
    assert ami_rejection(booted(scene, ami, is_damaged=False))
    prove = ProveAmi(ports=scene.ports, target=scene.target, run=RUN, amis=scene.amis, name=ami.name, level=Level.BOOT)
    assert code_of(prove.apply) == "ami-not-verified"
    assert scene.amis.get(ami.id) == before
    assert (scene.ports.instances.requests, scene.ports.journal.entries()) == ([], journal)


def hint_of(scene: Scene, ami: AmiRecord) -> str:
    rejection = ami_rejection(verify_ami(scene.ports, scene.target, scene.amis, ami.id))
    assert rejection is not None
    return rejection.hint


@pytest.mark.parametrize(
    ("disorder", "remedy"),
    [
        (lose_the_report, "`evidence/`"),
        (allow_less, "`models.budget_bytes`, or leave files out with `models.exclude`"),
        (lambda scene, ami: scene.amis.change(ami.id, state=AmiState.DISABLED), "`capctl ami disable {id} --undo`"),
        (lambda scene, ami: scene.amis.untag(ami.id, [Tag.RECIPE.value]), "`capctl ami bake --force`"),
        (
            lambda scene, ami: scene.amis.tag(ami.id, {Tag.MODEL_SET.value: digest_of(b"x")}),
            "`capctl ami bake --force`",
        ),
        (lambda scene, ami: scene.amis.untag(ami.id, [Tag.STATUS.value]), "what capctl did not bake"),
    ],
    ids=["no-report", "budget", "disabled", "no-recipe", "wrong", "not-baked"],
)
def test_hint_of_a_verification_names_what_mends_it(
    scene: Scene, disorder: Callable[[Scene, AmiRecord], None], remedy: str
) -> None:
    ami = scene.bake()
    disorder(scene, ami)
    assert remedy.replace("{id}", ami.id) in hint_of(scene, ami)


def test_verify_fails_as_long_as_the_last_finding_stands(scene: Scene) -> None:
    ami = scene.bake()
    booted(scene, ami, is_damaged=True)
    ports, target = scene.ports, scene.target
    report = verify_ami(ports, target, scene.amis, ami.id)
    assert [check.name for check in report.failed] == ["last finding"]
    assert hint_of(scene, ami) == scene.amis.get(ami.id).way_to_proof()
    booted(scene, ami, is_damaged=False)
    assert ami_rejection(verify_ami(ports, target, scene.amis, ami.id)) is None
    assert scene.amis.get(ami.id).is_proven
