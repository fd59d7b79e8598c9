"""What `capctl --help` and `--version` do not import."""

import subprocess
import sys

import pytest

HEAVY = {
    "asyncio", "boto3", "botocore", "dataclasses", "docker", "importlib.metadata", "jinja2", "json", "logging", "packerpy",
    "psycopg", "pulumi", "pydantic", "requests", "rich", "subprocess", "tempfile", "tenacity", "urllib.request", "yaml",
}  # fmt: skip
OURS = {
    "lifecycle",
    "lifecycle.errors",
    "lifecycle.cli",
    "lifecycle.cli.main",
    "lifecycle.cli.context",
    "lifecycle.cli.boundary",
}

_PROGRAM = """
import sys
before = set(sys.modules)
import click
click_alone = set(sys.modules)
from lifecycle.cli.boundary import run_command_line
from lifecycle.cli.main import root
run_command_line(root, sys.argv[1:])
print(*sorted(set(sys.modules) - click_alone), file=sys.stderr)
"""


def _imported(*words: str) -> set[str]:
    # -S -E would hide the installation; what site imports is in `click_alone`
    ended = subprocess.run([sys.executable, "-c", _PROGRAM, *words], capture_output=True, text=True, check=True)
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
