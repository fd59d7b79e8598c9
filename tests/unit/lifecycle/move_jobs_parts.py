"""A release that was rolled back from, and jobs that wait on it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from lifecycle.domain.tags import Tag
from lifecycle.errors import Denied
from lifecycle.ports.jobs import JobRequest
from lifecycle.workflows.execute import execute
from lifecycle.workflows.move_jobs import Moved, MoveJobs, plan_move_jobs
from tests.failures import failure
from tests.fakes.batch_jobs import Attempt
from tests.fakes.ports import FakePorts
from tests.fakes.runs import RUN
from tests.fakes.stack import deployed
from tests.unit.lifecycle.rollback_parts import NEW, rollback, two_promoted

PROJECT = "vision"


def left_release() -> FakePorts:
    """`NEW` was active, and `OLD` is again; jobs wait."""
    made = two_promoted()
    rollback(made)
    made.jobs.course = (Attempt(waits_s=math.inf),)
    return made


def submit(ports: FakePorts, name: str = "job", **fields: Any) -> str:
    place = deployed(NEW)
    request = JobRequest(
        name=name,
        queue_arn=place.job_queue_arn,
        definition_arn=place.job_definition_arn,
        environment={"SESSION_ID": name},
        tags={Tag.PROJECT: PROJECT, Tag.RELEASE: NEW.id, "customer": "ada"},
        timeout_s=600,
    )
    job_id = ports.jobs.submit(replace(request, **fields))
    ports.clock.sleep(1)
    return job_id


def move(ports: FakePorts) -> Moved:
    moved = execute(plan_move_jobs(ports, PROJECT, RUN, NEW.id), ports, RUN).find(MoveJobs)
    assert moved
    return moved


def refuse(*_: object, **__: object) -> str:
    raise Denied("permission-denied", "AWS refused it")


def cut_off(ports: FakePorts, monkeypatch: pytest.MonkeyPatch) -> str:
    """A job that was cancelled for `OLD` and never came there."""
    job_id = submit(ports)
    with monkeypatch.context() as patch:
        patch.setattr(ports.jobs, "submit", refuse)
        assert failure(lambda: move(ports)).code == "jobs-not-moved"
    return job_id
