"""`capctl image`."""

from datetime import timedelta
from pathlib import Path

import pytest

from lifecycle.domain.digest import brief
from tests.fakes.ports import FakePorts
from tests.fakes.targets import make_target
from tests.unit.lifecycle.commands.case import PUSHED, Case, Play, World

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

POLICY = """\
rule  selects               of which
1     images tagged rel-*   all but the newest 1000 expire
2     images tagged base-*  all but the newest 10 expire
3     images tagged code-*  expire 90 days after their push
4     images without a tag  expire 7 days after their push
"""


def with_the_policy(world: World) -> None:
    world.ports.image_expiry.current = make_target(Path()).lifecycle_policy.text()


def with_an_old_image(world: World) -> None:
    (digest,) = {ref.digest for tag, ref in world.ports.registry.tags.items() if tag.startswith("code-")}
    world.ports.image_expiry.pushed_at[digest] = world.ports.clock.now() - timedelta(days=91)


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
        given=PUSHED,
        change=with_the_policy,
        text=POLICY + "The repository has this policy\nAt this moment 0 images would expire",
        document={"in_force": True, "expiring": []},
    ),
    Case(
        words="image policy --preview",
        given=PUSHED,
        change=with_an_old_image,
        text=POLICY
        + "The repository has another policy, or none: `capctl bootstrap` sets this one\n"
        + "At this moment 1 image would expire\n"
        + f"  {brief(CODE.rpartition('@')[2])} ({LAYER.tag}): rule 3",
    ),
    Case(words="image policy --preview", code=1, error="repository-missing"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_image(case: Case, played: Play) -> None:
    played(case)
