"""Verifications by a boot, on fakes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from lifecycle.domain.ami import AmiRecord
from lifecycle.domain.run import Run
from lifecycle.workflows.execute import execute
from lifecycle.workflows.verify_ami import AmiReport, verify_by_boot
from tests.fakes.bakes import Scene
from tests.fakes.runs import RUN


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
