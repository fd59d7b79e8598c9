"""`capctl image`."""

from pathlib import Path

import pytest

from tests.fakes.ports import FakePorts
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
SIZES = """\
    size        is      at most
ok  compressed  1.1 kB  300.0 MB
ok  unpacked    1.1 kB  500.0 MB
"""


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
