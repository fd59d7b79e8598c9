"""`capctl ami`."""

from collections.abc import Callable

import pytest

from lifecycle.cli.render import columns
from lifecycle.domain.ami import AmiId, AmiState
from tests.unit.lifecycle.commands.case import BAKED, LOCKED, MODEL_SET, Case, Play, World

AMI = "ami-00000000000000001"
NAME = "vision-models-325d1c8a7817-0base000"
BAKE = (
    "baker.bake",
    "objects.write",
    "objects.write",
    "amis.tag",
    "amis.tag",
    "amis.require_imds_v2",
    "amis.tag",
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
verified         payload 2026-01-01T00:00:00Z
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
verified         -
git commit       -
run              -"""
BAKED_FROM = f"sha256:325d1c8a7817 on AMI {NAME}"


def checked(verdict: str, state: str, *boot: tuple[str, str, str, str]) -> str:
    rows = (
        ("", "check", "expected", "found"),
        (verdict, "state", "available", state),
        ("ok", "tags", "complete", "complete"),
        ("ok", "bake digest", BAKED_FROM, BAKED_FROM),
        ("ok", "IMDSv2 required", "yes", "yes"),
        ("ok", "snapshot", "completed", "snap-00000000000000001"),
        ("ok", "snapshot tags", "as on the AMI", "as on the AMI"),
        ("ok", "payload evidence", "sha256:e763bd0fa378", "sha256:e763bd0fa378, reported by i-00000000000000001"),
        ("ok", "payload digest", MODEL_SET[:19], f"{MODEL_SET[:19]}, 1 file"),
        ("ok", "payload markers", "2 of the set", "2 of the set"),
        ("ok", "payload size", "at most 1.0 kB", "3 B"),
        *boot,
    )
    unseen = ("the blocks of the snapshot", *(() if boot else ("a boot of the AMI",)), "a job on it (`capctl smoke`)")
    return "\n".join((columns(rows, width=None), *(f"not checked: {name}" for name in unseen)))


BOOT = ("objects.write", "instances.launch", "instances.terminate", "objects.remove", "objects.remove", "amis.tag")
SET = f"{MODEL_SET[:19]}, 1 file"
PASSED = (("ok", "boot: payload", SET, SET), ("ok", "boot: leftovers", "none", "none"))


def says(line: str) -> Callable[[World], object]:
    """An instance that reports a failure."""
    return lambda world: setattr(world.ports.instances, "says", f"capctl-bake: {line}")


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
    Case(
        words=f"ami verify {AMI} --boot",
        given=BAKED,
        asked=BOOT,
        text=checked("ok", "available", *PASSED),
        document={"schema": "capctl.ami-verification/1", "ok": True, "level": "boot"},
    ),
    Case(
        words=f"ami verify {AMI} --boot",
        given=BAKED,
        change=says("payload-mismatch: models/age.onnx: mode 0644, expected 0444"),
        asked=BOOT,
        code=1,
        error="ami-not-verified",
        text=checked(
            "ok", "available", ("failed", "boot: payload", SET, "`models/age.onnx`: mode 0644, expected 0444")
        ),
        document={"schema": "capctl.ami-verification/1", "ok": False, "level": None},
    ),
    Case(
        words=f"ami verify {AMI} --boot",
        given=BAKED,
        change=says("input-unreadable: CHECK: curl ended with status 6"),
        asked=BOOT[:-1],
        code=1,
        error="boot-failed",
    ),
    Case(
        words=f"ami verify {AMI} --boot",
        given=BAKED,
        change=lambda world: setattr(world.ports.instances, "is_mute", True),
        asked=BOOT[:-1],
        code=5,
        error="boot-timed-out",
    ),
    Case(
        words=f"ami verify {AMI} --boot",
        given=BAKED,
        change=lambda world: world.ports.amis.change(AmiId(AMI), state=AmiState.FAILED),
        code=1,
        error="ami-not-verified",
        text=checked("failed", "failed"),
        document={"schema": "capctl.ami-verification/1", "ok": False, "level": None},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_ami(case: Case, played: Play) -> None:
    played(case)
