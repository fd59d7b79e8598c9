"""`capctl image`."""

from datetime import timedelta
from pathlib import Path

import pytest

from lifecycle.domain.digest import brief
from lifecycle.domain.usage import Use
from tests.fakes.ports import FakePorts
from tests.fakes.targets import make_target
from tests.unit.lifecycle.commands.case import PUSHED as PUSHED_BEFORE
from tests.unit.lifecycle.commands.case import Case, Play, World

_KNOWN = FakePorts()
BASE = str(_KNOWN.base_builder.build().ref)
LAYER = _KNOWN.code.layer()
PUSHED = _KNOWN.code.push().ref
CODE = str(PUSHED)
LOCAL = f"vision:{LAYER.tag}"
CONTENT = _KNOWN.code.image()
_KNOWN.code.files["a.onnx"] = "weights"
WITH_MODEL = str(_KNOWN.code.push().ref)
CODE_DIGEST, WITH_MODEL_DIGEST = (name.rpartition("@")[2] for name in (CODE, WITH_MODEL))
EXPLAINED = f"""\
{CODE}
1.1 kB in 3 layers, 1.1 kB compressed
a container sees 3 files of 1.1 kB; nothing is wasted

layer  size    share  compressed  files  wasted  made by  what
1      1.0 kB  90%    1.0 kB      1      -       -        /usr/bin/python3 1.0 kB
2      100 B   9%     100 B       1      -       -        /opt/site/numpy-2.dist-info/METADATA 100 B
3      9 B     <1%    9 B         1      -       -        /app/job.py 9 B

folder                       size    share  files  layers
/app                         9 B     <1%    1      3
/opt/site/numpy-2.dist-info  100 B   9%     1      2
/usr/bin                     1.0 kB  90%    1      1

largest file                          size    share  layer
/usr/bin/python3                      1.0 kB  90%    1
/opt/site/numpy-2.dist-info/METADATA  100 B   9%     2
/app/job.py                           9 B     <1%    3

package  size   share  files  layers
numpy 2  100 B  9%     1      2"""
DIFFERENT = f"""\
{CODE_DIGEST[:19]} -> {WITH_MODEL_DIGEST[:19]}
layers 2 shared; a host that has A downloads 16 B of 1.1 kB
         layer  size  compressed  made by
removed  3      9 B   9 B         -
added    3      16 B  16 B        -
files 1 added (3 files, 1.1 kB -> 4 files, 1.1 kB)
       path         size
added  /app/a.onnx  7 B"""
EQUAL = f"""\
{CODE_DIGEST[:19]} -> {CODE_DIGEST[:19]}
layers the same (3)
files the same (3 files, 1.1 kB -> 3 files, 1.1 kB)"""
SIZES = """\
    size        is      at most
ok  compressed  1.1 kB  300.0 MB
ok  unpacked    1.1 kB  500.0 MB
"""


_OTHER_FILES = {"job.py": "print(2)\n", "ocr.py": ""}
_KNOWN.code.files = dict(_OTHER_FILES)
OTHER = _KNOWN.code.preview()
OTHER_BYTES = OTHER.to_send.total_bytes if OTHER.to_send else 0


def with_other_code(world: World) -> None:
    world.ports.code.files = dict(_OTHER_FILES)


def with_a_model(world: World) -> None:
    world.ports.code.files["a.onnx"] = "weights"
    world.ports.code.push()


def with_another_of_the_name(world: World) -> None:
    world.ports.engine.images[LOCAL] = "sha256:other"


def with_something_else_in_the_place(world: World) -> None:
    world.ports.layouts.foreign.add(Path("layout"))


