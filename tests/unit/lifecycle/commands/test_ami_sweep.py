"""`capctl ami sweep`."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lifecycle.cli.render import columns
from lifecycle.domain.ami import AmiId
from lifecycle.domain.ami_status import AmiState
from lifecycle.domain.sweep import KnownRun, Leftover, LeftoverKind
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError, Interrupted
from tests.unit.lifecycle.commands.case import BAKED, DEPLOYED, Case, Play, World

NOW = datetime(2026, 1, 1, tzinfo=UTC)
AMI = "ami-00000000000000001"
NAME = "vision-models-325d1c8a7817-0base000"

IN_USE = "used by release c3db89e8ed06 (active); used by channel candidate"


def leave(world: World, kind: LeftoverKind, item_id: str, *, run: str = "", hours: int = 7, **known: Any) -> None:
    created = NOW - timedelta(hours=hours)
    world.ports.leftovers.add(Leftover(kind=kind, id=item_id, project="vision", run_id=run, created=created, **known))


def old_instance(world: World) -> None:
    leave(world, LeftoverKind.INSTANCE, "i-1", run="r1")


def dead_run(world: World) -> None:
    world.ports.bake_runs.add(KnownRun(id="r1", is_held=False, named=frozenset({"packer_x"})))
    world.ports.bake_runs.paths.append("/tmp/capctl-bake-r1")
    leave(world, LeftoverKind.SECURITY_GROUP, "sg-1", name="packer_x", hours=0, users=frozenset({"i-1"}))
    leave(world, LeftoverKind.INSTANCE, "i-1", run="r1", hours=0)


def live_run(world: World) -> None:
    dead_run(world)
    world.ports.bake_runs.paths.clear()
    world.ports.bake_runs.add(
        KnownRun(id="r1", is_held=True, until=NOW + timedelta(hours=1), named=frozenset({"packer_x"}))
    )


def strays(world: World) -> None:
    world.ports.bake_runs.add(KnownRun(id="r1", is_held=True, until=NOW - timedelta(hours=1), holders=(4711,)))


def stubborn(world: World) -> None:
    dead_run(world)
    world.ports.leftovers.failing["sg-1"] = CapctlError("aws-failed", "AWS call failed while removing")


def half_made(world: World) -> None:
    """An AMI whose instance reported, and whose bake was killed."""
    world.ports.amis.untag(AmiId(AMI), [Tag.EVIDENCE.value, Tag.VERIFIED.value])
    world.ports.amis.tag(AmiId(AMI), {Tag.STATUS.value: "candidate", Tag.RUN_UNTIL.value: "2025-12-31T00:00:00+00:00"})


def gave_up(world: World) -> None:
    world.ports.amis.change(AmiId(AMI), state=AmiState.FAILED)
    until = "2026-01-01T01:10:00Z"
    world.ports.amis.tag(AmiId(AMI), {Tag.STATUS.value: "candidate", Tag.RUN_UNTIL.value: until})


def long_ago(world: World) -> None:
    world.ports.amis.change(AmiId(AMI), state=AmiState.FAILED)
    half_made(world)
    world.ports.clock.sleep(86_400)


def interrupted(world: World) -> None:
    """By a signal, while the releases are read."""
    long_ago(world)
    world.ports.stack.unreadable = Interrupted("interrupted", "The command was interrupted")


def kept(because: str) -> str:
    rows = (("", "kind", "id", "name", "because"), ("kept", "AMI", AMI, NAME, because))
    return columns(rows)


def answered(*answers: bool) -> Any:
    def change(world: World) -> None:
        old_instance(world)
        world.answers = answers

    return change


REMOVED = """\
         kind            id    name      because
removed  instance        i-1   -         run `r1` is dead
removed  security group  sg-1  packer_x  run `r1` is dead"""
CASES = [
    Case(
        words="ami sweep --yes", text="", document={"schema": "capctl.ami-sweep/1", "changed": False, "leftovers": []}
    ),
    Case(
        words="ami sweep",
        change=answered(True),
        asked=("leftovers.remove",),
        text="""\
         kind      id   name  because
removed  instance  i-1  -     run `r1` is not known here, and it is older than 6h""",
        document={
            "schema": "capctl.ami-sweep/1",
            "changed": True,
            "leftovers": [
                {
                    "outcome": "removed",
                    "kind": "instance",
                    "id": "i-1",
                    "name": None,
                    "run": "r1",
                    "created": "2025-12-31T17:00:00Z",
                    "because": "run `r1` is not known here, and it is older than 6h",
                }
            ],
        },
    ),
    Case(
        words="ami sweep",
        change=answered(False),
        code=1,
        document={"code": "declined"},
        said="Nothing was changed on target `test`",
    ),
    Case(words="ami sweep", change=old_instance, code=2, error="confirmation-needed"),
    Case(words="ami sweep --yes", given=BAKED, change=interrupted, code=130, error="interrupted"),
    Case(words="ami sweep --older-than soon --yes", code=2, error="time-invalid"),
    Case(
        words="ami sweep --yes --older-than 8h",
        change=old_instance,
        text="""\
      kind      id   name  because
kept  instance  i-1  -     it is younger than 8h""",
        document={"changed": False},
        said="instance i-1 stays: it is younger than 8h",
    ),
    Case(
        words="ami sweep --yes",
        change=dead_run,
        asked=("leftovers.remove", "leftovers.remove", "bake_runs.remove_folder", "bake_runs.forget"),
        text=REMOVED,
        document={"changed": True},
    ),
    Case(
        words="ami sweep --yes --older-than 0s",
        change=live_run,
        text="""\
      kind            id    name      because
kept  instance        i-1   -         run `r1` is alive
kept  security group  sg-1  packer_x  run `r1` is alive""",
        document={"changed": False},
    ),
    Case(
        words="ami sweep --yes", change=strays, asked=("bake_runs.end", "bake_runs.forget"), document={"changed": True}
    ),
    Case(words="ami sweep --yes --run r2", change=dead_run, code=1, error="run-unknown"),
    Case(
        words="ami sweep --yes --run r1",
        change=dead_run,
        asked=("leftovers.remove", "leftovers.remove", "bake_runs.forget"),
        text=REMOVED,
        document={"changed": True},
    ),
    Case(
        words="ami sweep --yes",
        change=stubborn,
        asked=("leftovers.remove", "leftovers.remove", "bake_runs.remove_folder"),
        code=6,
        error="leftovers-left",
        text="""\
         kind            id    name      because
removed  instance        i-1   -         run `r1` is dead
left     security group  sg-1  packer_x  run `r1` is dead""",
        document={"schema": "capctl.ami-sweep/1", "changed": True},
    ),
    Case(
        words="ami sweep --yes --older-than 0s",
        given=BAKED,
        change=half_made,
        text=kept("`capctl ami bake` can finish it, until it is 24h old"),
        document={"changed": False},
    ),
    Case(
        words="ami sweep --yes --run 20260101-000000-abcdef --older-than 0s",
        given=BAKED,
        change=gave_up,
        document={"changed": False},
        text=kept("run `20260101-000000-abcdef` may live until 2026-01-01 01:10:00Z"),
    ),
    Case(
        words="ami sweep --yes --older-than 0s",
        given=DEPLOYED,
        change=long_ago,
        document={"changed": False},
        said=f"AMI {AMI} ({NAME}) stays: {IN_USE}",
        text=kept(IN_USE),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_ami_sweep(case: Case, played: Play) -> None:
    played(case)
