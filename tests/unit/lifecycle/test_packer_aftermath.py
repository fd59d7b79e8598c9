"""What becomes of a bake that failed: its AMI goes, or stays where AWS is still making it, and what is left is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.adapters.run_leases import RunLeases
from lifecycle.errors import ExitCode, Interrupted
from tests.fakes.runs import RUN
from tests.unit.lifecycle.packer_parts import UNACCEPTED, Scene


def test_failed_bake_is_forgotten_if_nothing_is_left_and_known_with_what_it_made_if_something_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(tmp_path, monkeypatch, UNACCEPTED)
    assert scene.failure().code == "bake-failed"
    assert RunLeases(scene.target).known() == ()
    scene.ec2.hold("snap-1")
    scene.ec2.kept.add("snap-1")
    assert scene.failure().code == "bake-failed"
    (run,) = RunLeases(scene.target).known()
    assert (run.id, run.is_held) == (RUN.id, False)
    assert "ami-0123456789abcdef0" in run.named


def test_bake_without_a_report_fails_and_its_ami_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(tmp_path, monkeypatch, UNACCEPTED)
    scene.ec2.hold("snap-1")
    assert scene.failure().code == "bake-failed"
    assert scene.ec2.calls == ["deregister ami-0123456789abcdef0", "delete snap-1"]
    assert any("removed `ami-0123456789abcdef0`" in line for line in scene.ui.lines)


def test_snapshot_that_stays_is_told_and_the_others_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(tmp_path, monkeypatch, UNACCEPTED)
    scene.ec2.hold("snap-1", "snap-2")
    scene.ec2.kept.add("snap-1")
    assert scene.failure().code == "bake-failed"
    assert scene.ec2.calls == ["deregister ami-0123456789abcdef0", "delete snap-1", "delete snap-2"]
    (warning,) = [line for line in scene.ui.lines if "snap-1" in line]
    assert "`OperationNotPermitted`, locked" in warning
    assert f"capctl:run={RUN.id}" in warning


def test_ami_of_another_run_is_never_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = """
    error("AMI Name: 'vision-models-1' is used by an existing AMI: ami-0123456789abcdef0")
    message("AMI: ami-0fedcba9876543210"); sys.exit(1)
    """
    scene = Scene(tmp_path, monkeypatch, script)
    scene.ec2.images += [
        {"ImageId": "ami-0123456789abcdef0"},
        {"ImageId": "ami-0fedcba9876543210", "Tags": [{"Key": "capctl:run", "Value": "another"}]},
    ]
    assert scene.failure().code == "ami-name-taken"
    assert scene.ec2.calls == []


PENDING = 'evidence(); message("AMI: ami-0123456789abcdef0"); '
GIVES_UP = """error("Error waiting for AMI: Failed with ResourceNotReady error\\noriginal error: ResourceNotReady: exceeded wait attempts")
line("ui", "error", "Build 'x' errored after 1 s: Error waiting for AMI: ResourceNotReady: exceeded wait attempts"); sys.exit(1)"""


def with_pending_ami(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, *, state: str = "pending") -> Scene:
    scene = Scene(tmp_path, monkeypatch, script)
    scene.ec2.hold("snap-1", state=state)
    return scene


@pytest.mark.parametrize("state", ["pending", "available"])
def test_ami_that_packer_waited_for_in_vain_stays_and_is_tagged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    scene = with_pending_ami(tmp_path, monkeypatch, PENDING + GIVES_UP, state=state)
    error = scene.failure()
    assert (error.code, error.exit_code) == ("ami-pending", ExitCode.TIMED_OUT)
    assert "`ami-0123456789abcdef0`" in error.message
    assert "goes on waiting" in error.hint
    assert scene.ec2.calls == ["tag ami-0123456789abcdef0 snap-1 capctl:run"]


def test_pending_ami_stays_after_a_failure_of_another_kind_which_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = PENDING + 'error("Error waiting for AMI: ExpiredToken: The security token is expired"); sys.exit(1)'
    scene = with_pending_ami(tmp_path, monkeypatch, script)
    scene.ec2.refused = True
    error = scene.failure()
    assert error.code == "credentials-expired"
    assert "AMI `ami-0123456789abcdef0` is still pending and stays" in error.details[-1]
    assert not [call for call in scene.ec2.calls if "deregister" in call]
    assert any("tagging AMI `ami-0123456789abcdef0`" in line for line in scene.ui.lines)


@pytest.mark.parametrize(("state", "script"), [("failed", PENDING), ("pending", PENDING.replace("evidence(); ", ""))])
def test_ami_that_failed_or_was_never_accepted_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, script: str
) -> None:
    scene = with_pending_ami(tmp_path, monkeypatch, script + GIVES_UP, state=state)
    scene.failure()
    assert scene.ec2.calls == ["deregister ami-0123456789abcdef0", "delete snap-1"]


def test_pending_ami_of_an_interrupted_bake_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = with_pending_ami(
        tmp_path, monkeypatch, PENDING.replace("message", "say('Creating'); message") + "time.sleep(60)"
    )

    def interrupt(line: str) -> None:
        if line.startswith("AMI:"):
            raise Interrupted("interrupted", "a signal")

    monkeypatch.setattr(scene.ui, "detail", interrupt)
    assert scene.failure().code == "interrupted"
    assert scene.reports
    assert scene.ec2.calls == ["deregister ami-0123456789abcdef0", "delete snap-1"]