CASES = [
    Case(
        words="image base",
        asked=("base_builder.build",),
        text=BASE,
        document={"schema": "capctl.image-base/1", "image": BASE, "changed": True},
    ),
    Case(words="image base", given=("image base",), text=BASE, document={"image": BASE, "changed": False}),
    Case(
        words="image base --dry-run",
        text=f"""\
Plan: build the base image
  because the registry does not have `{_KNOWN.base_builder.tag()}`
  1. build base image {_KNOWN.base_builder.tag()}
Nothing was changed; run again without `--dry-run` to apply""",
        document={"schema": "capctl.plan/1"},
    ),
    Case(
        words="image build",
        given=("image base",),
        text=LAYER.tag,
        document={"schema": "capctl.code-layer/1", "tag": LAYER.tag, "treehash": LAYER.treehash, "files": 1},
    ),
    Case(words="image build", code=1, error="base-missing"),
    Case(
        words="image build --to oci:layout",
        given=("image base",),
        asked=("layouts.write",),
        text=f"oci:layout:{LAYER.tag}",
        document={
            "schema": "capctl.image-layout/1",
            "layout": "layout",
            "tag": LAYER.tag,
            "digest": PUSHED.digest,
            "changed": True,
        },
        said="Run it by hand, after `capctl image load` (leave `--gpus all` out where there is no GPU):",
    ),
    Case(words="image build --to oci:layout:latest", code=2, error="usage"),
    Case(
        words="image build --to oci:layout",
        given=("image base", "image build --to oci:layout"),
        text=f"oci:layout:{LAYER.tag}",
        document={"schema": "capctl.image-layout/1", "changed": False},
    ),
    Case(
        words="image build --to oci:layout",
        given=("image base",),
        change=with_something_else_in_the_place,
        code=1,
        error="layout-foreign",
    ),
    Case(words="image build --to docker:layout", code=2, error="usage"),
    Case(words="image build --to oci:", code=2, error="usage"),
    Case(words="image build --video capctl.yaml", code=2, error="usage"),
    Case(words="image build --to oci:layout --video nowhere.mp4", code=2, error="usage"),
    Case(
        words="image load",
        given=("image base",),
        asked=("engine.load",),
        text=LOCAL,
        document={
            "schema": "capctl.image-load/1",
            "name": LOCAL,
            "id": CONTENT.config_digest,
            "digest": PUSHED.digest,
            "changed": True,
        },
        said="Run it by hand (leave `--gpus all` out where there is no GPU):",
    ),
    Case(
        words="image load", given=("image base", "image load"), text=LOCAL, document={"name": LOCAL, "changed": False}
    ),
    Case(
        words=f"image load {PUSHED.digest}",
        given=("image base", "image push"),
        asked=("engine.load",),
        text=f"vision:digest-{PUSHED.digest.removeprefix('sha256:')[:16]}",
        document={"schema": "capctl.image-load/1", "digest": PUSHED.digest},
    ),
    Case(
        words="image load --dry-run",
        given=("image base",),
        text=f"""\
Plan: load {LOCAL}
  because the engine has no `{LOCAL}`
  1. load {PUSHED.digest[:19]} as {LOCAL}
Nothing was changed; run again without `--dry-run` to apply""",
        document={"schema": "capctl.plan/1"},
    ),
    Case(words="image load", given=("image base",), change=with_another_of_the_name, code=1, error="image-name-taken"),
    Case(words=f"image load {PUSHED.digest}", given=("image base",), code=1, error="image-missing"),
    Case(words="image load", code=1, error="base-missing"),
    Case(
        words="image push",
        given=("image base",),
        asked=("code.push",),
        text=CODE,
        document={"schema": "capctl.image/1", "image": CODE, "changed": True, "requests": 6},
    ),
    Case(
        words="image push",
        given=("image base", "image push"),
        asked=("code.push",),
        text=CODE,
        document={"image": CODE, "changed": False, "requests": 1, "bytes_sent": 0},
    ),
    Case(
        words="image push",
        given=("image base",),
        change=lambda world: world.ports.code.files.update({"a.onnx": "weights"}),
        code=1,
        error="image-rejected",
        said="  model-file: `app/a.onnx` is a model file (suffix `.onnx`); models belong in the AMI",
    ),
    Case(
        words="image push --dry-run",
        given=("image base", "image push"),
        change=with_other_code,
        text=f"""\
Plan: push the code image
  because the code of the working tree is `{OTHER.tag}`
    tree hash {OTHER.treehash.removeprefix("sha256:")}
    2 files on the base image {OTHER.base.tag}, {brief(OTHER.base.ref.digest)}
    since the last push from here, {brief(CODE.partition("@")[2])}: 1 added, 1 changed, 0 removed
      + ocr.py
      ~ job.py
    {OTHER_BYTES} bytes to send: layer {OTHER_BYTES - 900}, config 0, manifest 900
  1. push code image {OTHER.tag}
Nothing was changed; run again without `--dry-run` to apply""",
        document={"schema": "capctl.plan/1"},
    ),
    Case(
        words="image push --dry-run",
        given=("image base", "image push"),
        text=f"""\
Plan: push the code image
  because the registry has the code of the working tree, `{LAYER.tag}`
    tree hash {LAYER.treehash.removeprefix("sha256:")}
    1 file on the base image {OTHER.base.tag}, {brief(OTHER.base.ref.digest)}
    no file changed since the last push from here, {brief(CODE.partition("@")[2])}
    nothing to send: the registry has it, {brief(CODE.partition("@")[2])}
Nothing to do""",
        document={"schema": "capctl.plan/1", "steps": []},
    ),
    Case(words="image push --dry-run", code=1, error="base-missing"),
    Case(
        words="image verify",
        given=("image base", "image push"),
        text=f"{CODE}\n{SIZES}passes every rule",
        document={"schema": "capctl.image-report/1", "image": CODE, "ok": True, "violations": []},
    ),
    Case(
        words="image verify",
        given=("image base", "image push"),
        change=with_a_model,
        code=1,
        error="image-rejected",
        text=f"{WITH_MODEL}\n{SIZES}breaks 1 rule",
        document={"schema": "capctl.image-report/1", "ok": False},
    ),
    Case(words="image verify", given=("image base",), code=1, error="image-missing"),
    Case(words="image verify sha256:05a9", code=2, error="digest-invalid"),
    Case(
        words=f"image verify {LAYER.tag}",
        given=("image base", "image push"),
        text=f"{CODE}\n{SIZES}passes every rule",
        document={"image": CODE, "ok": True},
    ),
    *(
        Case(
            words=f"image explain{name}",
            given=("image base", "image push"),
            text=EXPLAINED,
            document={"schema": "capctl.image-explanation/1", "image": CODE, "bytes": 1109, "models": [], "wasted": []},
        )
        for name in (
            "",
            f" {CODE}",
            f" {CODE_DIGEST}",
            f" {CODE_DIGEST[7:19]}",
            f" {LAYER.tag}",
            f" {LAYER.tag} --top 3",
        )
    ),
    Case(words="image explain", given=("image base",), code=1, error="image-missing"),
    Case(words="image explain never-pushed", code=1, error="image-missing"),
    Case(words="image explain sha256:0123456789ab", code=1, error="image-missing"),
    Case(words=f"image explain other@{CODE_DIGEST}", code=2, error="repository-foreign"),
    Case(words="image explain --top 0", code=2, error="usage"),
    Case(
        words=f"image diff {CODE}",
        given=("image base", "image push"),
        change=with_a_model,
        text=DIFFERENT,
        document={"schema": "capctl.image-diff/1", "equal": False, "sums": {"added": 1, "removed": 0, "changed": 0}},
    ),
    Case(
        words=f"image diff {LAYER.tag} {CODE_DIGEST}",
        given=("image base", "image push"),
        text=EQUAL,
        document={"equal": True, "files": [], "packages": [], "settings": []},
    ),
    Case(words=f"image diff {CODE}", given=("image base",), code=1, error="image-missing"),
    Case(words="image diff", code=2, error="usage"),
]

