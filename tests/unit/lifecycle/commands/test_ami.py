"""`capctl ami bake`, `diff`, `ls` and `show`."""

from pathlib import Path

import pytest

from lifecycle.domain.ami import AmiId, Grant
from lifecycle.domain.ami_status import AmiState
from lifecycle.domain.tags import Tag
from lifecycle.domain.usage import Unread, Use
from lifecycle.errors import CapctlError
from tests.fakes.amis import BASE_PARAMETER
from tests.unit.lifecycle.commands.case import AGE, BAKED, DEPLOYED, LOCKED, MODEL_SET, Case, Play, World

AMI = "ami-00000000000000001"
NAME = "vision-models-325d1c8a7817-0base000"
BAKE = (
    "baker.bake",
    "objects.write",
    "objects.write",
    "amis.tag",
    "amis.require_imds_v2",
    "amis.tag",
    "channels.write",
)
SHOWN = f"""\
AMI              {AMI}
name             {NAME}
status           verified
state            available
used by          channel candidate
shared with      nobody
last launched    -
created          2026-01-01 00:01:00Z
made by          tester
run              20260101-000000-abcdef
base AMI         ami-0base0000000gpu1
model set        {MODEL_SET[:19]}
recipe           sha256:e1d8e5523309
git commit       c0ffee
bake digest      sha256:325d1c8a7817
evidence         sha256:0104b258ee5b
verified         payload 2026-01-01 00:00:00Z
copied from      -
architecture     x86_64
size             30 GiB
snapshots        snap-00000000000000001 (30 GiB)
cost per month   <= $1.50
IMDSv2 required  yes
deprecated       -
protected        no

model files: 1 file, 3 B
path             size  mode  sha256
models/age.onnx  3 B   0444  {AGE.sha256[:12]}"""
BASE = """\
AMI              ami-0base0000000gpu1
name             al2023-ami-ecs-gpu
status           not baked by capctl
state            available
used by          -
shared with      unknown
last launched    -
created          2026-01-01 00:00:00Z
made by          -
run              -
base AMI         -
model set        -
recipe           -
git commit       -
bake digest      -
evidence         -
verified         -
copied from      -
architecture     x86_64
size             30 GiB
snapshots        snap-00000000000000000
cost per month   -
IMDSv2 required  no
deprecated       -
protected        no
model files: no readable report"""
OTHER = "ami-00000000000000002"
FAILED = "failed boot 2026-01-02T00:00:00Z"
CHANGED = f"""\
{AMI} -> {OTHER}
model files 1 added, 1 changed (1 file, 3 B -> 2 files, 11 B)
         path                size
changed  models/age.onnx     3 B -> 5 B
added    models/gender.onnx  6 B"""
SAME = f"{AMI} -> what a bake would make now\nmodel files the same (1 file, 3 B -> 1 file, 3 B)"


def use_it(world: World) -> None:
    """By what only a scan of the account finds."""
    world.ports.ami_users.uses.append(Use(of=AMI, kind="instance", name="i-1"))
    world.ports.ami_users.unread.append(Unread(source="parameters", why="AWS refused reading parameters"))
    world.ports.amis.change_grants(AmiId(AMI), add=[Grant(account="210987654321")])


def lose_releases(world: World) -> None:
    world.ports.stack.unreadable = CapctlError("stack-failed", "The state cannot be read")


def bake_others(world: World) -> None:
    """Another content under another id."""
    folder = Path("models/models")
    (folder / "age.onnx").write_bytes(b"newer")
    (folder / "gender.onnx").write_bytes(b"gender")
    for words in ("models lock", "models push", "ami bake"):
        assert world.run(words)[0] == 0


