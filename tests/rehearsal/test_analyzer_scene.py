"""The scene of a job's life, played by its own checks on the kept stage, whose first release stands already."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.rehearsal.commands import Capctl
from lifecycle.rehearsal.ingest_queue import IngestQueue
from lifecycle.rehearsal.project import Addresses
from lifecycle.rehearsal.project import Project as StageProject
from lifecycle.rehearsal.recorder import Recorder
from lifecycle.rehearsal.report import Kind
from lifecycle.rehearsal.scenes.analyzer import play_jobs
from lifecycle.rehearsal.stage import Stage
from lifecycle.rehearsal.standins.reasons import StandIns
from tests.fakes.ui import FakeUi
from tests.rehearsal.kept_stage import KeptStage, Project

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(600)]

STEPS = [
    "long video", "job, its host taken away", "the same video at one go", "the same job again", "analyzer worker, no video",
    "analyzer worker, SIGTERM", "analyzer worker, the next", "analyzer search --like", "analyzer report --html",
]  # fmt: skip


@pytest.fixture
def stage(kept: KeptStage, project: Project, tmp_path: Path) -> Stage:
    given = {**kept.environment, "CAPCTL_CONFIG": str(project.config)}
    addresses = Addresses(
        endpoint_url=given["AWS_ENDPOINT_URL"],
        registry_url=f"http://{given['REGISTRY']}",
        ssh_port=0,
        database_url=given["DATABASE_URL"],
        subnet_ids=(),
        security_group_ids=(),
    )
    return Stage(
        id=kept.id,
        folder=tmp_path,
        project=StageProject(project.folder),
        addresses=addresses,
        environment=given,
        standins=StandIns(machines=None, engine=None, registry=None, rootfs=None),
    )


def test_life_of_a_job_is_played_and_leaves_no_worker(stage: Stage, tmp_path: Path) -> None:
    import docker

    # Other tests bring videos too.
    queue = IngestQueue(stage)
    for url in (queue.url, queue.dead_url):
        stage.client("sqs").purge_queue(QueueUrl=url)
    record = Recorder(FakeUi())
    play_jobs(stage, Capctl(stage.environment, log=tmp_path / "commands.log"), record)
    assert [row.name for row in record.rows] == STEPS
    assert {row.kind for row in record.rows} == {Kind.REAL}
    engine = docker.from_env()
    assert engine.containers.list(all=True, filters={"name": f"worker-{stage.id}"}) == []
    engine.close()
