"""`capctl history`."""

import pytest

from lifecycle.domain.job import JobState, Obstacle
from tests.unit.lifecycle.commands.case import DEPLOYED, PUSHED, Case, Play, World


def rolled_back_and_failed(world: World) -> None:
    """A rollback, then a release that proved bad, then one that came to no verdict."""

    def release(code: int) -> None:
        world.ports.code.files["job.py"] += "#"
        assert world.run("image push")[0] == 0
        world.ports.clock.sleep(1)
        assert world.run("deploy --yes --reason mended")[0] == code

    release(0)
    world.ports.clock.sleep(1)
    assert world.run("rollback --yes --reason tracks")[0] == 0
    world.ports.jobs.course = (JobState.FAILED,)
    release(7)
    world.ports.jobs.outcome = {"obstacle": Obstacle.CAPACITY}
    release(3)


CASES = [
    Case(
        words="history",
        given=PUSHED,
        document={"schema": "capctl.history/1", "events": []},
    ),
    Case(
        words="history -n 1",
        given=(*DEPLOYED, "deploy --yes"),
        text="""\
at                    what    release       outcome   took  by              why
2026-01-01 00:00:00Z  deploy  {release}  promoted  2.0s  tester@machine  -""",
        document={"schema": "capctl.history/1"},
    ),
    Case(
        words="history",
        given=DEPLOYED,
        change=rolled_back_and_failed,
        text="""\
at                    what      release       outcome                took  by              why
2026-01-01 00:00:10Z  deploy    9b705c7e6b69  inconclusive at smoke  1.0s  tester@machine  \
Smoke job `00000000-0000-4000-8000-000000000004` got no host in time: Batch gives no reason; \
nothing was proven either way and the release stays
2026-01-01 00:00:08Z  deploy    619d2e8ec0ac  rolled back            1.0s  tester@machine  \
Smoke job `00000000-0000-4000-8000-000000000003` is FAILED; the former state is back in place
2026-01-01 00:00:07Z  rollback  c3db89e8ed06  rolled back to         -     tester@machine  tracks
2026-01-01 00:00:03Z  deploy    f1d42060d615  promoted               3.0s  tester@machine  mended
2026-01-01 00:00:00Z  deploy    c3db89e8ed06  promoted               2.0s  tester@machine  -""",
        document={"schema": "capctl.history/1"},
    ),
    Case(
        words="history -v",
        given=DEPLOYED,
        text="""\
at                    what    release       outcome   took  by              why  ami                    image
2026-01-01 00:00:00Z  deploy  {release}  promoted  2.0s  tester@machine  -    ami-00000000000000001  \
sha256:cd4efb6091660c02030ef90c72db81ae1a29839980e29e0ed57c26a68c4baa0f""",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_history(case: Case, played: Play) -> None:
    played(case)
