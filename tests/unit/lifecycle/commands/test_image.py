"""`capctl image`."""

import pytest

from lifecycle.domain.digest import brief
from tests.fakes.ports import FakePorts
from tests.unit.lifecycle.commands.case import Case, Play, World

_KNOWN = FakePorts()
BASE = str(_KNOWN.base_builder.build().ref)
LAYER = _KNOWN.code.layer()
CODE = str(_KNOWN.code.push().ref)
_KNOWN.code.files["a.onnx"] = "weights"
WITH_MODEL = str(_KNOWN.code.push().ref)
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
    world.run("image push")


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
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_image(case: Case, played: Play) -> None:
    played(case)
