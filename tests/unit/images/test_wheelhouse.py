"""Wheels of a lock are downloaded once, and nothing but what is locked."""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from images.base.wheelhouse import pip_command, wheelhouse
from images.errors import BaseInvalid, ToolMissing, WheelhouseFailed
from tests.unit.images.base_parts import LOCK


class FakePip:
    """Stands for pip: writes one wheel, or fails with `stderr`."""

    def __init__(self, stderr: str = "") -> None:
        self.stderr = stderr
        self.calls: list[list[str]] = []

    def __call__(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        self.calls.append(command)
        Path(command[command.index("--dest") + 1], "six.whl").write_text("wheel")
        return subprocess.CompletedProcess(command, 1 if self.stderr else 0, "", self.stderr)


def test_wheelhouse_is_downloaded_once_for_each_lock_and_python(tmp_path: Path) -> None:
    lock, pip = tmp_path / "x.lock", FakePip()
    lock.write_text(LOCK)
    first = wheelhouse(lock, "3.11", tmp_path / "cache", run=pip)
    assert wheelhouse(lock, "3.11", tmp_path / "cache", run=pip) == first
    assert [path.name for path in first.iterdir()] == ["six.whl"]
    assert wheelhouse(lock, "3.12", tmp_path / "cache", run=pip) != first
    lock.write_text(LOCK + "# changed\n")
    assert wheelhouse(lock, "3.11", tmp_path / "cache", run=pip) != first
    assert len(pip.calls) == 3


@pytest.mark.parametrize(
    ("stderr", "error", "said"),
    [
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", WheelhouseFailed, "DO NOT MATCH"),
        ("/usr/bin/python3: No module named pip", ToolMissing, "has no pip"),
    ],
)
def test_failed_download_leaves_nothing(tmp_path: Path, stderr: str, error: Any, said: str) -> None:
    (tmp_path / "x.lock").write_text(LOCK)
    with pytest.raises(error, match=said) as caught:
        wheelhouse(tmp_path / "x.lock", "3.11", tmp_path / "cache", run=FakePip(stderr))
    assert caught.value.hint
    assert list((tmp_path / "cache" / "wheelhouse").iterdir()) == []


def test_pip_checks_hashes_and_takes_wheels_only(tmp_path: Path) -> None:
    command = pip_command(tmp_path / "x.lock", "3.12", "x86_64", tmp_path)
    assert {"--require-hashes", "--only-binary=:all:", "--no-deps", "cp312", "manylinux_2_28_x86_64"} <= {*command}


@pytest.mark.parametrize("python", ["3", "3.11.2", "two"])
def test_python_must_be_a_minor_version(tmp_path: Path, python: str) -> None:
    with pytest.raises(BaseInvalid, match="not a Python minor"):
        wheelhouse(tmp_path / "x.lock", python, tmp_path)


def test_interrupted_pip_leaves_none_of_its_folders(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As pip, which makes folders and is stopped before it removes them.
    pip = "import pathlib, tempfile; pathlib.Path(tempfile.mkdtemp(prefix='pip-'), 'x').touch(); raise SystemExit(1)"
    monkeypatch.setattr("images.base.wheelhouse.pip_command", lambda *_: [sys.executable, "-c", pip])
    scratch = tmp_path_factory.mktemp("tmp")
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.setenv("TMPDIR", str(scratch))
    (tmp_path / "x.lock").write_text(LOCK)
    with pytest.raises(WheelhouseFailed):
        wheelhouse(tmp_path / "x.lock", "3.11", tmp_path / "cache")
    assert list(scratch.iterdir()) == []
