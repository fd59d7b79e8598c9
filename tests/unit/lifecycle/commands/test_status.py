"""`capctl status`."""

import pytest

from lifecycle.domain.job import JobState, QueueState
from lifecycle.ports.jobs import JobRequest
from lifecycle.ports.journal import JournalEntry
from tests.fakes.journal import FakeJournal
from tests.fakes.releases import make_release
from tests.unit.lifecycle.commands.case import DEPLOYED, VIDEO, Case, Play, World

ENTRY = JournalEntry(
    at="2026-11-21T16:07:02+01:00",
    run_id="20261121-150702-abcdef",
    user="ada",
    command="capctl deploy",
    step=f"smoke release c3db89e8ed06 with {VIDEO}",
    outcome="job job-1, 2.5 s",
    why="a test asks",
)
POINTER = "pointer: c3db89e8ed06, moved 2026-01-01 00:00:02Z by tester@machine"
STATE = """\
release       role    age  queue  waiting  running  succeeded  failed
c3db89e8ed06  active  0m   VALID  0        0        1          0"""
PARTS = """\
release       ami                    image                models               tag
c3db89e8ed06  ami-00000000000000001  sha256:cd4efb609166  sha256:26e93da22856  code-7fcfcf50d39e5a6e"""


def with_one_entry(world: World) -> None:
    world.ports.journal = FakeJournal()
    world.ports.journal.append(ENTRY)


def with_an_unfinished_release(world: World) -> None:
    world.ports.journal = FakeJournal()
    world.ports.stack.add_release(make_release())


def disable_and_invalidate(world: World) -> None:
    world.ports.journal = FakeJournal()
    (release,) = world.ports.stack.releases()
    world.ports.compute.changed[release.compute_environment_arn] = {
        "state": QueueState.INVALID,
        "reason": "AMI cannot be described",
    }


def disable_the_queue(world: World) -> None:
    world.ports.journal = FakeJournal()
    (release,) = world.ports.stack.releases()
    world.ports.compute.changed[release.job_queue_arn] = {"is_enabled": False, "reason": "JobQueue Healthy"}


def with_thousands_of_jobs(world: World) -> None:
    """The newest of which still wait; older ones run."""
    world.ports.journal = FakeJournal()
    (release,) = world.ports.stack.releases()
    jobs = world.ports.jobs
    for course, count in (((JobState.RUNNING,), 2), ((JobState.SUCCEEDED,), 2_000), ((), 60)):
        jobs.course = course
        for number in range(count):
            request = JobRequest(
                name=f"work-{number}",
                queue_arn=release.job_queue_arn,
                definition_arn=release.job_definition_arn,
                environment={},
                tags={},
            )
            jobs.batch.look(jobs.submit(request))


CASES = [
    Case(
        words="status",
        given=DEPLOYED,
        change=with_thousands_of_jobs,
        text=f"""\
{POINTER}

release       role    age  queue  waiting  running  succeeded  failed
c3db89e8ed06  active  0m   VALID  60+      0+       40+        0+
c3db89e8ed06 has 100+ jobs: the numbers are of its newest 100

{PARTS}""",
    ),
    Case(
        words="status",
        text="pointer: none\n\nno releases",
        document={
            "schema": "capctl.status/1",
            "pointer": None,
            "deployment": None,
            "turn": None,
            "releases": [],
            "journal": [],
        },
    ),
    Case(
        words="status",
        given=DEPLOYED,
        change=with_one_entry,
        text=f"""\
{POINTER}

{STATE}

{PARTS}

at                    by   outcome           step
2026-11-21 15:07:02Z  ada  job job-1, 2.5 s  smoke release c3db89e8ed06 with face.mp4""",
        document={"schema": "capctl.status/1"},
    ),
    Case(
        words="status",
        given=DEPLOYED,
        change=with_an_unfinished_release,
        text=f"""\
{POINTER}

{STATE.replace("role  ", "role     ").replace("active  ", "active     ")}
{make_release().id}  candidate  0m   VALID  0        0        0          0
{make_release().id} is unfinished: `capctl deploy --ami ami-0123456789abcdef0 --image sha256:6b86b273ff34` goes on with it

{PARTS}
{make_release().id}  ami-0123456789abcdef0  sha256:6b86b273ff34  sha256:8edcc26c0f6c  -""",
    ),
    Case(
        words="status",
        given=DEPLOYED,
        change=disable_and_invalidate,
        text=f"""\
{POINTER}

{STATE.replace("queue  ", "queue    ").replace("VALID  ", "INVALID  ")}
c3db89e8ed06 takes no jobs: AMI cannot be described; `capctl drift` says what to do

{PARTS}""",
    ),
    Case(
        words="status",
        given=DEPLOYED,
        change=disable_the_queue,
        text=f"""\
{POINTER}

{STATE.replace("queue  ", "queue     ").replace("VALID  ", "DISABLED  ")}
c3db89e8ed06 takes no jobs; `capctl drift` says what to do

{PARTS}""",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_status(case: Case, played: Play) -> None:
    played(case)
