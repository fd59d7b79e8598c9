"""`capctl ami`."""

import pytest

from lifecycle.cli.render import columns
from lifecycle.domain.ami import AmiId, AmiState
from tests.unit.lifecycle.commands.case import BAKED, LOCKED, MODEL_SET, Case, Play

AMI = "ami-00000000000000001"
NAME = "vision-models-325d1c8a7817-0base000"
BAKE = (
    "baker.bake",
    "objects.write",
    "objects.write",
    "amis.tag",
    "amis.tag",
    "amis.require_imds_v2",
    "channels.write",
    "amis.tag",
)
SHOWN = f"""\
AMI              {AMI}
name             {NAME}
status           verified
state            available
created          2026-01-01 00:01:00Z
architecture     x86_64
size             30 GiB
snapshots        snap-00000000000000001
IMDSv2 required  yes
model set        {MODEL_SET[:19]}
base AMI         ami-0base0000000gpu1
recipe           sha256:e1d8e5523309
bake digest      sha256:325d1c8a7817
evidence         sha256:e763bd0fa378
git commit       c0ffee
run              20260101-000000-abcdef"""
BASE = """\
AMI              ami-0base0000000gpu1
name             al2023-ami-ecs-gpu
status           not baked by capctl
state            available
created          2026-01-01 00:00:00Z
architecture     x86_64
size             30 GiB
snapshots        snap-00000000000000000
IMDSv2 required  no
model set        -
base AMI         -
recipe           -
bake digest      -
evidence         -
git commit       -
run              -"""
BAKED_FROM = f"sha256:325d1c8a7817 on AMI {NAME}"


def checked(verdict: str, state: str) -> str:
    rows = (
        ("", "check", "expected", "found"),
        (verdict, "state", "available", state),
        ("ok", "snapshot", "at least one", "snap-00000000000000001"),
        ("ok", "tags", "complete", "complete"),
        ("ok", "bake digest", BAKED_FROM, BAKED_FROM),
        ("ok", "IMDSv2 required", "yes", "yes"),
        ("ok", "payload evidence", "sha256:e763bd0fa378", "sha256:e763bd0fa378, reported by i-00000000000000001"),
        ("ok", "payload digest", MODEL_SET[:19], f"{MODEL_SET[:19]}, 1 file"),
        ("ok", "payload size", "at most 1.0 kB", "3 B"),
    )
    unseen = ("the blocks of the snapshot", "a boot of the AMI", "a job on it (`capctl smoke`)")
    return "\n".join((columns(rows, width=None), *(f"not checked: {name}" for name in unseen)))


CASES = [
    Case(
        words="ami bake",
        given=(*LOCKED, "models push"),
        asked=BAKE,
        text=AMI,
        document={"schema": "capctl.ami-bake/1", "id": AMI, "status": "verified", "changed": True},
    ),
    Case(
        words="ami bake",
        given=BAKED,
        text=AMI,
        document={"schema": "capctl.ami-bake/1", "id": AMI, "changed": False},
    ),
    Case(
        words="ami bake --force",
        given=BAKED,
        asked=BAKE,
        text="ami-00000000000000002",
        document={"id": "ami-00000000000000002", "changed": True},
    ),
    Case(words="ami bake", code=2, error="lock-missing"),
    Case(words="ami bake", given=LOCKED, code=1, error="object-missing"),
    Case(words="ami ls", document={"schema": "capctl.ami-list/1", "amis": []}),
    Case(
        words="ami ls --status verified",
        given=BAKED,
        text=f"""\
ami                    status    state      size    created               name
{AMI}  verified  available  30 GiB  2026-01-01 00:01:00Z  {NAME}""",
        document={"schema": "capctl.ami-list/1"},
    ),
    Case(words="ami ls --status candidate", given=BAKED, document={"amis": []}),
    Case(
        words=f"ami show {AMI}",
        given=BAKED,
        text=SHOWN,
        document={"schema": "capctl.ami/1", "id": AMI, "model_set": MODEL_SET, "imds_v2": True},
    ),
    Case(words="ami show ami-0base0000000gpu1", text=BASE, document={"status": None, "model_set": None}),
    Case(words="ami show candidate", given=BAKED, text=SHOWN, document={"schema": "capctl.ami/1", "id": AMI}),
    Case(words="ami show nonsense", code=1, error="channel-missing"),
    Case(words="ami show Nonsense", code=2, error="ami-id-invalid"),
    Case(words="ami show ami-00000000000000009", code=1, error="ami-missing"),
    Case(
        words=f"ami verify {AMI}",
        given=BAKED,
        text=checked("ok", "available"),
        document={"schema": "capctl.ami-verification/1", "id": AMI, "ok": True},
    ),
    Case(words="ami verify candidate", given=BAKED, text=checked("ok", "available"), document={"id": AMI, "ok": True}),
    Case(
        words=f"ami verify {AMI}",
        given=BAKED,
        change=lambda world: world.ports.amis.change(AmiId(AMI), state=AmiState.FAILED),
        code=1,
        error="ami-not-verified",
        text=checked("failed", "failed"),
        document={"schema": "capctl.ami-verification/1", "id": AMI, "ok": False},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_ami(case: Case, played: Play) -> None:
    played(case)
