"""What `pip install .` takes along."""

from __future__ import annotations

import fnmatch
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_every_file_of_the_packages_is_installed() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no git checkout")
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    packages = [pattern.removesuffix("*") for pattern in setuptools["packages"]["find"]["include"]]
    patterns = ["*.py", *setuptools["package-data"]["*"]]
    files = [Path(name) for name in listed.stdout.splitlines() if name.split("/")[0] in packages]
    assert len(files) > 100
    assert [str(file) for file in files if not any(fnmatch.fnmatch(file.name, pattern) for pattern in patterns)] == []
