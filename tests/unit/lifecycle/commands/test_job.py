"""`capctl job`."""

import math
from dataclasses import replace

import pytest

from lifecycle.domain.job import JobState
from tests.fakes.batch_jobs import Attempt
from tests.fakes.releases import make_release
from tests.unit.lifecycle.commands.case import DEPLOYED, VIDEO, Case, Play, World

SUBMIT = f"job submit --video {VIDEO} --session by-hand"


def without_video(world: World) -> None:
    world.ports.objects.remove(VIDEO)


def submitted(world: World) -> None:
    world.run(SUBMIT)


def unreadable(world: World) -> None:
    """Batch's own sentence says nothing that the exit code does not."""
    world.ports.jobs.course = (JobState.RUNNING, JobState.RUNNING, JobState.FAILED)
    world.ports.jobs.outcome = {"exit_code": 65, "status_reason": "Essential container in task exited"}
    submitted(world)


def unreadable_to_the_end(world: World) -> None:
    unreadable(world)
    for _ in range(2):
        world.ports.jobs.get("00000000-0000-4000-8000-000000000002")


def in_a_foreign_queue(world: World) -> None:
    submitted(world)
    batch = world.ports.jobs.batch
    other = batch.create_queue("other", batch.create_environment("other", make_release()))
    job = batch.jobs["00000000-0000-4000-8000-000000000002"]
    job.request = replace(job.request, queue_arn=other)


def without_memory(world: World) -> None:
    world.ports.jobs.course = (JobState.FAILED,)
    world.ports.jobs.outcome = {
        "exit_code": 137,
        "reason": "OutOfMemoryError: killed",
        "status_reason": "Essential container in task exited",
    }
    submitted(world)


def waiting_on_the_release_that_was_left(world: World) -> None:
    """`00000000-0000-4000-8000-000000000003` waits on it, and `00000000-0000-4000-8000-000000000004` runs there."""
    world.ports.code.files["job.py"] += "#"
    for words in ("image push", "deploy --yes"):
        assert world.run(words)[0] == 0, world.ports.ui.lines
    for number, course in enumerate(((Attempt(waits_s=math.inf),), (Attempt(waits_s=0, starts_s=0, runs_s=900),))):
        world.ports.jobs.course = course
        assert world.run(f"job submit --video {VIDEO} --session by-hand-{number}")[0] == 0
    assert world.run("rollback --yes")[0] == 0


def moved(world: World) -> None:
    waiting_on_the_release_that_was_left(world)
    assert world.run(f"job move {LEFT} --yes")[0] == 0


