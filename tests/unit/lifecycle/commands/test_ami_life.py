"""`capctl ami copy`, `deprecate`, `disable` and `share`."""

import pytest

from lifecycle.domain.ami import AmiId, Grant
from lifecycle.domain.channel import CANDIDATE
from lifecycle.domain.usage import Unread
from lifecycle.errors import Denied
from tests.unit.lifecycle.commands.case import BAKED, DEPLOYED, Case, Play, World
from tests.unit.lifecycle.test_copy_ami import RefusingAmis

AMI = "ami-00000000000000001"
ORGANIZATION = "arn:aws:organizations::123456789012:organization/o-abcdefghij"
COPY = ("amis.copy_from", "amis.tag", "amis.require_imds_v2", "amis.tag")
DISABLED = f"ami disable {AMI} --yes"
SHARED = f"ami share {AMI} --with 210987654321 --with-organization {ORGANIZATION} --yes"


def refuse_europe(world: World) -> None:
    world.ports.elsewhere["eu-west-1"] = RefusingAmis(Denied("permission-denied", "AWS refused reading"))


def unname(world: World) -> None:
    """Let no channel name the AMI."""
    world.ports.channels.delete(CANDIDATE)


def hide_instances(world: World) -> None:
    unname(world)
    world.ports.ami_users.unread.append(Unread(source="instances", why="AWS refused reading instances"))


def withdraw(world: World) -> None:
    unname(world)
    assert world.run(DISABLED)[0] == 0


def share(world: World) -> None:
    world.ports.amis.change_grants(AmiId(AMI), add=[Grant(account="210987654321")])