POLICY = """\
rule  selects              of which
1     images tagged rel-*  none expires
"""
EXPIRES_UNTAGGED = """\
rule  selects               of which
1     images tagged rel-*   none expires
2     images without a tag  expire 7 days after their push
"""


def with_the_policy(world: World) -> None:
    world.ports.image_expiry.current = make_target(Path()).lifecycle_policy.text()


def with_an_old_image(world: World) -> None:
    """One without a tag, which a job runs all the same, and a policy that would expire it."""
    config = Path("capctl.yaml")
    config.write_text(f"{config.read_text()}    image: {{registry: {{expire_untagged_days: 7}}}}\n")
    ports, tag = world.ports, LAYER.tag
    ref = ports.registry.tags.pop(tag)
    ports.registry.pushed[ref] = ports.clock.now() - timedelta(days=8)
    ports.image_users.uses.append(Use(of=ref.digest, kind="job definition", name="nightly:3"))


CASES += [
    Case(
        words="image policy",
        text=POLICY + "There is no repository yet: `capctl bootstrap` makes it",
        document={"schema": "capctl.image-policy/1", "in_force": None, "expiring": None},
    ),
    Case(
        words="image policy",
        given=("bootstrap",),
        text=POLICY + "The repository has another policy, or none: `capctl bootstrap` sets this one",
        document={"in_force": False},
    ),
    Case(
        words="image policy --preview",
        given=PUSHED_BEFORE,
        change=with_the_policy,
        text=POLICY + "The repository has this policy\nAt this moment 0 images would expire",
        document={"in_force": True, "expiring": []},
    ),
    Case(
        words="image policy --preview",
        given=PUSHED_BEFORE,
        change=with_an_old_image,
        text=EXPIRES_UNTAGGED
        + "The repository has another policy, or none: `capctl bootstrap` sets this one\n"
        + "At this moment 1 image would expire\n"
        + f"  {brief(CODE.rpartition('@')[2])} (no tag): rule 2, needed by job definition nightly:3",
    ),
    Case(words="image policy --preview", code=1, error="repository-missing"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_image(case: Case, played: Play) -> None:
    played(case)