FIRST, LEFT = "c3db89e8ed06", "f1d42060d615"
LOG = "2026-01-01 00:00:02Z analysis begins"
CASES = [
    Case(
        words=SUBMIT,
        given=DEPLOYED,
        asked=("jobs.submit",),
        text="00000000-0000-4000-8000-000000000002",
        document={
            "schema": "capctl.job/1",
            "id": "00000000-0000-4000-8000-000000000002",
            "name": "vision-by-hand",
            "exit_code": None,
            "stopped": None,
        },
    ),
    Case(words=SUBMIT, given=DEPLOYED, change=without_video, code=1, error="video-missing"),
    Case(words="job submit --video s3://elsewhere/a.mp4", given=DEPLOYED, code=2, error="video-out-of-reach"),
    Case(words=f"{SUBMIT} --env FPS", given=DEPLOYED, code=2, error="usage"),
    Case(words=f"{SUBMIT} --env SAMPLE_FPS=many", given=DEPLOYED, code=2, error="job-invalid"),
    Case(words=SUBMIT, code=1, error="pointer-missing"),
    Case(
        words="job ls",
        given=DEPLOYED,
        text="""\
id                                    state      exit  submitted             reason  name
00000000-0000-4000-8000-000000000001  SUCCEEDED  0     2026-01-01 00:00:01Z          \
smoke-c3db89e8ed06-20260101-000000-abcdef""",
        document={"schema": "capctl.job-list/1"},
    ),
    Case(
        words="job ls",
        given=DEPLOYED,
        change=without_memory,
        text="""\
id                                    state      exit  submitted             reason                    name
00000000-0000-4000-8000-000000000002  FAILED     137   2026-01-01 00:00:02Z  OutOfMemoryError: killed  vision-by-hand
00000000-0000-4000-8000-000000000001  SUCCEEDED  0     2026-01-01 00:00:01Z                            \
smoke-c3db89e8ed06-20260101-000000-abcdef""",
    ),
    Case(words="job ls --release 0123456789ab", given=DEPLOYED, code=1, error="release-missing"),
    Case(
        words="job logs 00000000-0000-4000-8000-000000000002",
        given=DEPLOYED,
        change=unreadable,
        text=LOG,
        document={"schema": "capctl.job-log/1", "job_id": "00000000-0000-4000-8000-000000000002", "state": "RUNNING"},
    ),
    Case(
        words="job logs 00000000-0000-4000-8000-000000000002 --follow --raw",
        given=DEPLOYED,
        change=submitted,
        text="analysis begins\nanalysis ends",
        document={"state": "SUCCEEDED"},
    ),
    Case(
        words="job logs 00000000-0000-4000-8000-000000000002 --follow",
        given=DEPLOYED,
        change=unreadable,
        code=1,
        error="job-failed",
        text=f"{LOG}\n2026-01-01 00:00:02Z analysis ends",
        document={"schema": "capctl.job-log/1", "state": "FAILED", "exit_code": 65},
        said="error[job-failed]: Job `00000000-0000-4000-8000-000000000002` is FAILED, exit 65: unreadable input",
    ),
    Case(words="job logs 00000000-0000-4000-8000-000000000009", given=DEPLOYED, code=1, error="job-missing"),
    Case(
        words="job show 00000000-0000-4000-8000-000000000002",
        given=DEPLOYED,
        change=unreadable_to_the_end,
        text="""\
job        00000000-0000-4000-8000-000000000002
name       vision-by-hand
state      FAILED: it has failed
why        unreadable input
said       analysis ends
next       Run `capctl job logs 00000000-0000-4000-8000-000000000002`: the end of its log says more
exit code  65
attempts   1
release    {release}
image      123456789012.dkr.ecr.us-west-2.amazonaws.com/vision@sha256:cd4efb609166
submitted  2026-01-01 00:00:02Z
started    2026-01-01 00:00:02Z
ended      2026-01-01 00:00:02Z
log        capctl job logs 00000000-0000-4000-8000-000000000002""",
        document={
            "schema": "capctl.job-view/1",
            "state": "FAILED",
            "where": "it has failed",
            "why": "unreadable input",
        },
    ),
    Case(words="job show 00000000-0000-4000-8000-000000000009", given=DEPLOYED, code=1, error="job-missing"),
    Case(
        words="job cancel 00000000-0000-4000-8000-000000000002 --yes --reason unwanted",
        given=DEPLOYED,
        change=submitted,
        asked=("jobs.cancel",),
        text="00000000-0000-4000-8000-000000000002",
        document={
            "schema": "capctl.job-cancellation/1",
            "id": "00000000-0000-4000-8000-000000000002",
            "state": "FAILED",
            "changed": True,
        },
    ),
    Case(
        words="job cancel 00000000-0000-4000-8000-000000000002 --dry-run",
        given=DEPLOYED,
        change=submitted,
        text="""\
Plan: cancel job 00000000-0000-4000-8000-000000000002
  because it is STARTING on release {release}, as `vision-by-hand`
  1. cancel job 00000000-0000-4000-8000-000000000002
Nothing was changed; run again without `--dry-run` to apply""",
        document={"schema": "capctl.plan/1"},
    ),
    Case(
        words="job cancel 00000000-0000-4000-8000-000000000002",
        given=DEPLOYED,
        change=submitted,
        code=2,
        error="confirmation-needed",
    ),
    Case(
        words="job cancel 00000000-0000-4000-8000-000000000001 --yes",
        given=DEPLOYED,
        text="00000000-0000-4000-8000-000000000001",
        document={"schema": "capctl.job-cancellation/1", "state": "SUCCEEDED", "changed": False},
    ),
    Case(
        words=f"job move {LEFT} --yes",
        given=DEPLOYED,
        change=waiting_on_the_release_that_was_left,
        asked=("deployments.turn", "jobs.withdraw", "jobs.submit"),
        text="00000000-0000-4000-8000-000000000003 -> 00000000-0000-4000-8000-000000000005",
        document={
            "schema": "capctl.job-move/1",
            "release_id": LEFT,
            "to": FIRST,
            "changed": True,
            "moved": [
                {
                    "id": "00000000-0000-4000-8000-000000000003",
                    "name": "vision-by-hand-0",
                    "job_id": "00000000-0000-4000-8000-000000000005",
                }
            ],
            "started": [],
            "staying": [],
        },
    ),
    Case(
        words=f"job move {LEFT} --dry-run",
        given=DEPLOYED,
        change=waiting_on_the_release_that_was_left,
        text=f"""\
Plan: move jobs of release {LEFT} to release {FIRST}
  because release {FIRST} takes jobs now, and 1 job of release {LEFT} can go there
    00000000-0000-4000-8000-000000000003 `vision-by-hand-0`: RUNNABLE
  1. give the jobs that wait on release {LEFT} to release {FIRST}
Nothing was changed; run again without `--dry-run` to apply""",
        document={"schema": "capctl.plan/1"},
    ),
    Case(
        words=f"job move {LEFT}",
        given=DEPLOYED,
        change=waiting_on_the_release_that_was_left,
        code=2,
        error="confirmation-needed",
    ),
    Case(
        words=f"job move {LEFT} --yes",
        given=DEPLOYED,
        change=moved,
        said=f"move jobs of release {LEFT} to release {FIRST}: no job waits on it that can be moved",
        document={"changed": False, "to": FIRST, "moved": []},
    ),
    Case(words=f"job move {FIRST} --yes", given=DEPLOYED, document={"changed": False}),
    Case(words="job move 0123456789ab --yes", given=DEPLOYED, code=1, error="release-missing"),
    Case(words="job move 0123456789ab --yes", code=1, error="pointer-missing"),
    Case(
        words="job show 00000000-0000-4000-8000-000000000003",
        given=DEPLOYED,
        change=moved,
        text=f"""\
job        00000000-0000-4000-8000-000000000003
name       vision-by-hand-0
state      FAILED: it was cancelled before it ran
why        it was moved to release {FIRST}
next       Look at `capctl job show 00000000-0000-4000-8000-000000000005`, which runs in its place
exit code  -
attempts   0
release    {LEFT}
image      123456789012.dkr.ecr.us-west-2.amazonaws.com/vision@sha256:c30920540558
submitted  2026-01-01 00:00:05Z
started    -
ended      2026-01-01 00:00:05Z
log        none yet""",
        document={
            "moved_to": {"release_id": FIRST, "job_id": "00000000-0000-4000-8000-000000000005"},
            "replaces": None,
        },
    ),
    *(
        Case(words=words, code=2, error=error)
        for words, error in (
            ("job show abc", "job-id-invalid"),
            ("job logs nope", "job-id-invalid"),
            ("job cancel abc -y", "job-id-invalid"),
            ("job move abc -y", "release-id-invalid"),
            ("job ls --release ../../etc", "release-id-invalid"),
            ("smoke --release c3db89e8ed0", "release-id-invalid"),
            ("rollback --to abc -y", "release-id-invalid"),
        )
    ),
    Case(words="job cancel 00000000-0000-4000-8000-000000000009 --yes", given=DEPLOYED, code=1, error="job-missing"),
    Case(
        words="job cancel 00000000-0000-4000-8000-000000000002 --yes",
        given=DEPLOYED,
        change=in_a_foreign_queue,
        code=1,
        error="job-foreign",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_job(case: Case, played: Play) -> None:
    played(case)
