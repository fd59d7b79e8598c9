"""The Packers that the recipe has to pass: the one that is installed, and a later one whose Amazon builder is a plugin."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[1] / "tools"
PACKERS = ("installed", "modern")


def packer_environment(name: str) -> dict[str, str]:
    """What to set for `packer` to be that one. Skips the test where there is none."""
    if name == "installed":
        if shutil.which("packer") is None:
            pytest.skip("`packer` is not installed")
        return {}
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "capctl" / "tools"
    program = cache / f"packer-{_version('packer')}"
    plugin = cache / f"packer-plugin-amazon-{_version('packer-plugin-amazon')}"
    if not (program / "packer").exists() or not (plugin / "plugins").exists():
        pytest.skip("no second Packer was built: run `make setup-test`")
    return {
        "PATH": f"{program}:{os.environ['PATH']}",
        "PACKER_PLUGIN_PATH": str(plugin / "plugins"),
        "PACKER_CONFIG_DIR": str(plugin),
        "CHECKPOINT_DISABLE": "1",
    }


def _version(tool: str) -> str:
    found = re.search(rf"^\s*github\.com/hashicorp/{tool} (v\S+)", (TOOLS / tool / "go.mod").read_text(), re.MULTILINE)
    assert found, tool
    return found[1]
