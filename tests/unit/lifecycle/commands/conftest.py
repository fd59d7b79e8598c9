"""How the tables are run."""

from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.unit.lifecycle.commands.case")

from tests.unit.lifecycle.commands.case import Play, play  # noqa: E402 - rewritten before it is imported


@pytest.fixture(params=["text", "json"])
def played(request: pytest.FixtureRequest, folder: Path, capsys: pytest.CaptureFixture[str]) -> Play:
    """`played(case)` runs a row and compares what came of it; each row is run for people and for scripts."""
    return lambda case: play(case, folder, capsys, request.param)
