"""The programs that `make setup-test` builds from Go modules, where it put them."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[1] / "tools"


def folder_of(tool: str, module: str) -> Path:
    """Where the version that `tools/TOOL/go.mod` pins of `module` lies, or would lie."""
    found = re.search(rf"^\s*{re.escape(module)} (v\S+)", (TOOLS / tool / "go.mod").read_text(), re.MULTILINE)
    assert found, tool
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "capctl" / "tools" / f"{tool}-{found[1]}"


def crane_program() -> Path:
    """Where another client of registries lies, or would lie."""
    return folder_of("crane", "github.com/google/go-containerregistry") / "crane"


def crane() -> Path:
    """Another client of registries. Skips the test where it was not built."""
    program = crane_program()
    if not program.exists():
        pytest.skip("`crane` was not built: run `make setup-test`")
    return program
