"""Channel `candidate` names what the last bake returned, whatever came between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lifecycle.domain.ami import AmiId
from lifecycle.domain.ami_status import AmiStatus
from lifecycle.domain.channel import CANDIDATE
from lifecycle.errors import CapctlError, Inconclusive
from lifecycle.workflows.bake import bake
from lifecycle.workflows.execute import execute
from lifecycle.workflows.move_channel import NameCandidate
from tests.fakes.bakes import CONTENTS, FINISH, Scene, names_of
from tests.fakes.faults import Broken
from tests.fakes.runs import RUN


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def candidate(scene: Scene) -> AmiId | None:
    entry = scene.ports.channels.read(CANDIDATE)
    return entry.ami_id if entry else None


def test_channel_candidate_names_what_was_baked_last(scene: Scene) -> None:
    first = scene.bake()
    assert candidate(scene) == first.id
    second = scene.bake(force=True)
    assert candidate(scene) == second.id


def test_candidate_names_the_ami_that_the_bake_returned_also_when_it_was_there_before(scene: Scene) -> None:
    first = scene.bake()
    scene.change_models({"models/age.onnx": b"other"})
    second = scene.bake()
    assert candidate(scene) == second.id != first.id
    scene.change_models(CONTENTS)
    plan = scene.plan()
    assert (names_of(plan), plan.because.endswith(f"channel candidate names {candidate(scene)}")) == (
        ["NameCandidate"],
        True,
    )
    again = scene.baked()
    assert (again.ami.id, again.is_changed, candidate(scene)) == (first.id, False, first.id)


def test_unchanged_bake_looks_at_the_channel_once_and_writes_nothing(scene: Scene) -> None:
    scene.bake()
    broken: Any = Broken(scene.ports, "channels")
    bake(broken, scene.target, RUN, force=False, carry_out=lambda plan: execute(plan, broken, RUN))
    assert broken.calls == ["channels.read"]


def test_candidate_never_names_an_ami_that_is_not_verified(scene: Scene) -> None:
    for step in scene.plan().steps:
        entry = scene.ports.channels.read(CANDIDATE)
        assert entry is None or scene.amis.get(entry.ami_id).is_proven
        step.apply()
    assert candidate(scene)
    left = scene.leave_unproven()
    refused = NameCandidate(ports=scene.ports, run=RUN, name=left.name)
    with pytest.raises(CapctlError, match="needs at least a verified one"):
        refused.apply()


@pytest.mark.parametrize("done", range(len(FINISH) + 1))
def test_bake_that_was_killed_after_any_step_is_finished_by_the_same_command(scene: Scene, done: int) -> None:
    """After the status that makes the next bake do nothing, that bake looks at the channel."""
    for step in scene.plan().steps[: done + 1]:
        step.apply()
    ami = scene.bake()
    assert (ami.status, candidate(scene), len(scene.baker.requests)) == (AmiStatus.VERIFIED, ami.id, 1)
    assert len(scene.ports.channels.history(CANDIDATE)) == 1


@pytest.mark.parametrize("is_lost", [False, True])
@pytest.mark.parametrize("at", range(4))
def test_call_for_the_channel_that_fails_leaves_what_the_next_bake_finishes(
    scene: Scene, at: int, is_lost: bool
) -> None:
    broken: Any = Broken(scene.ports, "channels", at=at, is_lost=is_lost)
    with pytest.raises(Inconclusive):
        bake(broken, scene.target, RUN, force=False, carry_out=lambda plan: execute(plan, broken, RUN))
    ami = scene.bake()
    assert (candidate(scene), ami.status) == (ami.id, AmiStatus.VERIFIED)
    assert (len(scene.baker.requests), len(scene.ports.channels.history(CANDIDATE))) == (1, 1)


def test_of_two_bakes_of_different_content_the_later_one_wins_and_neither_fails(scene: Scene) -> None:
    *make, name_first = scene.plan().steps
    for step in make:
        step.verify(step.apply())
    result = name_first.apply()
    scene.change_models({"models/age.onnx": b"other"})
    second = scene.bake()
    name_first.verify(result)
    assert candidate(scene) == second.id


def test_bake_waits_while_another_moves_the_channel(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    write, refused = (
        scene.ports.channels.write,
        [CapctlError("channel-moved", "Somebody else moves it at this moment")] * 3,
    )

    def busy(*arguments: Any, **options: Any) -> int | None:
        if refused:
            raise refused.pop()
        return write(*arguments, **options)

    monkeypatch.setattr(scene.ports.channels, "write", busy)
    assert candidate(scene) is None
    assert scene.bake().id == candidate(scene)
    assert scene.ports.clock.slept
