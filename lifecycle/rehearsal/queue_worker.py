"""A worker of the project's queue: the code image with `analyzer worker` for its entry point, as a service of ECS runs it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lifecycle.adapters.hand_runs import HandRunFolder
from lifecycle.adapters.lock_file import LockFile
from lifecycle.config.load import load_target
from lifecycle.domain.job import contract
from lifecycle.domain.layout import Folder
from lifecycle.rehearsal.emulator import containers, processes
from lifecycle.rehearsal.ingest_queue import IngestQueue
from lifecycle.rehearsal.machine import REHEARSAL_VARIABLE
from lifecycle.rehearsal.project import BUCKET, PROJECT
from lifecycle.rehearsal.stage import APP_ID, Stage

# A fifth of what jobs take if nobody asks: nothing moves fast in the rehearsal's videos.
SAMPLE_FPS = "0.4"
_ENTRYPOINT = (*contract.BATCH_COMMAND[:-1], "worker")
# As long as ECS waits before it kills.
_GRACE_S = 30


@dataclass(slots=True)
class Worker:
    """One container; `lines` are what it has written so far."""

    running: containers.Running
    lines: list[str]

    @property
    def events(self) -> list[dict[str, Any]]:
        """Those lines that are events, in which it tells what it does."""
        return [json.loads(line) for line in tuple(self.lines) if line.startswith("{")]

    def stop(self) -> int:
        """Tell it to end, as ECS does when a task is taken from its host; its exit code."""
        self.running.stop(_GRACE_S)
        return self.running.wait().exit_code


@contextmanager
def queue_worker(stage: Stage, image: str, queue: IngestQueue) -> Iterator[Worker]:
    """A worker with the locked models; its container is removed with the block."""
    lines: list[str] = []
    spec = _spec(stage, image, queue)
    if why := stage.standins.engine:
        running: containers.Running = processes.start(spec, lines.append, why=why, home=stage.folder / "worker")
    else:
        running = containers.start(spec, {}, lines.append)
    try:
        yield Worker(running, lines)
    finally:
        running.remove()


def _spec(stage: Stage, image: str, queue: IngestQueue) -> containers.ContainerSpec:
    own = {
        contract.WorkerEnv.QUEUE_URL: queue.url,
        contract.WorkerEnv.POISON_QUEUE_URL: queue.dead_url,
        contract.Env.RESULT_URL: f"s3://{BUCKET}/{Folder.RESULTS}",
        contract.Env.SAMPLE_FPS: SAMPLE_FPS,
        "AWS_SDK_UA_APP_ID": APP_ID,
        REHEARSAL_VARIABLE: stage.id,
    }
    given = {name: value for name, value in stage.environment.items() if name.startswith(("AWS_", "DATABASE_"))}
    target = load_target(stage.project.configuration, None, environment=stage.environment)
    models = HandRunFolder(target).prepare(LockFile(target.path(target.settings.models.lock)).read()).models
    return containers.ContainerSpec(
        name=f"{PROJECT}-worker-{stage.id}",
        image=containers.local_name(image, stage.environment["REGISTRY"]),
        always_pull=False,
        entrypoint=_ENTRYPOINT,
        command=(),
        environment={**given, **{str(name): value for name, value in own.items()}},
        mounts=[containers.Mount(source=each.source, target=each.target, read_only=each.read_only) for each in models],
        properties={},
        rehearsal=stage.id,
    )
