"""What the commands with tables print on terminals of the usual widths."""

import sys
from pathlib import Path

import pytest

from lifecycle.domain.usage import Use
from tests.fakes.ports import FakePorts
from tests.unit.lifecycle.commands.case import World
from tests.unit.lifecycle.commands.test_ami_channels import BACK, FIRST


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize(
    "words",
    [
        "ami ls",
        "ami prune",
        "ami channels",
        "ami channels stable",
        f"ami verify {FIRST}",
        f"ami show {FIRST}",
        f"ami diff {FIRST} candidate",
        f"image diff {FakePorts().base_builder.tag()}",
        "status",
        "job ls",
    ],
)
def test_a_terminal_shows_every_word_of_a_table_in_lines_that_fit(
    words: str, width: int, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(folder, capsys)
    assert [world.run(one)[0] for one in BACK] == [0] * len(BACK)
    world.ports.ami_users.uses += [
        Use(of=FIRST, kind="instance", name=f"i-0123456789abcdef{number}", detail="running") for number in range(9)
    ]
    _, piped, _ = world.run(words)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    _, shown, _ = world.run(words)
    assert max(map(len, shown.splitlines())) <= width
    # A column below the rows is not named where no job has a reason.
    unnamed = {"-", "reason"} if words == "job ls" else {"-"}
    assert {word.strip(":") for word in piped.split()} - unnamed <= {word.strip(":") for word in shown.split()}
    assert max(map(len, piped.splitlines())) <= 300
