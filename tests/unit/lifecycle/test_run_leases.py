"""Who holds a run of a bake, and what is known of one that nobody holds."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lifecycle.adapters.private_folder import private_folder
from lifecycle.adapters.run_leases import BAKE_FOLDER, Lease, RunLeases, held
from lifecycle.config.target import Target
from lifecycle.errors import CapctlError
from tests.fakes.targets import make_target

UNTIL = "2026-01-01T02:00:00+00:00"


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return make_target(tmp_path)


def fail(
    target: Target, run_id: str, *, leaves_nothing: bool = False, then: Callable[[Lease], None] = lambda _: None
) -> None:
    """A run that ends badly."""

    def spoil(lease: Lease) -> None:
        lease.name(["packer_x", "ami-1"])
        lease.name(["ami-1"])
        lease.leaves_nothing = leaves_nothing
        then(lease)
        raise CapctlError("bake-failed", "it failed")

    with pytest.raises(CapctlError), held(target, run_id, until=UNTIL) as lease:
        spoil(lease)


def test_run_is_alive_while_it_is_held_and_unknown_when_it_ended_well(target: Target) -> None:
    runs = RunLeases(target)
    with held(target, "r1", until=UNTIL):
        (run,) = runs.known()
        assert (run.id, run.is_held, run.until) == ("r1", True, datetime.fromisoformat(UNTIL))
        with pytest.raises(CapctlError) as failed:
            runs.forget("r1")
    assert failed.value.code == "run-alive"
    assert runs.known() == ()


def test_run_that_ended_badly_stays_known_with_what_it_named_until_it_is_forgotten(target: Target) -> None:
    fail(target, "r1")
    runs = RunLeases(target)
    (run,) = runs.known()
    assert (run.is_held, run.named) == (False, frozenset({"packer_x", "ami-1"}))
    runs.forget("r1")
    runs.forget("r1")
    assert runs.known() == ()


def test_run_that_cleaned_up_after_its_failure_is_not_known(target: Target) -> None:
    fail(target, "r1", leaves_nothing=True)
    assert RunLeases(target).known() == ()


def test_run_of_another_target_is_not_known(target: Target, tmp_path: Path) -> None:
    fail(target, "r1")
    object.__setattr__(target, "name", "elsewhere")
    assert RunLeases(target).known() == ()


@pytest.mark.parametrize("starts_session", [True, False])
def test_child_that_inherited_the_run_holds_it_and_can_be_ended(target: Target, starts_session: bool) -> None:
    children = []

    def start(lease: Lease) -> None:
        children.append(
            subprocess.Popen(["sleep", "60"], pass_fds=(lease.descriptor,), start_new_session=starts_session)
        )
        lease.process(children[0].pid)

    fail(target, "r1", then=start)
    (child,) = children
    runs = RunLeases(target)
    (run,) = runs.known()
    assert (run.is_held, run.holders) == (True, (child.pid,))
    assert run.is_alive(datetime(2026, 1, 1, tzinfo=UTC))
    assert not run.is_alive(datetime(2026, 1, 2, tzinfo=UTC))
    runs.end("r1")
    child.wait(timeout=10)
    assert [run.is_held for run in runs.known()] == [False]


def test_who_merely_has_the_file_open_is_not_ended(target: Target) -> None:
    others = []
    fail(
        target,
        "r1",
        then=lambda lease: others.append(subprocess.Popen(["sleep", "60"], pass_fds=(lease.descriptor,))),
    )
    (other,) = others
    runs = RunLeases(target)
    assert [run.holders for run in runs.known()] == [()]
    runs.end("r1")
    assert other.poll() is None
    other.kill()
    other.wait()


def test_lease_is_held_before_it_has_its_name(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[bool]] = []
    rename = Path.rename

    def look_around(path: Path, to: Path) -> Path:
        seen.append([run.is_held for run in RunLeases(target).known()])
        renamed = rename(path, to)
        seen.append([run.is_held for run in RunLeases(target).known()])
        return renamed

    monkeypatch.setattr(Path, "rename", look_around)
    with held(target, "r1", until=UNTIL):
        pass
    assert seen == [[], [True]]


def test_lease_of_a_run_that_was_killed_before_it_had_its_name_is_removed(target: Target) -> None:
    folder = target.folder / ".capctl" / "runs"
    folder.mkdir(parents=True)
    (folder / ".abandoned").touch()
    assert RunLeases(target).known() == ()
    assert list(folder.iterdir()) == []


def test_what_an_earlier_attempt_of_the_run_left_stays_known(target: Target) -> None:
    fail(target, "r1")
    with held(target, "r1", until=UNTIL) as lease:
        lease.name(["ami-2"])
    assert [run.named for run in RunLeases(target).known()] == [frozenset({"packer_x", "ami-1", "ami-2"})]


def test_run_that_goes_on_with_what_another_left_is_known_only_while_it_does(target: Target) -> None:
    runs = RunLeases(target)

    def go_on() -> None:
        with runs.held("r1", until=datetime.fromisoformat(UNTIL)):
            assert [(run.id, run.is_held) for run in runs.known()] == [("r1", True)]
            raise CapctlError("ami-not-verified", "it failed")

    with pytest.raises(CapctlError):
        go_on()
    assert runs.known() == ()


def test_file_that_was_cut_off_still_tells_of_a_dead_run(target: Target) -> None:
    folder = target.folder / ".capctl" / "runs"
    folder.mkdir(parents=True)
    for number, text in enumerate(("", '{"target": "te', '{"target": "test", "started": "", "until": ""}\npacker')):
        (folder / f"r{number}").write_text(text)
    assert [(run.id, run.is_held, run.until) for run in RunLeases(target).known()] == [
        (f"r{number}", False, None) for number in range(3)
    ]


def test_folder_of_a_dead_run_is_found_and_removed_and_that_of_a_live_one_stays(target: Target, tmp_path: Path) -> None:
    dead = tmp_path / f"{BAKE_FOLDER}dead"
    orphaned = tmp_path / f"{BAKE_FOLDER}orphaned"  # capctl is dead, its Packer is not
    for folder in (dead, orphaned):
        folder.mkdir()
    runs = RunLeases(target)
    with private_folder(f"{BAKE_FOLDER}live") as live, held(target, "r1", until=UNTIL) as lease:
        lease.name([str(orphaned)])
        assert runs.folders() == (str(dead),)
        for folder in (dead, orphaned, live):
            runs.remove_folder(str(folder))
        assert [folder.exists() for folder in (dead, orphaned, live)] == [False, True, True]
