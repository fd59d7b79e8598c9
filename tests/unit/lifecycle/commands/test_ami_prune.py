"""`capctl ami prune`."""

import pytest

from lifecycle.cli.render import columns
from lifecycle.domain.channel import CANDIDATE
from lifecycle.domain.models import ModelFile, model_set
from lifecycle.domain.usage import Unread
from tests.unit.lifecycle.commands.case import DEPLOYED, Case, Play, World

FIRST, SECOND = "ami-00000000000000001", "ami-00000000000000002"
HEAD = ("ami", "age", "verdict", "per month", "why")
# Two AMIs, of which the first is that of the active release, and no other is anybody's.
GIVEN = (*DEPLOYED, "ami bake --force")
USED = (FIRST, "99d", "keep", "<= $1.50", "used by release {release} (active)")
UNUSED = (SECOND, "99d", "disable", "<= $1.50", "nothing uses it")
AGAIN = "Nothing was changed; run again with `--apply`"


def later(world: World) -> None:
    """Once no channel names the AMIs any more, and a bake would give another."""
    world.ports.channels.delete(CANDIDATE)
    world.ports.model_lock.write(model_set((ModelFile(path="models/age.onnx", bytes=3, sha256="0" * 64),)))
    world.ports.clock.sleep(100 * 86_400)


def much_later(world: World) -> None:
    later(world)
    assert world.run("ami prune --apply --yes")[0] == 0
    world.ports.clock.sleep(3 * 86_400)


def unread(world: World) -> None:
    later(world)
    world.ports.ami_users.unread.append(Unread(source="instances", why="AWS refused reading instances"))


def shown(*rows: tuple[str, ...], now: str = "$0.00", after: str = "$0.00", end: str = "") -> str:
    saved = f"{now} per month saved by what goes now, {after} by what goes after the grace"
    return "\n".join(filter(None, (columns((HEAD, *rows)), saved if {now, after} != {"$0.00"} else "", end)))


def unknown(row: tuple[str, ...]) -> tuple[str, ...]:
    why = "not known whether it is used: instances could not be read"
    return (*row[:2], "keep", row[3], f"{why}; {row[4]}" if row is USED else why)


def stray(world: World) -> None:
    """A snapshot of an AMI that is gone, of which nothing tells whose it is."""
    world.ports.amis.orphan(world.ports.amis.add("anybodys").id)


NOTHING_KNOWN = (
    "Nothing goes now: not everything that may use an AMI could be read: instances: AWS refused reading instances"
)

CASES = [
    Case(
        words="ami prune",
        change=stray,
        text="""\
Nobody's: 1 snapshot without tags, of AMIs that are gone, <= 32.2 GB, <= $1.50 per month; look at them in EC2: snap-00000000000000001""",
        document={
            "changed": False,
            "strays": [
                {
                    "id": "snap-00000000000000001",
                    "ami": FIRST,
                    "created": "2026-01-01T00:01:00.000Z",
                    "bytes": None,
                    "usd_per_month": 1.5,
                    "is_upper_bound": True,
                }
            ],
        },
    ),
    Case(
        words="ami prune",
        document={"schema": "capctl.ami-prune/1", "changed": False, "amis": [], "snapshots": [], "unread": []},
    ),
    Case(
        words="ami prune",
        given=GIVEN,
        change=later,
        text=shown(UNUSED, USED, after="<= $1.50", end=AGAIN),
        document={"changed": False, "saved_usd_per_month": 0, "saved_later_usd_per_month": 1.5},
    ),
    Case(
        words="ami prune --apply --yes",
        given=GIVEN,
        change=later,
        asked=("amis.untag", "amis.disable", "amis.tag"),
        text=shown((*UNUSED[:4], "disabled"), USED, after="<= $1.50"),
        document={"changed": True},
    ),
    Case(
        words="ami prune --apply --yes",
        given=GIVEN,
        change=much_later,
        asked=("amis.deregister",),
        text=shown(
            (SECOND, "102d", "deregister", "<= $1.50", "deregistered"),
            (FIRST, "102d", *USED[2:]),
            now="<= $1.50",
        ),
        document={"changed": True, "saved_usd_per_month": 1.5},
    ),
    Case(
        words="ami prune --apply --yes --max-deletions 0",
        given=GIVEN,
        change=later,
        text=shown(
            (
                SECOND,
                "99d",
                "keep",
                "<= $1.50",
                "nothing uses it; left for a later run: the limit of this one is reached",
            ),
            USED,
            end="Nothing goes now: 1 AMI or snapshot is not needed, 1 of which a later run takes, since `--max-deletions` is reached",
        ),
        document={"changed": False},
    ),
    Case(
        words="ami prune --dry-run",
        given=GIVEN,
        change=later,
        text=f"""\
Plan: prune the AMIs of vision
  because 1 AMI or snapshot is not needed
  1. disable {SECOND}, which nobody uses
{AGAIN}""",
    ),
    Case(words="ami prune --apply", given=GIVEN, change=later, code=2, error="confirmation-needed"),
    Case(
        words="ami prune",
        given=GIVEN,
        change=unread,
        code=3,
        error="use-unproven",
        text=shown(unknown(UNUSED), unknown(USED), end=NOTHING_KNOWN),
        document={
            "schema": "capctl.ami-prune/1",
            "unread": [{"source": "instances", "why": "AWS refused reading instances"}],
        },
    ),
    Case(
        words="ami prune --apply --yes",
        given=GIVEN,
        change=unread,
        code=3,
        error="use-unproven",
        text=shown(unknown(UNUSED), unknown(USED), end=NOTHING_KNOWN),
        document={"schema": "capctl.ami-prune/1", "changed": False},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_ami_prune(case: Case, played: Play) -> None:
    played(case)
