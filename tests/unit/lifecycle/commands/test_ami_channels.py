"""`capctl ami promote` and `capctl ami channels`."""

import pytest

from lifecycle.cli.render import columns
from lifecycle.domain.ami import AmiId
from lifecycle.domain.tags import Tag
from tests.unit.lifecycle.commands.case import BAKED, DEPLOYED, Case, Play

FIRST, SECOND = "ami-00000000000000001", "ami-00000000000000002"
ONE, TWO, THREE = (f"2026-01-01 00:0{number}:00Z" for number in (1, 2, 3))
SMOKED = (*DEPLOYED, "ami bake --force", "deploy --yes --ami candidate")
PROMOTED = (*SMOKED, f"ami promote {FIRST} --to stable --yes")
MOVED = (*PROMOTED, "ami promote candidate --to stable --reason newer --yes")
BACK = (*MOVED, "ami promote --rollback --to stable --yes")


def listed(*rows: tuple[str, ...]) -> str:
    return columns((("channel", "ami", "status", "since", "by"), *rows))


def history(*rows: tuple[str, ...]) -> str:
    return columns((("version", "ami", "status", "since", "by", "why"), *rows))


CASES = [
    Case(words="ami channels", document={"schema": "capctl.ami-channel-list/1", "channels": []}),
    Case(
        words="ami channels",
        given=BAKED,
        text=listed(("candidate", FIRST, "verified", ONE, "tester")),
        document={
            "schema": "capctl.ami-channel-list/1",
            "channels": [
                {
                    "channel": "candidate",
                    "version": 1,
                    "ami": FIRST,
                    "status": "verified",
                    "since": "2026-01-01T00:01:00Z",
                    "by": "tester",
                    "reason": "",
                    "is_rollback": False,
                }
            ],
        },
    ),
    Case(
        words="ami channels",
        given=BAKED,
        change=lambda world: world.ports.amis.tag(
            AmiId(FIRST), {Tag.VERIFIED.value: "failed boot 2026-01-02T00:00:00Z"}
        ),
        text=listed(("candidate", FIRST, "verified, failed", ONE, "tester")),
    ),
    Case(
        words="ami channels",
        given=MOVED,
        text=listed(
            ("candidate", SECOND, "promoted", TWO, "tester"),
            ("stable", SECOND, "promoted", TWO, "tester"),
        ),
    ),
    Case(
        words="ami channels stable",
        given=BACK,
        change=lambda world: world.ports.amis.deregister(AmiId(SECOND)),
        text=history(
            ("3", FIRST, "promoted", THREE, "tester", "rolled back"),
            ("2", SECOND, "gone", TWO, "tester", "newer"),
            ("1", FIRST, "promoted", ONE, "tester", "-"),
        ),
        document={"schema": "capctl.ami-channel/1", "channel": "stable"},
    ),
    Case(words="ami channels beta", code=1, error="channel-missing"),
    Case(words="ami channels Beta", code=2, error="channel-invalid"),
    Case(
        words="ami promote candidate --to stable --yes",
        given=DEPLOYED,
        asked=("channels.write", "amis.tag"),
        text=FIRST,
        document={
            "schema": "capctl.ami-promotion/1",
            "channel": "stable",
            "ami": FIRST,
            "status": "promoted",
            "changed": True,
        },
    ),
    Case(words="ami promote candidate --to stable", given=DEPLOYED, code=2, error="confirmation-needed"),
    Case(
        words="ami promote candidate --to stable",
        given=DEPLOYED,
        change=lambda world: setattr(world, "answers", (False,)),
        code=1,
        document={"code": "declined"},
        said=f"Promote {FIRST} to stable on target `test` (account 123456789012, region us-west-2)?",
    ),
    Case(
        words=f"ami promote {FIRST} --to candidate",
        given=(*BAKED, "ami bake --force"),
        asked=("channels.write",),
        text=FIRST,
        document={"channel": "candidate", "status": "verified", "changed": True},
    ),
    Case(words="ami promote stable --to stable --yes", given=PROMOTED, text=FIRST, document={"changed": False}),
    Case(
        words="ami promote candidate --to stable --dry-run",
        given=PROMOTED,
        text=f"""\
Plan: promote {SECOND} to stable
  because the AMI is smoke-passed, and channel stable names AMI {FIRST}
  1. channel stable: {FIRST} -> {SECOND}
  2. tag {SECOND} as promoted, {FIRST} as superseded
Nothing was changed; run again without `--dry-run` to apply""",
        document={"schema": "capctl.plan/1"},
    ),
    Case(
        words="ami promote --rollback --to stable --yes",
        given=MOVED,
        asked=("channels.write", "amis.tag", "amis.tag"),
        text=FIRST,
        document={"ami": FIRST, "status": "promoted", "is_rollback": True, "changed": True},
    ),
    Case(words="ami promote --rollback --to stable --yes", given=BACK, code=1, error="rollback-unclear"),
    Case(words="ami promote --rollback --to stable --yes", given=PROMOTED, code=1, error="previous-missing"),
    Case(words="ami promote --rollback --to stable --yes", code=1, error="channel-missing"),
    Case(words="ami promote candidate --to stable --yes", given=BAKED, code=1, error="ami-not-smoked"),
    Case(words="ami promote stable --to beta --yes", given=BAKED, code=1, error="channel-missing"),
    Case(words="ami promote ami-0base0000000gpu1 --to stable --yes", code=1, error="ami-foreign"),
    Case(words=f"ami promote {FIRST} --to ami-0123456789 --yes", code=2, error="channel-invalid"),
    Case(words=f"ami promote {FIRST} --to stable --rollback --yes", code=2, error="usage"),
    Case(words="ami promote --to stable --yes", code=2, error="usage"),
    Case(words=f"ami promote {FIRST}", code=2, error="usage"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_ami_channels(case: Case, played: Play) -> None:
    played(case)
