"""`capctl ami verify`."""

from collections.abc import Callable

import pytest

from lifecycle.cli.render import columns
from lifecycle.domain.ami import AmiId
from lifecycle.domain.ami_status import AmiState
from tests.unit.lifecycle.commands.case import BAKED, MODEL_SET, Case, Play, World

AMI = "ami-00000000000000001"
BAKED_FROM = "sha256:325d1c8a7817 on AMI vision-models-325d1c8a7817-0base000"


def checked(verdict: str, state: str, *boot: tuple[str, str, str, str]) -> str:
    rows = (
        ("", "check", "expected", "found"),
        (verdict, "state", "available", state),
        ("ok", "tags", "complete", "complete"),
        ("ok", "bake digest", BAKED_FROM, BAKED_FROM),
        ("ok", "IMDSv2 required", "yes", "yes"),
        ("ok", "snapshot", "completed", "snap-00000000000000001"),
        ("ok", "snapshot tags", "as on the AMI", "as on the AMI"),
        ("ok", "payload evidence", "sha256:0104b258ee5b", "sha256:0104b258ee5b, reported by i-00000000000000001"),
        ("ok", "payload digest", MODEL_SET[:19], f"{MODEL_SET[:19]}, 1 file"),
        ("ok", "payload markers", "2 of the set", "2 of the set"),
        ("ok", "payload size", "at most 1.0 kB", "3 B"),
        *(boot or [("ok", "last finding", "none that failed", "payload 2026-01-01T00:00:00Z")]),
    )
    unseen = ("the blocks of the snapshot", *(() if boot else ("a boot of the AMI",)), "a job on it (`capctl smoke`)")
    return "\n".join((columns(rows), *(f"not checked: {name}" for name in unseen)))


BOOT = ("objects.write", "instances.launch", "instances.terminate", "objects.remove", "objects.remove", "amis.tag")
SET = f"{MODEL_SET[:19]}, 1 file"
PASSED = (("ok", "boot: payload", SET, SET), ("ok", "boot: leftovers", "none", "none"))


def says(line: str) -> Callable[[World], object]:
    """An instance that reports a failure."""
    return lambda world: setattr(world.ports.instances, "says", f"capctl-bake: {line}")


CASES = [
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
        asked=(*BOOT, "amis.tag"),  # what was found, and then the status that it takes back
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
    Case(
        words=f"ami verify {AMI} --boot --dry-run",
        given=BAKED,
        text=f"""\
Plan: boot {AMI}
  because only an instance shows what it holds
  1. boot an instance of {AMI} that reads every model, and end it
Nothing was changed; run again without `--dry-run` to apply""",
        document={"schema": "capctl.plan/1"},
    ),
    Case(words=f"ami verify {AMI} --dry-run", given=BAKED, code=2, error="usage"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_ami_verify(case: Case, played: Play) -> None:
    played(case)
