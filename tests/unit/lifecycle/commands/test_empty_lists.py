"""Lists that hold nothing."""

from pathlib import Path

import pytest

from tests.unit.lifecycle.commands.case import BAKED, World


@pytest.mark.parametrize(
    ("words", "given", "said"),
    [
        ("ami ls", (), "Project `vision` has no AMIs in us-west-2"),
        ("ami ls --status disabled", BAKED, "Project `vision` has no AMIs that are `disabled` in us-west-2"),
        ("ami prune", (), "Project `vision` has no AMIs in us-west-2"),
        ("image ls", (), "Repository `vision` has no code or base images"),
        ("image prune", (), "Repository `vision` has no images"),
        ("ami channels", (), "Project `vision` has no channels in us-west-2"),
    ],
)
def test_a_list_that_is_empty_says_so_beside_an_empty_stdout(
    words: str, given: tuple[str, ...], said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(folder, capsys)
    assert [world.run(one)[0] for one in given] == [0] * len(given)
    assert world.run(words)[:2] == (0, "")
    assert world.ports.ui.lines[-1] == said


def test_no_status_can_be_asked_for_that_no_listed_ami_has(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = World(folder, capsys).run("ami ls --status deregistered")
    assert code == 2
    assert "deregistered" in err
