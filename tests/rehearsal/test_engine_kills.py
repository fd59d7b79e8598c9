"""Updates that are killed at random moments, and gone on with by the same call: nothing is lost, left behind or locked."""

from __future__ import annotations

import os
import random
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from lifecycle.adapters.pulumi_programs import deployed_releases, half_made
from lifecycle.rehearsal.emulator.launch import Emulator
from tests.rehearsal.killed_runs import Runs
from tests.rehearsal.lasting_provider import write_lasting_shim
from tests.rehearsal.stage_parts import PulumiStage, provider_folder, pulumi_stage

pytestmark = [pytest.mark.rehearsal, pytest.mark.slow, pytest.mark.timeout(600)]

SEED_VARIABLE = "CAPCTL_KILL_SEED"
# Two stacks at a time, as there are two cores; a kill of each method per round.
PROJECTS, ROUNDS = ("first", "second"), 5
KILLS = len(PROJECTS) * ROUNDS * 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Victim:
    """A project whose runs are killed."""

    stage: PulumiStage
    runs: Runs
    folder: Path
    standing: str

    def exists(self) -> dict[str, list[str]]:
        """What AWS holds of the project, by kind: ARNs, and the ids of launch templates."""
        batch, ec2, prefix = self.stage.session.client("batch"), self.stage.session.client("ec2"), self._prefix
        environments = batch.describe_compute_environments()["computeEnvironments"]
        queues = batch.describe_job_queues()["jobQueues"]
        definitions = batch.describe_job_definitions(status="ACTIVE")["jobDefinitions"]
        templates = ec2.describe_launch_templates()["LaunchTemplates"]
        return {
            "ComputeEnvironment": [
                e["computeEnvironmentArn"] for e in environments if e["computeEnvironmentName"].startswith(prefix)
            ],
            "JobQueue": [q["jobQueueArn"] for q in queues if q["jobQueueName"].startswith(prefix)],
            "JobDefinition": [d["jobDefinitionArn"] for d in definitions if d["jobDefinitionName"].startswith(prefix)],
            "LaunchTemplate": [t["LaunchTemplateId"] for t in templates if t["LaunchTemplateName"].startswith(prefix)],
        }

    def require_whole(self, ids: set[str], told: str) -> None:
        """Exactly these releases exist, the state knows all of it, and nobody holds or waits for anything."""
        state = self.stage.run()._engine.current("releases")
        for kind, found in self.exists().items():
            of_kind = [one for one in state["resources"] if one["type"].endswith(f":{kind}")]
            recorded = [one["id"] if kind == "LaunchTemplate" else one["outputs"]["arn"] for one in of_kind]
            assert sorted(found) == sorted(recorded), f"{told}: {kind}"
            assert len(found) == len(ids), f"{told}: {kind}"
        assert {release.id for release in deployed_releases(state)} == ids, told
        assert not half_made(state), told
        assert not state.get("pending_operations"), told
        assert [*self.folder.glob("state/.pulumi/locks/**/*.json")] == [], told

    @property
    def _prefix(self) -> str:
        return f"{self.stage.target.project}-"


@pytest.fixture(scope="module")
def victims(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Victim]]:
    """Projects with a release that stands."""
    folders = {project: tmp_path_factory.mktemp(project) for project in PROJECTS}
    with pulumi_stage(emulator, folders["first"], project="first") as stage:
        found = []
        for project, folder in folders.items():
            each = stage.of(project, folder)
            runs = Runs(target=each.target, environment=dict(os.environ))
            each.run().apply_base()
            (standing,) = each.run().add_release(each.release(1000))
            found.append(Victim(stage=each, runs=runs, folder=folder, standing=standing.id))
        yield found


def test_killed_update_is_gone_on_with_by_the_same_call(
    victims: list[Victim], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = os.environ.get(SEED_VARIABLE) or secrets.token_hex(4)
    with capsys.disabled():
        print(f"\n{KILLS} kills at moments of {SEED_VARIABLE}={seed}")
    # A provider that ends with its engine leaves requests that were never sent; one that lasts finishes them beside the next run.
    paths = [
        f"{folder}{os.pathsep}{os.environ['PATH']}"
        for folder in (provider_folder(), write_lasting_shim(tmp_path / "lasting"))
    ]
    started = time.monotonic()
    ticks = _ticks(victims[0])
    with ThreadPoolExecutor(len(victims)) as pool:
        killings = [
            pool.submit(_kill_and_go_on, victim, ticks, random.Random(f"{seed} {number}"), paths)
            for number, victim in enumerate(victims)
        ]
        told = [line for killing in killings for line in killing.result()]
    with capsys.disabled():
        print("\n".join([*told, f"{KILLS} kills in {time.monotonic() - started:.0f} s"]))
    assert len(told) == KILLS


def _kill_and_go_on(victim: Victim, ticks: dict[str, int], chance: random.Random, paths: list[str]) -> list[str]:
    """Add and remove releases, each killed once and gone on with; returns what was done."""
    stage, told = victim.stage, []
    moments = {method: _moments(count, chance) for method, count in ticks.items()}
    for number in range(ROUNDS):
        release = stage.release(number)
        for method, argument, ids in (
            ("add_release", release, {victim.standing, release.id}),
            ("remove_releases", {release.id}, {victim.standing}),
        ):
            tick, path = moments[method][number], chance.randrange(len(paths))
            line = f"{stage.target.project}: {method} killed at moment {tick}, provider {('ends', 'lasts')[path]}"
            killed = victim.runs.killed(method, argument, tick=tick, environment={"PATH": paths[path]})
            assert not killed.error, f"{line}: {killed.error}"
            ended = victim.runs(method, argument)
            assert ended.ids is not None, f"{line}: {ended.error}"
            assert set(ended.ids) == ids, line
            victim.runs.await_providers()
            victim.require_whole(ids, line)
            told.append(line)
    return told


def _ticks(victim: Victim) -> dict[str, int]:
    """How many moments a run tells of that nobody kills, by method."""
    release, found = victim.stage.release(2000), {}
    for method, argument in (("add_release", release), ("remove_releases", {release.id})):
        ended = victim.runs(method, argument)
        assert ended.ids is not None, ended.error
        found[method] = ended.ticks
    return found


def _moments(ticks: int, chance: random.Random) -> list[int]:
    """One moment of each part of a run, in no order."""
    found = [chance.randrange(ticks * part // ROUNDS, ticks * (part + 1) // ROUNDS) for part in range(ROUNDS)]
    chance.shuffle(found)
    return found