CASES = [
    Case(
        words=f"ami copy {AMI} --to-region eu-west-1",
        given=BAKED,
        asked=COPY,
        text=f"region     ami                    result\neu-west-1  {AMI}  verified",
        document={
            "schema": "capctl.ami-copy/1",
            "id": AMI,
            "region": "us-west-2",
            "copies": [{"region": "eu-west-1", "id": AMI, "status": "verified", "changed": True, "error": None}],
        },
    ),
    Case(
        words=f"ami copy {AMI} --to-region eu-west-1",
        given=(*BAKED, f"ami copy {AMI} --to-region eu-west-1"),
        text=f"region     ami                    result\neu-west-1  {AMI}  verified",
        document={
            "copies": [{"region": "eu-west-1", "id": AMI, "status": "verified", "changed": False, "error": None}],
        },
        said=f"copy {AMI} to eu-west-1: AMI `{AMI}` in eu-west-1 is verified and has the same content",
    ),
    Case(
        words=f"ami copy {AMI} --to-region eu-west-1 --to-region eu-central-1",
        given=BAKED,
        change=refuse_europe,
        asked=COPY,
        code=6,
        error="copies-incomplete",
        said="warning: eu-west-1: AWS refused reading",
        text=f"""\
region        ami                    result
eu-west-1     -                      permission-denied
eu-central-1  {AMI}  verified""",
        document={"schema": "capctl.ami-copy/1"},
    ),
    Case(
        words=f"ami copy {AMI} --to-region eu-west-1",
        given=BAKED,
        change=refuse_europe,
        code=4,
        error="permission-denied",
        text="region     ami  result\neu-west-1  -    permission-denied",
        document={"schema": "capctl.ami-copy/1"},
    ),
    Case(words=f"ami copy {AMI} --to-region us-west-2", given=BAKED, code=2, error="region-invalid"),
    Case(words=f"ami copy {AMI}", given=BAKED, code=2, error="usage"),
    Case(words="ami copy ami-0base0000000gpu1 --to-region eu-west-1", code=1, error="ami-foreign"),
    Case(
        words=f"ami deprecate {AMI} --in 30d --yes",
        given=BAKED,
        asked=("amis.deprecate",),
        text="2026-01-31 00:00:00Z",
        document={
            "schema": "capctl.ami-deprecation/1",
            "id": AMI,
            "deprecated_at": "2026-01-31T00:00:00.000Z",
            "changed": True,
        },
        said=f"✓ deprecate {AMI} from 2026-01-31 00:00Z on; nothing stops working: 2026-01-31 00:00Z",
    ),
    Case(
        words=f"ami deprecate {AMI} --undo",
        given=(*BAKED, f"ami deprecate {AMI} --at 2027-03-31 --yes"),
        asked=("amis.deprecate",),
        text="-",
        document={"deprecated_at": None, "changed": True},
    ),
    Case(words=f"ami deprecate {AMI} --in 30d", given=BAKED, code=2, error="confirmation-needed"),
    Case(words=f"ami deprecate {AMI} --yes", given=BAKED, code=2, error="time-missing"),
    Case(words=f"ami deprecate {AMI} --at 2025-01-01 --yes", given=BAKED, code=2, error="time-invalid"),
    Case(
        words=DISABLED,
        given=BAKED,
        change=unname,
        asked=("amis.untag", "amis.disable", "amis.tag"),
        text="disabled",
        document={
            "schema": "capctl.ami-disable/1",
            "id": AMI,
            "state": "disabled",
            "status": "disabled",
            "disabled_at": "2026-01-01T00:00:00Z",
            "taken_from": [],
            "changed": True,
        },
    ),
    Case(words=f"ami disable {AMI}", given=BAKED, change=unname, code=2, error="confirmation-needed"),
    Case(words=DISABLED, given=BAKED, code=1, error="ami-in-use"),
    Case(words=DISABLED, given=DEPLOYED, change=unname, code=1, error="ami-in-use"),
    Case(words=DISABLED, given=BAKED, change=hide_instances, code=3, error="use-unproven"),
    Case(
        words=f"{DISABLED} --force",
        given=BAKED,
        change=hide_instances,
        asked=("amis.untag", "amis.disable", "amis.tag"),
        text="disabled",
        document={"changed": True},
    ),
    Case(
        words=f"{DISABLED} --force",
        given=DEPLOYED,
        asked=("amis.untag", "amis.disable", "amis.tag"),
        text="disabled",
        document={"changed": True},
    ),
    Case(
        words=DISABLED,
        given=BAKED,
        change=withdraw,
        text="disabled",
        document={"changed": False},
        said=f"disable {AMI}: it is disabled since 2026-01-01 00:00:00Z, by tester",
    ),
    Case(
        words=f"ami disable {AMI} --undo",
        given=BAKED,
        change=withdraw,
        asked=("amis.enable", "amis.untag", "amis.tag", "amis.tag"),
        text="verified",
        document={"state": "available", "status": "verified", "disabled_at": None, "changed": True},
    ),
    Case(
        words=SHARED,
        given=BAKED,
        asked=("amis.change_grants",),
        text=f"210987654321\n{ORGANIZATION}",
        document={
            "schema": "capctl.ami-share/1",
            "id": AMI,
            "accounts": ["210987654321"],
            "organizations": [ORGANIZATION],
            "units": [],
            "public": False,
            "changed": True,
        },
    ),
    Case(
        words=SHARED,
        given=(*BAKED, SHARED),
        text=f"210987654321\n{ORGANIZATION}",
        document={"changed": False},
        said=f"share {AMI}: it is shared with 210987654321, {ORGANIZATION} already",
    ),
    Case(
        words=f"ami share {AMI} --with 210987654321 --revoke --yes",
        given=BAKED,
        change=share,
        asked=("amis.change_grants",),
        document={"accounts": [], "changed": True},
    ),
    Case(words=f"ami share {AMI} --with 210987654321", given=BAKED, code=2, error="confirmation-needed"),
    Case(words=f"ami share {AMI} --with all --yes", given=BAKED, code=2, error="grant-invalid"),
    Case(words=f"ami share {AMI} --yes", given=BAKED, code=2, error="grant-missing"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_ami_life(case: Case, played: Play) -> None:
    played(case)
