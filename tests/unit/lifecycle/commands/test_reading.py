"""What reads for seconds before it has anything to say shows that it does, on stderr."""

from pathlib import Path

import pytest

from tests.unit.lifecycle.commands.case import DEPLOYED, World

AMI = "ami-00000000000000001"


@pytest.mark.parametrize(
    "words", ["status", "ami ls", f"ami show {AMI}", "ami prune", "deploy --yes", "rollback --yes"]
)
def test_command_that_reads_for_seconds_shows_that_it_does(
    words: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(folder, capsys)
    for before in DEPLOYED:
        world.run(before)
    world.ports.ui.lines.clear()
    world.run(words)
    shown = next(line for line in world.ports.ui.lines if not line.startswith("✓ inspect "))
    assert shown.startswith(("✓ read the ", "✗ read the "))
