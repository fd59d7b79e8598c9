"""The boot of an AMI: what its instance reports, where it runs, and that nothing of it stays, however it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest

from lifecycle.domain.ami import AmiId
from lifecycle.domain.boot import boot_checks, parse_boot_report
from lifecycle.domain.models import ModelSet
from lifecycle.domain.place import Place
from lifecycle.domain.proof import Level
from lifecycle.domain.run import Run
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError, Denied, Inconclusive, Interrupted, TimedOut
from lifecycle.ports.instances import BootRequest, InstanceState
from lifecycle.workflows.boot_ami import boot_ami
from lifecycle.workflows.execute import execute
from lifecycle.workflows.verify_ami import AmiReport, verify_ami, verify_by_boot
from tests.fakes.bakes import Scene
from tests.fakes.runs import RUN


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def verified(scene: Scene, ami_id: AmiId, run: Run = RUN) -> AmiReport:
    carry_out = partial(execute, ports=scene.ports, run=run)
    report = verify_by_boot(scene.ports, scene.target, run, ami_id, carry_out=carry_out)
    assert report
    return report


def left(scene: Scene) -> tuple[list[str], list[InstanceState]]:
    """Objects of boots, and instances that are not over."""
    objects = [uri for uri in scene.objects.stored if "/boots/" in uri]
    return objects, [state for state in scene.ports.instances.states.values() if not state.is_over]


def failure_of(scene: Scene, ami_id: AmiId, kind: type[CapctlError] = CapctlError) -> CapctlError:
    with pytest.raises(kind) as failed:
        verified(scene, ami_id)
    return failed.value


def test_instance_gets_the_set_of_the_evidence_and_not_of_the_present_lock(scene: Scene) -> None:
    ami = scene.bake()
    locked = scene.lock.read()
    scene.change_models({"models/other.onnx": b"other"})
    report = verified(scene, ami.id)
    assert (report.level, report.failed) == (Level.BOOT, ())
    assert locked
    assert report.models
    assert report.models.digest == locked.digest
    assert left(scene) == ([], [])


def test_instance_is_of_the_run_and_says_until_when_somebody_waits(scene: Scene) -> None:
    ami = scene.bake()
    before = scene.ports.clock.now()
    verified(scene, ami.id)
    (request,) = scene.ports.instances.requests
    assert (request.ami_id, request.profile) == (ami.id, scene.target.bake_profile)
    assert (request.tags[Tag.PROJECT], request.tags[Tag.RUN]) == ("vision", RUN.id)
    until = datetime.fromisoformat(request.tags[Tag.RUN_UNTIL])
    assert (until - before).total_seconds() > scene.target.settings.ami.timeout_s


def test_level_is_tagged_and_a_later_failure_takes_it_back(scene: Scene) -> None:
    ami = scene.bake()
    assert scene.amis.get(ami.id).tags[Tag.VERIFIED] == "payload 2026-01-01T00:00:00Z"
    verified(scene, ami.id)
    assert scene.amis.get(ami.id).tags[Tag.VERIFIED].startswith("boot 2026-01-01T")
    scene.ports.instances.damage = lambda found: found["files"][0].update(mode="0644")
    report = verified(scene, ami.id, replace(RUN, id="20260101-000001-abcdef"))
    (failed,) = report.failed
    assert failed.name == "boot: payload"
    assert "`checkpoints/llava/weights.bin` has mode 0644, not 0444" in failed.found
    assert scene.amis.get(ami.id).tags[Tag.VERIFIED].startswith("failed ")


def test_ami_that_fails_before_costs_no_instance(scene: Scene) -> None:
    ami = scene.bake()
    scene.amis.tag(ami.id, {Tag.MODEL_SET.value: "sha256:" + "0" * 64})
    assert verified(scene, ami.id).failed
    assert scene.ports.instances.requests == []


def test_bake_boots_what_it_made_when_the_configuration_says_so(tmp_path: Path) -> None:
    scene = Scene(tmp_path, verify_boot=True)
    ami = scene.bake()
    assert [request.ami_id for request in scene.ports.instances.requests] == [ami.id]
    assert scene.amis.get(ami.id).tags[Tag.VERIFIED].startswith("boot ")


def test_bake_of_an_ami_that_does_not_boot_is_no_verified_one(tmp_path: Path) -> None:
    scene = Scene(tmp_path, verify_boot=True)
    scene.ports.instances.says = "capctl-bake: leftover: /root/.ssh/authorized_keys: holds a key"
    with pytest.raises(CapctlError) as failed:
        scene.bake()
    assert failed.value.code == "ami-not-verified"
    (ami,) = scene.amis.list("vision")
    assert (ami.status, ami.tags[Tag.VERIFIED][:7]) == ("candidate", "failed ")


def test_next_place_is_tried_when_one_has_no_room(tmp_path: Path) -> None:
    scene = Scene(tmp_path, instance_types=("m6i.large", "c7i.large"))
    places = [Place(instance_type=kind) for kind in ("m6i.large", "c7i.large")]
    ami = scene.bake()
    scene.ports.instances.refusals = [Inconclusive("no-capacity", "AWS has no capacity for a m6i.large")]
    assert verified(scene, ami.id).level is Level.BOOT
    assert [request.place for request in scene.ports.instances.requests] == [places[1]]
    scene.ports.instances.refusals = [Inconclusive("no-capacity", "AWS has no capacity") for _ in places]
    assert failure_of(scene, ami.id).code == "no-capacity"
    assert left(scene) == ([], [])


def test_refused_launch_looks_for_no_instance(scene: Scene) -> None:
    ami = scene.bake()
    waited = list(scene.ports.clock.slept)
    scene.ports.instances.refusals = [Denied("permission-denied", "AWS refused starting an instance")]
    assert failure_of(scene, ami.id, Denied).code == "permission-denied"
    assert scene.ports.clock.slept == waited
    assert left(scene) == ([], [])


UNANSWERED = [
    Interrupted("interrupted", "The command was interrupted"),
    CapctlError("aws-unreachable", "No answer"),
    CapctlError("aws-unclear", "An internal error"),
    Inconclusive("aws-throttled", "Refused, but the attempt before that was not answered"),
]


@pytest.mark.parametrize("error", UNANSWERED, ids=[error.code for error in UNANSWERED])
def test_instance_whose_id_nobody_was_told_is_found_and_ended(scene: Scene, error: CapctlError) -> None:
    ami = scene.bake()
    scene.ports.instances.interrupted = error
    assert failure_of(scene, ami.id) is error
    assert scene.ports.instances.requests
    assert left(scene) == ([], [])


def test_instance_that_may_be_left_is_told_with_its_run_and_the_command_that_ends_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    ami = scene.bake()

    def launch(_: BootRequest) -> str:
        raise CapctlError("aws-unclear", "An internal error")

    monkeypatch.setattr(scene.ports.instances, "launch", launch)
    assert failure_of(scene, ami.id).code == "aws-unclear"
    (told,) = (line for line in scene.ports.ui.lines if "capctl ami sweep" in line)
    assert f"{Tag.RUN}={RUN.id}" in told


def test_unanswered_launch_that_is_refused_when_repeated_left_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    ami = scene.bake()
    answers = [CapctlError("aws-unreachable", "No answer"), Inconclusive("no-capacity", "AWS has no capacity")]

    def launch(_: BootRequest) -> str:
        raise answers.pop(0)

    monkeypatch.setattr(scene.ports.instances, "launch", launch)
    assert failure_of(scene, ami.id).code == "aws-unreachable"
    assert not any("sweep" in line for line in scene.ports.ui.lines)


def test_instance_that_never_reports_is_ended_in_time(scene: Scene) -> None:
    ami = scene.bake()
    scene.ports.instances.is_mute = True
    assert failure_of(scene, ami.id, TimedOut).code == "boot-timed-out"
    assert left(scene) == ([], [])


@pytest.mark.parametrize("state", [InstanceState.TERMINATED, InstanceState.STOPPED])
def test_instance_that_ends_without_a_report_is_not_waited_for(
    scene: Scene, state: InstanceState, monkeypatch: pytest.MonkeyPatch
) -> None:
    ami = scene.bake()
    instances = scene.ports.instances
    instances.is_mute = True

    def end(_: float) -> None:
        instances.states |= dict.fromkeys(instances.states, state)

    monkeypatch.setattr(scene.ports.clock, "sleep", end)
    assert failure_of(scene, ami.id).code == "boot-failed"
    assert left(scene) == ([], [])


@pytest.mark.parametrize("breaks", ["terminate", "remove"])
def test_what_cannot_be_removed_is_told_and_the_rest_goes(
    scene: Scene, breaks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ami = scene.bake()

    def refuse(subject: str) -> None:
        raise Denied("permission-denied", f"AWS refused removing `{subject}`")

    monkeypatch.setattr(scene.ports.instances if breaks == "terminate" else scene.objects, breaks, refuse)
    assert verified(scene, ami.id).level is Level.BOOT
    objects, _ = left(scene)
    assert bool(objects) == (breaks == "remove")
    assert any("AWS refused removing" in line for line in scene.ports.ui.lines)


def test_signal_during_the_removal_does_not_cut_it_short(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    ami = scene.bake()
    scene.ports.instances.is_mute = True
    signals = [Interrupted("interrupted", "The command was interrupted")]
    terminate: Callable[[str], None] = scene.ports.instances.terminate

    def interrupted(instance_id: str) -> None:
        if signals:
            raise signals.pop()
        terminate(instance_id)

    monkeypatch.setattr(scene.ports.instances, "terminate", interrupted)
    assert failure_of(scene, ami.id, Interrupted).code == "interrupted"
    assert left(scene) == ([], [])


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b'{"schema":"capctl.boot-failure/1","line":"no such line"}', b'{"schema":"capctl.other/1"}'],
)
def test_report_that_nobody_can_read_is_an_error(data: bytes) -> None:
    with pytest.raises(CapctlError) as failed:
        parse_boot_report(data)
    assert failed.value.code == "evidence-invalid"


def test_simulated_boot_says_so_and_lifts_no_level(scene: Scene) -> None:
    ami = scene.bake()
    scene.ports.instances.damage = lambda found: found.update(simulated="no machine can boot here")
    report = verified(scene, ami.id)
    assert (report.level, report.failed) == (Level.PAYLOAD, ())
    assert all("simulated: no machine can boot here" in check.found for check in report.checks[-2:])
    assert "a boot of the AMI" in report.not_checked


def test_failure_line_may_have_colons_in_its_reason() -> None:
    line = "capctl-bake: payload-mismatch: models/a.onnx: sha256 1: odd"
    report = parse_boot_report(b'{"schema":"capctl.boot-failure/1","line":"%s"}' % line.encode())
    (check,) = boot_checks(report, ModelSet(files=()))
    assert (check.ok, check.found) == (False, "`models/a.onnx`: sha256 1: odd")


def test_boot_names_no_object_of_another_run(scene: Scene) -> None:
    ami = scene.bake()
    models = verify_ami(scene.ports, scene.target, scene.amis, ami.id).models
    assert models
    boot_ami(scene.ports, scene.target, RUN, ami.id, models)
    (request,) = scene.ports.instances.requests
    assert all(f"/boots/{RUN.id}/{ami.id}/" in url for url in (*request.inputs.values(), request.report_url))
