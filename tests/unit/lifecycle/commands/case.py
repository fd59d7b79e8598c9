"""One row of a table: a command line on a world of fakes, and all that comes of it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lifecycle.cli.boundary import run_command_line
from lifecycle.cli.context import Invocation
from lifecycle.cli.main import root
from lifecycle.domain.digest import digest_of
from lifecycle.domain.models import ModelFile, ModelSet
from tests.fakes.composition import FakeComposition
from tests.fakes.releases import result_document
from tests.fakes.stack import OUTPUTS

VIDEO = f"s3://{OUTPUTS.bucket}/videos/face.mp4"
CONFIG = f"""\
project: vision
targets:
  test:
    account: "123456789012"
    region: us-west-2
    ami: {{base: /aws/service/ecs/base}}
    models: {{budget_bytes: 1000}}
    release: {{subnet_ids: [subnet-1], security_group_ids: [sg-1]}}
    smoke: {{video_url: "{VIDEO}", timeout_s: 100}}
    watch: {{duration_s: 0}}
"""
AGE = ModelFile(path="models/age.onnx", bytes=3, sha256=digest_of(b"age").removeprefix("sha256:"))
JOB_IDS = "00000000-0000-4000-8000-{:012}"
MODEL_SET = ModelSet(files=(AGE,)).digest

# From nothing to a release that takes jobs.
LOCKED = ("models lock",)
BAKED = (*LOCKED, "models push", "ami bake")
PUSHED = ("bootstrap", "image base", "image push")
DEPLOYED = (*BAKED, *PUSHED, "deploy --yes")


@dataclass(frozen=True, kw_only=True)
class Case:
    """`given` are the commands before, `change` is what happens to the world then. `{release}` in `text` is the active release's id.

    `document` holds the fields that matter, its schema among them; of a command that fails, `error` is the code.
    """

    words: str
    given: tuple[str, ...] = ()
    change: Callable[["World"], object] = lambda _: None
    asked: tuple[str, ...] = ()
    text: str = ""
    document: Mapping[str, Any] = field(default_factory=dict)
    code: int = 0
    error: str = ""
    said: str = ""

    def __str__(self) -> str:
        return f"{self.words} -> {self.error or self.code}"


class World(FakeComposition):
    """The fakes, and a project in the current folder."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        super().__init__()
        self.ports.jobs.batch.job_ids = JOB_IDS
        self.ports.jobs.leaves = result_document(models={"digest": MODEL_SET, "read_only": True})
        self.ports.objects.write(VIDEO, b"a face")
        self._capsys = capsys
        (folder / "capctl.yaml").write_text(CONFIG)
        (folder / "models" / "models").mkdir(parents=True)
        (folder / "models" / "models" / "age.onnx").write_bytes(b"age")

    def run(self, words: str, *options: str) -> tuple[int, str, str]:
        """The exit code, stdout and stderr of one command line."""
        self.asked.clear()
        code = run_command_line(root, [*options, *words.split()], Invocation(self))
        captured = self._capsys.readouterr()
        return code, captured.out, captured.err

    def active(self) -> str:
        pointer = self.ports.pointers.read()
        return pointer.release_id if pointer else ""


Play = Callable[[Case], None]


def play(case: Case, folder: Path, capsys: pytest.CaptureFixture[str], output: str) -> None:
    """Run the row once in a world of its own."""
    world = World(folder, capsys)
    for words in case.given:
        assert world.run(words)[0] == 0, (words, world.ports.ui.lines)
    case.change(world)
    code, out, err = world.run(case.words, "-o", output)
    assert (code, tuple(world.asked)) == (case.code, case.asked), err
    if case.said:
        assert case.said in [*world.ports.ui.lines, *err.splitlines()]
    if output == "text":
        assert out.rstrip("\n") == case.text.replace("{release}", world.active())
        assert case.error in err
        return
    document = json.loads(out)
    assert {name: document[name] for name in case.document} == case.document
    if case.error and "schema" not in case.document:
        assert (document["schema"], document["code"], document["exit_code"]) == ("capctl.error/1", case.error, code)
