"""The Pulumi CLI as a process: what an interrupt says and ends."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from lifecycle.adapters.pulumi_cli import PulumiCli
from lifecycle.errors import Interrupted
from tests.fakes.ui import FakeUi


@pytest.mark.parametrize(("args", "is_told"), [(["up", "--yes"], True), (["stack", "export"], False)])
def test_interrupt_ends_the_cli_and_speaks_of_an_update_only(
    args: list[str], is_told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "pulumi"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    wait = subprocess.Popen.wait
    ended: list[Any] = []

    def interrupted_once(process: Any, timeout: float | None = None) -> int:
        if not ended:
            ended.append(process)
            raise Interrupted("interrupted", "The command was interrupted")
        return wait(process, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", interrupted_once)
    ui = FakeUi()
    with pytest.raises(Interrupted):
        PulumiCli(program, ui).run(args, str(tmp_path), {})
    assert ended[0].returncode is not None
    assert any("Pulumi finishes" in line for line in ui.lines) == is_told
