"""The engine on the real Pulumi CLI in projects of which nothing stands yet: a preview is what the update does, from the first one on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lifecycle.adapters.pulumi_auto import PulumiStack
from lifecycle.adapters.pulumi_state import state_bucket
from lifecycle.config.image_sections import RegistrySection
from lifecycle.errors import CapctlError, ExitCode
from lifecycle.ports.stack import Operation
from lifecycle.rehearsal.emulator.launch import Emulator
from tests.failures import code_of
from tests.fakes.clock import FakeClock
from tests.fakes.ui import FakeUi
from tests.rehearsal.engine_parts import (
    counted,
    did,
    jobless_emulator,
    removal,
    taken,
    told_calls,
    told_updates,
)
from tests.rehearsal.stage_parts import PulumiStage, pulumi_stage

pytestmark = pytest.mark.rehearsal

# How long the emulator goes on to know the relation of a queue that was deleted.
RELATION_S = 2.0


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with jobless_emulator(tmp_path_factory.mktemp("emulator")) as emulator:
        yield emulator


@pytest.mark.slow
@pytest.mark.parametrize("state", ["file://state", "s3"])
def test_preview_is_what_the_update_does(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    updates = told_updates(monkeypatch)
    with pulumi_stage(emulator, tmp_path, project=f"previews-{state[:2]}", state=state) as stage:

        def run(target_of: PulumiStage = stage) -> PulumiStack:
            return target_of.run()

        bucket = state_bucket(stage.target)
        expected = [change for change in run().preview_base() if change.name != bucket]
        run().apply_base()
        assert did(updates[-1]) == did(expected)
        first, second, broken = stage.release(1), stage.release(2), stage.release(3)
        for release in (first, second, second):
            expected = list(run().preview_release(release))
            assert run().add_release(release) == run().releases()
            assert did(updates[-1]) == did(expected)
        assert {change.operation for change in expected} == {Operation.SAME}

        give_back = taken(stage, broken.id)
        assert code_of(lambda: run().add_release(broken)) == "name-taken"
        assert run().half_made() == {broken.id}
        give_back()
        expected = list(run().preview_release(broken))
        assert counted(expected, broken.id) == {Operation.SAME: 3, Operation.CREATE: 1}
        run().add_release(broken)
        assert did(updates[-1]) == did(expected)

        expected = list(removal(run(), {first.id, broken.id}))
        assert counted(expected, first.id) == counted(expected, broken.id) == {Operation.DELETE: 4}
        assert [one.id for one in run().remove_releases({first.id, broken.id})] == [second.id]
        assert did(updates[-1]) == did(expected)

        registry = RegistrySection(expire_code_days=5, movable_tags=("dev-*",))
        image = replace(stage.target.settings.image, registry=registry)
        changed = replace(stage, target=replace(stage.target, settings=replace(stage.target.settings, image=image)))
        expected = list(run(changed).preview_base())
        assert {Operation.UPDATE, Operation.REPLACE} < {change.operation for change in expected}
        run(changed).apply_base()
        assert did(updates[-1]) == did(expected)
        assert {change.operation for change in run(changed).preview_base()} == {Operation.SAME}
        run().remove_releases({second.id})


def test_bootstrap_takes_four_calls_of_the_cli(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = told_calls(monkeypatch)
    with pulumi_stage(emulator, tmp_path, project="bootstrap") as stage:
        stage.run().apply_base()
    assert len(calls) == 4


def test_environment_whose_queue_lingers_is_deleted_by_the_same_call(tmp_path: Path) -> None:
    """The clock is the test's, so that only the updates themselves take time."""
    clock, ui = FakeClock(), FakeUi()
    with (
        jobless_emulator(tmp_path / "emulator", relation_s=RELATION_S) as emulator,
        pulumi_stage(emulator, tmp_path) as stage,
    ):
        stage.run().apply_base()
        release = stage.release(1)
        stage.run().add_release(release)
        assert PulumiStack(stage.target, stage.session, clock, ui).remove_releases({release.id}) == ()
        assert clock.slept
        name = f"vision-{release.id}"
        assert f"✗ delete ComputeEnvironment {name}" in ui.lines
        assert ui.lines.count(f"✓ delete ComputeEnvironment {name}") == 1
        assert ui.lines.count(f"✓ delete JobQueue {name}") == 1
        assert stage.session.client("batch").describe_compute_environments()["computeEnvironments"] == []


@pytest.mark.parametrize("is_elsewhere", [False, True])
def test_wrong_passphrase_is_told_and_nothing_is_changed(
    emulator: Emulator, tmp_path: Path, is_elsewhere: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`is_elsewhere`: on a machine that has never changed the stack, and so has no note of how its state is closed."""
    with pulumi_stage(emulator, tmp_path, project=f"closed-{is_elsewhere}".lower(), state="s3") as stage:
        stage.run().apply_base()
        release = stage.release(1)
        there = replace(stage, target=replace(stage.target, folder=tmp_path / "elsewhere")) if is_elsewhere else stage
        with monkeypatch.context() as patch:
            patch.setenv("PULUMI_CONFIG_PASSPHRASE", "of nobody")
            with pytest.raises(CapctlError) as failed:
                there.run().add_release(release)
        assert (failed.value.code, failed.value.exit_code) == ("passphrase-wrong", ExitCode.USAGE)
        assert failed.value.hint
        assert stage.run().releases() == ()
        assert [one.id for one in there.run().add_release(release)] == [release.id]
        assert [one.id for one in stage.run().releases()] == [release.id]
