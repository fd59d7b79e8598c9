from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from images.errors import CodeUnreadable
from images.globs import matches
from images.selection import select_files

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (
        "analyzer/cli.py",
        "analyzer/__pycache__/cli.cpython-311.pyc",
        "analyzer/README.md",
        "analyzer/schema.json",
        "src/old.py",
        "tools/pulumi/go.mod",
        "data/table.csv",
        "tests/test_cli.py",
        ".env",
        ".gitignore",
        "run.py",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run(["git", *identity, "-C", str(folder), *arguments], check=True, capture_output=True)


def test_folder_without_git_gives_all_files_but_development_matter(folder: Path) -> None:
    assert select_files(folder) == ("analyzer/cli.py", "analyzer/schema.json", "run.py")


def test_include_narrows_and_exclude_can_be_replaced(folder: Path) -> None:
    assert select_files(folder, ["analyzer/**"]) == ("analyzer/cli.py", "analyzer/schema.json")
    assert select_files(folder, exclude=["run.py"]) == (
        ".gitignore",
        "analyzer/README.md",
        "analyzer/cli.py",
        "analyzer/schema.json",
    )


@pytest.mark.parametrize("glob", ["src/**", "tools/**", "tests/**", "**/*.csv", ".env", "**/*.pyc"])
def test_include_cannot_bring_in_what_never_belongs_to_the_code(folder: Path, glob: str) -> None:
    assert select_files(folder, [glob], exclude=()) == ()


@needs_git
def test_git_checkout_gives_tracked_files_only(folder: Path) -> None:
    git(folder, "init", "-q")
    git(folder, "add", "analyzer", "run.py")
    (folder / "analyzer" / "new.py").write_text("")
    (folder / "run.py").unlink()
    assert select_files(folder) == ("analyzer/cli.py", "analyzer/schema.json")


@needs_git
def test_subfolder_of_a_checkout_gives_paths_relative_to_itself(folder: Path) -> None:
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    assert select_files(folder / "analyzer") == ("cli.py", "schema.json")


@needs_git
def test_damaged_checkout_is_an_error_and_never_falls_back_to_all_files(folder: Path) -> None:
    (folder / ".git").mkdir()
    with pytest.raises(CodeUnreadable, match="git cannot list"):
        select_files(folder)


def test_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CodeUnreadable, match="is not a folder"):
        select_files(tmp_path / "none")


@pytest.mark.parametrize(
    ("path", "glob", "expected"),
    [
        ("a/b.py", "*.py", False),
        ("b.py", "*.py", True),
        ("b.py", "**/*.py", True),
        ("a/c/b.py", "**/*.py", True),
        ("a/c/b.py", "a/**", True),
        ("ab/c", "a/**", False),
        ("a.b", "a?b", True),
        ("a/b", "a?b", False),
        ("x.pyc", "**/*.pyc", True),
        ("x+y", "x+y", True),
    ],
)
def test_globs(path: str, glob: str, expected: bool) -> None:
    assert matches(path, [glob]) is expected
