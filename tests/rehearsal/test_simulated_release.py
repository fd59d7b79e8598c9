"""A release passes where parts of it are simulated, on what stands in for them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from lifecycle.rehearsal.machine import REHEARSAL_VARIABLE
from lifecycle.rehearsal.standins import PARTS
from tests.rehearsal.stage_parts import cache

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(280)]
ALWAYS_REAL = {
    "bootstrap",
    "sample video",
    "models lock",
    "models push",
    "ami promote --to stable",
    "status",
    "rollback",
    "drift",
    "clean up",
}


def rehearse(folder: Path, *options: str, prefix: tuple[str, ...] = ()) -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if name != REHEARSAL_VARIABLE}
    environment |= {"HOME": str(folder), "XDG_STATE_HOME": str(folder / "state")}
    command = [*prefix, sys.executable, "-m", "lifecycle", "rehearse", "--report", str(folder / "report"), *options]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    assert list((folder / "state" / "capctl" / "rehearsals").iterdir()) == []
    document: dict[str, Any] = json.loads((folder / "report" / "report.json").read_text())
    assert document["ok"]
    return document


@pytest.mark.slow
def test_release_passes_with_every_part_simulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache().parent))
    steps = rehearse(tmp_path, "--without", ",".join(PARTS))["steps"]
    assert {step["name"] for step in steps if step["kind"] == "real"} == ALWAYS_REAL
    reasons = {part: sum(f"left out by `--without {part}`" in step["result"] for step in steps) for part in PARTS}
    assert all(reasons.values()), reasons


@pytest.mark.slow
def test_first_release_passes_for_an_unprivileged_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("becoming another user needs root and `setpriv`")
    folder = Path("/tmp") / f"capctl-test-{uuid.uuid4().hex[:8]}"  # pytest's own folders are closed to others
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    tools = folder / ".cache" / "capctl" / "tools"
    try:
        # Its tools are to be its own: whether a program is executable is asked without the right to search root's folders.
        tools.mkdir(parents=True)
        if (cache() / "tools").is_dir():
            shutil.copytree(cache() / "tools", tools, ignore=shutil.ignore_patterns("go"), dirs_exist_ok=True)
        subprocess.run(["chown", "--recursive", "65534:65534", str(folder)], check=True)
        rights = [f"--{kind}=-all,+dac_read_search" for kind in ("inh-caps", "ambient-caps", "bounding-set")]
        prefix = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *rights)
        steps = rehearse(folder, "--scene", "first", "--without", "engine", prefix=prefix)["steps"]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    simulated = {step["name"]: step["result"] for step in steps if step["kind"] == "simulated"}
    assert "this process is not root" in simulated["ami bake"]
    assert {"ami verify", "image base", "deploy", "smoke"} <= simulated.keys()
    assert [step["name"] for step in steps][-4:] == ["deploy", "smoke", "ami promote --to stable", "clean up"]