def bake_elsewhere(world: World) -> None:
    """By another recipe, of another commit."""
    world.ports.amis.tag(AmiId(AMI), {Tag.RECIPE.value: f"sha256:{64 * '0'}", Tag.GIT.value: "decade"})


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
        change=lambda world: world.ports.clock.sleep(3 * 86400),
        text=f"""\
ami                    status    age  size    per month  used by
{AMI}  verified  2d   30 GiB  <= $1.50   channel candidate""",
        document={"schema": "capctl.ami-list/1", "unread": []},
    ),
    Case(
        words="ami ls",
        given=DEPLOYED,
        change=lambda world: world.ports.amis.change(AmiId(AMI), state=AmiState.DISABLED),
        text=f"""\
ami                    status                  age  size    per month  used by
{AMI}  smoke-passed, disabled  0m   30 GiB  <= $1.50   release {{release}} (active); channel candidate""",
    ),
    Case(
        words="ami ls",
        given=BAKED,
        change=lambda world: world.ports.amis.tag(AmiId(AMI), {Tag.VERIFIED.value: FAILED}),
        text=f"""\
ami                    status            age  size    per month  used by
{AMI}  verified, failed  0m   30 GiB  <= $1.50   channel candidate""",
    ),
    Case(
        words=f"ami show {AMI}",
        given=BAKED,
        change=lambda world: world.ports.amis.tag(AmiId(AMI), {Tag.VERIFIED.value: FAILED}),
        text=SHOWN.replace("status           verified", "status           verified, failed").replace(
            "payload 2026-01-01 00:00:00Z", "failed boot 2026-01-02 00:00:00Z"
        ),
    ),
    Case(
        words="ami ls",
        given=BAKED,
        change=lose_releases,
        text=f"""\
ami                    status    age  size    per month  used by
{AMI}  verified  0m   30 GiB  <= $1.50   channel candidate; ?""",
        document={"unread": [{"source": "releases", "why": "The state cannot be read"}]},
        said="warning: What uses an AMI may be missing: releases: The state cannot be read",
    ),
    Case(words=f"ami diff {AMI}", given=BAKED, text=SAME, document={"schema": "capctl.ami-diff/1", "equal": True}),
    Case(
        words=f"ami diff {AMI} {OTHER}",
        given=BAKED,
        change=bake_others,
        text=CHANGED,
        document={"equal": False, "sums": {"added": 1, "removed": 0, "changed": 1}, "inputs": []},
    ),
    Case(
        words=f"ami diff {OTHER} {AMI}",
        given=BAKED,
        change=bake_others,
        text=f"""\
{OTHER} -> {AMI}
model files 1 removed, 1 changed (2 files, 11 B -> 1 file, 3 B)
         path                size
changed  models/age.onnx     5 B -> 3 B
removed  models/gender.onnx  6 B""",
    ),
    Case(
        words=f"ami diff {AMI}",
        given=BAKED,
        change=lambda world: world.ports.amis.parameters.update({BASE_PARAMETER: world.ports.amis.add("base").id}),
        text=f"""\
{AMI} -> what a bake would make now
base AMI ami-0base0000000gpu1 -> {OTHER}
model files the same (1 file, 3 B -> 1 file, 3 B)""",
        document={"equal": False, "inputs": [{"name": "base AMI", "a": "ami-0base0000000gpu1", "b": OTHER}]},
    ),
    Case(
        words=f"ami diff {AMI}",
        given=BAKED,
        change=bake_elsewhere,
        text=f"""\
{AMI} -> what a bake would make now
recipe sha256:000000000000 -> sha256:e1d8e5523309
model files the same (1 file, 3 B -> 1 file, 3 B)
git commit decade -> c0ffee, on which no bake depends""",
    ),
    Case(words="ami diff ami-0base0000000gpu1", given=LOCKED, code=1, error="evidence-missing"),
    Case(words=f"ami diff {AMI} Nonsense", given=BAKED, code=2, error="ami-id-invalid"),
    Case(words=f"ami diff {AMI} ami-00000000000000009", given=BAKED, code=1, error="ami-missing"),
    Case(
        words="ami bake --from-status smoke-passed",
        given=BAKED,
        asked=("amis.tag",),
        text=AMI,
        document={"id": AMI, "status": "verified", "changed": False},
    ),
    Case(words="ami ls --status candidate", given=BAKED, document={"amis": []}),
    Case(
        words=f"ami show {AMI}",
        given=BAKED,
        text=SHOWN,
        document={"schema": "capctl.ami/1", "id": AMI, "model_set": MODEL_SET, "imds_v2": True},
    ),
    Case(
        words=f"ami show {AMI}",
        given=(*BAKED, f"ami disable {AMI} --force --yes --reason late"),
        text=SHOWN.replace("status           verified", "status           disabled").replace(
            "available\n", "disabled\ndisabled         since 2026-01-01 00:00:00Z, by tester: late\n"
        ),
        document={"disabled_at": "2026-01-01T00:00:00Z", "disabled_by": "tester: late"},
    ),
    Case(
        words=f"ami show {AMI}",
        given=BAKED,
        change=use_it,
        text=SHOWN.replace("channel candidate", "channel candidate; instance i-1; ?").replace("nobody", "210987654321"),
        document={
            "shared_with": {"accounts": ["210987654321"], "organizations": [], "units": [], "public": False},
            "unread": [{"source": "parameters", "why": "AWS refused reading parameters"}],
        },
        said="warning: What uses an AMI may be missing: parameters: AWS refused reading parameters",
    ),
    Case(
        words="ami ls",
        given=BAKED,
        change=use_it,
        text=f"""\
ami                    status    age  size    per month  used by
{AMI}  verified  0m   30 GiB  <= $1.50   channel candidate""",
        document={"unread": []},
    ),
    Case(words="ami show ami-0base0000000gpu1", text=BASE, document={"status": None, "shared_with": None}),
    Case(words="ami show candidate", given=BAKED, text=SHOWN, document={"schema": "capctl.ami/1", "id": AMI}),
    Case(words="ami show nonsense", code=1, error="channel-missing"),
    Case(words="ami show Nonsense", code=2, error="ami-id-invalid"),
    Case(words="ami show ami-00000000000000009", code=1, error="ami-missing"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_ami(case: Case, played: Play) -> None:
    played(case)
