"""`capctl rollback`."""

from pathlib import Path

import pytest

from tests.unit.lifecycle.commands.case import DEPLOYED, Case, Play, World

FIRST = "c3db89e8ed06"
CLOSED = (
    f"Release {FIRST} takes no jobs: its job queue is DISABLED; `capctl drift` says what to do,"
    " `capctl rollback --to …` goes to another one"
)


def with_a_second_release(world: World) -> None:
    world.ports.code.files["job.py"] += "#"
    for words in ("image push", "deploy --yes"):
        assert world.run(words)[0] == 0, world.ports.ui.lines


def with_a_second_release_and_the_first_closed(world: World) -> None:
    (first,) = world.ports.stack.releases()
    with_a_second_release(world)
    world.ports.compute.changed[first.job_queue_arn] = {"is_enabled": False}


def with_a_second_release_and_no_for_an_answer(world: World) -> None:
    with_a_second_release(world)
    world.answers = (False,)


CASES = [
    Case(
        words="rollback --yes",
        given=DEPLOYED,
        change=with_a_second_release,
        asked=("pointers.move",),
        text=FIRST,
        document={"schema": "capctl.rollback/1", "changed": True},
        said=f"Jobs that wait on release f1d42060d615 run there; `capctl job move f1d42060d615` gives them to {FIRST}",
    ),
    Case(
        words="rollback --yes",
        given=DEPLOYED,
        change=with_a_second_release_and_the_first_closed,
        asked=("pointers.move",),
        text=FIRST,
        document={"changed": True},
        said=f"Whether release {FIRST} takes jobs was not looked at; `capctl status` shows it",
    ),
    Case(
        words="rollback --dry-run",
        given=DEPLOYED,
        change=with_a_second_release_and_the_first_closed,
        text=f"""\
Plan: roll back to release {FIRST}
  because release {FIRST} was active before f1d42060d615
    {CLOSED}
  1. pointer: f1d42060d615 -> {FIRST}
Nothing was changed; run again without `--dry-run` to apply""",
        document={"schema": "capctl.plan/1"},
    ),
    Case(
        words=f"rollback --yes --to {FIRST}",
        given=DEPLOYED,
        text=FIRST,
        document={"changed": False},
        said=f"roll back to release {FIRST}: release {FIRST} is active already",
    ),
    Case(
        words="rollback --yes --to 0123456789ab",
        given=DEPLOYED,
        code=1,
        error="release-missing",
    ),
    Case(words="rollback --yes", given=DEPLOYED, code=1, error="previous-missing"),
    Case(words="rollback --yes", code=1, error="pointer-missing"),
    Case(words="rollback", given=DEPLOYED, change=with_a_second_release, code=2, error="confirmation-needed"),
    Case(
        words="rollback",
        given=DEPLOYED,
        change=with_a_second_release_and_no_for_an_answer,
        code=1,
        document={"code": "declined"},
        said=f"Roll back to release {FIRST} on target `test` (account 123456789012, region us-west-2)?",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_rollback(case: Case, played: Play) -> None:
    played(case)


def test_who_is_asked_reads_first_where_the_way_leads(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world = World(folder, capsys)
    for words in DEPLOYED:
        world.run(words)
    with_a_second_release_and_the_first_closed(world)
    world.answers = (False,)
    assert world.run("rollback")[0] == 1
    plan, question = world.ports.ui.lines[-2:]
    assert f"\n    {CLOSED}\n" in plan
    assert question.startswith(f"Roll back to release {FIRST}")
