from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from images.checkout import Checkout, CheckoutQuestion


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=x", "-c", "user.email=x@example.com")
    return subprocess.run(["git", "-C", folder, *who, *words], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A commit of some files, `code/` below it."""
    git(tmp_path, "init", "--quiet")
    for name in ("top.py", "code/run.py", "code/two words.py", "code/tests/test_run.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "x")
    return tmp_path


def test_clean_checkout_is_its_commit(folder: Path) -> None:
    commit = git(folder, "rev-parse", "HEAD").strip()
    assert CheckoutQuestion(folder).answer() == CheckoutQuestion(folder / "code").answer() == Checkout(commit)


def test_files_that_are_not_as_in_the_commit_are_named_staged_or_not(folder: Path) -> None:
    (folder / "code" / "run.py").write_text("changed")
    (folder / "code" / "new.py").write_text("")
    git(folder, "add", "code/new.py")
    git(folder, "mv", "code/two words.py", "code/three words.py")
    (folder / "top.py").unlink()
    below = ("new.py", "run.py", "three words.py", "two words.py")
    assert CheckoutQuestion(folder / "code").answer().uncommitted == below
    assert CheckoutQuestion(folder).answer().uncommitted == (*(f"code/{name}" for name in below), "top.py")


def test_files_that_are_no_code_do_not_count(folder: Path) -> None:
    (folder / "code" / "tests" / "test_run.py").write_text("changed")
    (folder / "code" / "run.py").write_text("changed")
    assert CheckoutQuestion(folder / "code", exclude=("run.*",)).answer().uncommitted == ()


def test_files_that_would_be_code_if_git_tracked_them_are_named(folder: Path) -> None:
    (folder / ".gitignore").write_text("*.log\n")
    for name in ("code/deep/data.json", "code/run.log", "code/tests/test_new.py", "code/.env", "beside.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("")
    git(folder, "init", "--quiet", "code/another")
    assert CheckoutQuestion(folder / "code").answer().untracked == ("deep/data.json",)
    assert CheckoutQuestion(folder).answer().untracked == ("beside.py", "code/deep/data.json")
    assert CheckoutQuestion(folder, ("code/**",)).answer().untracked == ("code/deep/data.json",)
    assert CheckoutQuestion(folder, ("code/**",), ("**/*.json",)).answer().untracked == ()


def test_git_looks_only_where_code_may_be(folder: Path) -> None:
    (folder / "code" / "run.py").write_text("changed")
    (folder / "code" / "new*.py").write_text("")
    for include in (
        ("code/**",),
        ("**",),
        ("code/*.py", "no-such-folder/**"),
        ("co?e/**",),
        ("code/run.py", "code/new*"),
    ):
        found = CheckoutQuestion(folder, include).answer()
        assert (found.uncommitted, found.untracked) == (("code/run.py",), ("code/new*.py",)), include


def test_checkout_without_a_commit_has_all_its_files_uncommitted(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "run.py").write_text("")
    git(tmp_path, "add", "run.py")
    assert CheckoutQuestion(tmp_path).answer() == Checkout("", ("run.py",))


def test_conflict_is_uncommitted(folder: Path) -> None:
    branch = git(folder, "rev-parse", "--abbrev-ref", "HEAD").strip()
    for name, text in (("other", "one"), (branch, "two")):
        git(folder, "checkout", "--quiet", *(("-b", name) if name == "other" else (name,)))
        (folder / "top.py").write_text(text)
        git(folder, "commit", "--quiet", "--all", "--message", text)
    with pytest.raises(subprocess.CalledProcessError):
        git(folder, "merge", "other")
    assert CheckoutQuestion(folder).answer().uncommitted == ("top.py",)


def test_folder_that_is_no_checkout_tells_nothing(tmp_path: Path) -> None:
    assert CheckoutQuestion(tmp_path).answer() == Checkout(is_in_git=False)


def test_without_git_nothing_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert CheckoutQuestion(folder).answer() == Checkout()
