"""What the commands that have to be fast do not import."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.fakes.registry import serving
from tests.push_project import add_base, project_on

HEAVY = {
    "asyncio", "boto3", "botocore", "dataclasses", "docker", "importlib.metadata", "jinja2", "json", "logging", "packerpy",
    "psycopg", "pulumi", "pydantic", "requests", "rich", "subprocess", "tempfile", "tenacity", "urllib.request", "urllib3", "yaml",
}  # fmt: skip
OURS = {
    "lifecycle",
    "lifecycle.errors",
    "lifecycle.cli",
    "lifecycle.cli.main",
    "lifecycle.cli.context",
    "lifecycle.cli.groups",
    "lifecycle.cli.signals",
    "lifecycle.cli.boundary",
}

_PROGRAM = """
import sys
before = set(sys.modules)
import click
click_alone = set(sys.modules)
from lifecycle.cli.boundary import run_command_line
from lifecycle.cli.main import root
code = run_command_line(root, sys.argv[1:])
print(*sorted(set(sys.modules) - click_alone), file=sys.stderr)
sys.exit(code)
"""


def _imported(*words: str, environment: Mapping[str, str] = os.environ) -> set[str]:
    # -S -E would hide the installation; what site imports is in `click_alone`
    command = [sys.executable, "-c", _PROGRAM, *words]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return set(ended.stderr.split())


@pytest.mark.parametrize("words", [("--help",), ("-h",)])
def test_help_imports_nothing_heavy(words: tuple[str, ...]) -> None:
    assert _imported(*words) & HEAVY == set()


def test_help_imports_no_command_and_no_layer_below_the_command_line() -> None:
    assert {name for name in _imported("--help") if name.split(".")[0] == "lifecycle"} == OURS


def test_help_of_a_command_imports_no_sdk() -> None:
    sdks = HEAVY - {"json", "dataclasses", "logging"}
    assert _imported("config", "show", "--help") & sdks == set()


def test_version_is_read_only_when_asked_for() -> None:
    assert "importlib.metadata" in _imported("--version")
    assert "importlib.metadata" not in _imported("--help")


def test_push_of_changed_code_imports_only_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "CAPCTL_CONFIG": str(tmp_path / "capctl.yaml")}
    with serving() as registry:
        project_on(registry.url, add_base(registry), tmp_path)
        # The second push knows what the first one found out, and the base's layers.
        _imported("-q", "image", "push", environment=environment)
        _imported("-q", "image", "explain", environment=environment)
        _imported("-q", "image", "push", environment=environment)
        (tmp_path / "run.py").write_text("print(2)\n")
        imported = _imported("-q", "image", "push", environment=environment)
        assert imported & HEAVY == {"dataclasses", "json", "subprocess"}
        # Each dataclass costs half a millisecond, and AMIs bring a dozen.
        assert not imported & {"lifecycle.domain.ami", "lifecycle.domain.usage", "lifecycle.cli.image_ls"}
        assert not imported & {"images.code_imports", "images.file_system", "images.modules", "images.packages"}
        assert len(registry.tags) == 2
