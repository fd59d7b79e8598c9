"""The Packers that the recipe has to pass: the one that is installed, and a later one whose Amazon builder is a plugin."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.built_tools import folder_of

PACKERS = ("installed", "modern")


def packer_environment(name: str) -> dict[str, str]:
    """What to set for `packer` to be that one. Skips the test where there is none."""
    if name == "installed":
        if shutil.which("packer") is None:
            pytest.skip("`packer` is not installed")
        return {}
    program = folder_of("packer", "github.com/hashicorp/packer")
    plugin = folder_of("packer-plugin-amazon", "github.com/hashicorp/packer-plugin-amazon")
    if not (program / "packer").exists() or not (plugin / "plugins").exists():
        pytest.skip("no second Packer was built: run `make setup-test`")
    return {
        "PATH": f"{program}:{os.environ['PATH']}",
        "PACKER_PLUGIN_PATH": str(plugin / "plugins"),
        "PACKER_CONFIG_DIR": str(plugin),
        "CHECKPOINT_DISABLE": "1",
    }
