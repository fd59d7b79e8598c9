"""`capctl status`."""

import pytest

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
ACTIVE = """\
pointer: c3db89e8ed06, moved 2026-01-01 00:00:02Z by tester

release       role    ami                    image                queue
c3db89e8ed06  active  ami-00000000000000001  sha256:cd4efb609166  VALID"""


def with_one_entry(world: World) -> None:
    world.ports.journal = FakeJournal()
    world.ports.journal.append(ENTRY)


def with_an_unfinished_release(world: World) -> None:
    world.ports.journal = FakeJournal()
    world.ports.stack.add_release(make_release())


CASES = [
    Case(
        words="status",
        text="pointer: none\n\nno releases",
        document={"schema": "capctl.status/1", "pointer": None, "releases": [], "journal": []},
    ),
    Case(
        words="status",
        given=DEPLOYED,
        change=with_one_entry,
        text=f"""\
{ACTIVE}

at                    by   outcome           step
2026-11-21 15:07:02Z  ada  job job-1, 2.5 s  smoke release c3db89e8ed06 with face.mp4""",
        document={"schema": "capctl.status/1"},
    ),
    Case(
        words="status",
        given=DEPLOYED,
        change=with_an_unfinished_release,
        text=f"""\
{ACTIVE.replace("role  ", "role     ").replace("active  ", "active     ")}
{make_release().id}  candidate  ami-0123456789abcdef0  sha256:6b86b273ff34  VALID
{make_release().id} is unfinished: run `capctl deploy` again""",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_status(case: Case, played: Play) -> None:
    played(case)
