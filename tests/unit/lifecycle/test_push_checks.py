"""`capctl image push` as a process: code that would fail once it runs is not sent."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.registry import FakeRegistry, serving
from tests.push_project import ROOT, add_base, document_of, project_on, pushed, pushing, running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    return folder


@pytest.fixture
def registry(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRegistry]:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(folder))
    with serving() as fake:
        project_on(fake.url, add_base(fake), folder)
        add(folder, "requirements.txt")
        yield fake


def add(folder: Path, *names: str) -> None:
    subprocess.run(["git", "-C", folder, "add", "--", *names], check=True)


def refusal(folder: Path) -> dict[str, object]:
    refused = pushing(folder)
    out, said = refused.communicate(timeout=60)
    document = dict(json.loads(out))
    assert (refused.returncode, document["code"]) == (1, "image-rejected"), said
    return document


def verify(folder: Path) -> None:
    command = [sys.executable, "-m", "lifecycle", "image", "verify"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)


def test_import_of_a_file_that_git_does_not_track_is_refused_with_the_command_that_mends_it(
    registry: FakeRegistry, folder: Path
) -> None:
    (folder / "run.py").write_text("import os\nimport helper_new\n")
    (folder / "helper_new.py").write_text("")
    add(folder, "run.py")
    document = refusal(folder)
    assert document["hint"] == "`helper_new.py` is not tracked by git: `git add` it"
    assert "`app/run.py` (line 2) imports `helper_new`" in str(document["details"])
    assert registry.tags == {}
    add(folder, "helper_new.py")
    pushed(folder)


def test_missing_module_of_the_codes_own_package_is_not_told_to_be_locked(registry: FakeRegistry, folder: Path) -> None:
    (folder / "job").mkdir()
    (folder / "job" / "__init__.py").write_text("")
    (folder / "run.py").write_text("import job.newmod\n")
    add(folder, ".")
    hint = "`job` is the code's own package: add the module `job.newmod` to it, or correct the import"
    assert refusal(folder)["hint"] == hint


def test_import_of_a_file_that_never_ships_is_told_as_that(registry: FakeRegistry, folder: Path) -> None:
    (folder / "tests").mkdir()
    (folder / "tests" / "data.py").write_text("")
    (folder / "run.py").write_text("from tests import data\nimport tests.data\n")
    add(folder, ".")
    assert "`tests/data.py` is left out of the code" in str(refusal(folder)["hint"])


def test_import_that_only_the_base_could_provide_is_refused_once_the_base_was_read(
    registry: FakeRegistry, folder: Path
) -> None:
    (folder / "run.py").write_text("import numpy\n")
    add(folder, "run.py")
    pushed(folder)
    verify(folder)
    (folder / "run.py").write_text("import numpy, torchvision\n")
    assert "imports `torchvision`" in str(refusal(folder)["details"])
    (folder / "run.py").write_text("import numpy\nprint(2)\n")
    pushed(folder)


def test_what_a_push_does_ahead_of_the_checks_sends_nothing_of_refused_code(
    registry: FakeRegistry, folder: Path
) -> None:
    (folder / "run.py").write_text("print(1)\n")
    add(folder, "run.py")
    pushed(folder)
    tags = dict(registry.tags)
    registry.log.clear()
    (folder / "run.py").write_text("def (\n")
    refusal(folder)
    assert {line.split()[0] for line in registry.log} <= {"HEAD"}
    assert registry.tags == tags
    registry.log.clear()
    (folder / "run.py").write_text("print(2)\n")
    document_of(running(folder, "push", "--dry-run"))
    assert {line.split()[0] for line in registry.log} <= {"HEAD", "GET"}


_SIGNALLED_READ = """
import os, signal
import images.layer
read = images.layer.read_tree
def signalled(*given):
    os.kill(os.getpid(), signal.SIGTERM)
    return read(*given)
images.layer.read_tree = signalled
"""


def test_signal_while_the_tree_is_read_ends_the_push(registry: FakeRegistry, folder: Path, tmp_path: Path) -> None:
    add(folder, "run.py")
    pushed(folder)
    tags = dict(registry.tags)
    (folder / "run.py").write_text("print(2)\n")
    registry.log.clear()
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(_SIGNALLED_READ)
    stopped = pushing(folder, PYTHONPATH=f"{hook}:{ROOT}")
    _, said = stopped.communicate(timeout=60)
    assert (stopped.returncode, registry.tags, registry.log) == (130, tags, []), said


def test_python_file_that_does_not_compile_is_refused_with_its_line(registry: FakeRegistry, folder: Path) -> None:
    (folder / "run.py").write_text("print(1)\ndef (\n")
    add(folder, "run.py")
    for _ in range(2):
        assert "`app/run.py` (line 2) is no Python 3." in str(refusal(folder)["details"])
    assert registry.tags == {}


def test_push_names_the_commit_and_what_is_not_in_it(registry: FakeRegistry, folder: Path) -> None:
    who = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
    add(folder, "run.py")
    subprocess.run(["git", "-C", folder, *who, "commit", "--quiet", "--message", "x"], check=True)
    clean = pushed(folder)
    commit = subprocess.run(["git", "-C", folder, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    assert (clean["commit"], clean["uncommitted"]) == (commit.stdout.strip(), [])

    (folder / "run.py").write_text("print(2)\n")
    running = pushing(folder)
    out, said = running.communicate(timeout=60)
    assert json.loads(out)["uncommitted"] == ["run.py"]
    assert f"1 file of the code not as in commit {commit.stdout[:12]}: `run.py`" in said
    subprocess.run(["git", "-C", folder, *who, "commit", "--quiet", "--all", "--message", "y"], check=True)
    (folder / "extra.py").write_text("")
    again = pushed(folder)
    assert again["untracked"] == ["extra.py"]
    assert (again["image"], again["uncommitted"]) == (json.loads(out)["image"], [])


@pytest.mark.parametrize(
    ("image", "code", "message", "hint"),
    [
        (
            {"root": "/"},
            2,
            "`image.root` is `/`, which is no folder of the project in `{folder}`",
            "relative to capctl.yaml",
        ),
        ({"root": ".."}, 2, "`image.root` is `..`", "relative to capctl.yaml"),
        ({"root": "nowhere"}, 2, "`image.root` is `nowhere`", "relative to capctl.yaml"),
        (
            {"include": ["*.pyx"]},
            1,
            "No file below `{folder}` is selected",
            "Check `image.include` (*.pyx), and `git add`",
        ),
        ({"exclude": ["**"]}, 1, "No file below", "Check `image.include` (**/*.py) and `image.exclude` (**), and"),
    ],
)
def test_settings_that_choose_no_code_are_named(
    registry: FakeRegistry, folder: Path, image: dict[str, object], code: int, message: str, hint: str
) -> None:
    add(folder, "run.py")
    document = json.loads((folder / "capctl.yaml").read_text())
    (folder / "capctl.yaml").write_text(json.dumps({**document, "defaults": {"image": image}}))
    running = pushing(folder)
    out, said = running.communicate(timeout=60)
    refused = json.loads(out)
    assert (running.returncode, message.format(folder=folder) in refused["message"]) == (code, True), said
    assert hint in refused["hint"]
