"""Wheels of a lock are downloaded once, and nothing but what is locked."""

import errno
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from images.base.wheelhouse import pip_command, wheelhouse
from images.errors import BaseInvalid, DiskFull, ToolMissing, WheelhouseFailed
from tests.unit.images.base_parts import LOCK


class FakePip:
    """Stands for pip: writes one wheel, or fails with `stderr`."""

    def __init__(self, stderr: str = "") -> None:
        self.stderr = stderr
        self.calls: list[list[str]] = []

    def __call__(self, command: list[str], scratch: Path) -> subprocess.CompletedProcess[str]:
        self.calls.append(command)
        (scratch / "unpacked").touch()
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
        ("ERROR: No matching distribution found for six", WheelhouseFailed, "`x.lock`.*: No matching distribution"),
        (
            "ERROR: Exception:\nTraceback:\n  line\nKeyError: 'six'\n\n",
            WheelhouseFailed,
            "Python 3.11: KeyError: 'six'$",
        ),
        ("ERROR: Exception:\nOSError: [Errno 28] No space left on device\n", DiskFull, "The disk of `.*cache` is full"),
        ("/usr/bin/python3: No module named pip", ToolMissing, "has no pip"),
    ],
)
def test_failed_download_leaves_nothing(tmp_path: Path, stderr: str, error: Any, said: str) -> None:
    (tmp_path / "x.lock").write_text(LOCK)
    with pytest.raises(error, match=said) as caught:
        wheelhouse(tmp_path / "x.lock", "3.11", tmp_path / "cache", run=FakePip(stderr))
    assert caught.value.hint
    assert list((tmp_path / "cache" / "wheelhouse").iterdir()) == []


WRONG_HASHES = """\
ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have updated the package versions, please update them.
    six==1.17.0 from https://index.invalid/six-1.17.0-py2.py3-none-any.whl (from -r /cache/x.lock (line 1)):
        Expected sha256 000
        Expected     or 111
             Got        472

    idna==3.10 from https://index.invalid/idna-3.10-py3-none-any.whl (from -r /cache/x.lock (line 2)):
        Expected sha256 222
             Got        946

"""


def test_lock_with_a_wrong_hash_is_told_with_the_package_and_both_hashes(tmp_path: Path) -> None:
    (tmp_path / "x.lock").write_text(LOCK)
    with pytest.raises(WheelhouseFailed) as caught:
        wheelhouse(tmp_path / "x.lock", "3.11", tmp_path / "cache", run=FakePip(WRONG_HASHES))
    assert caught.value.message == (
        "`x.lock` has other hashes than the files of the index: "
        "`six==1.17.0` expected `sha256:000` or `sha256:111`, got `sha256:472`; "
        "`idna==3.10` expected `sha256:222`, got `sha256:946`"
    )
    assert "lock" in caught.value.hint
    assert "network" not in caught.value.hint


def test_disk_that_is_full_before_pip_runs_is_told_so_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "x.lock").write_text(LOCK)
    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(DiskFull, match="cache"):
        wheelhouse(tmp_path / "x.lock", "3.11", tmp_path / "cache", run=FakePip())


def test_what_is_not_complete_lies_where_the_caller_says(tmp_path: Path) -> None:
    (tmp_path / "x.lock").write_text(LOCK)
    (tmp_path / "scratch").mkdir()
    seen: list[Path] = []

    def pip(command: list[str], scratch: Path) -> subprocess.CompletedProcess[str]:
        seen.extend([scratch, Path(command[command.index("--dest") + 1])])
        return FakePip()(command, scratch)

    found = wheelhouse(tmp_path / "x.lock", "3.11", tmp_path / "cache", scratch=tmp_path / "scratch", run=pip)
    assert all(path.is_relative_to(tmp_path / "scratch") for path in seen)
    assert [path.name for path in found.iterdir()] == ["six.whl"]
    assert list((tmp_path / "scratch").iterdir()) == []


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
    assert list((tmp_path / "cache" / "wheelhouse").iterdir()) == []
