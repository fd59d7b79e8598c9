"""The bake by Packer: what it is given, what is told and logged of it, and what it needs; Packer is a program that stands in for it."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

import packer
from lifecycle.adapters.packer_cli import PackerBaker
from lifecycle.errors import CapctlError, ExitCode
from tests.fakes.amis import BASE_AMI
from tests.fakes.clock import FakeClock
from tests.fakes.runs import RUN
from tests.fakes.targets import make_target
from tests.fakes.ui import FakeUi
from tests.unit.lifecycle.packer_parts import GOOD, URL, Scene


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(tmp_path, monkeypatch, GOOD)


def test_bake_returns_the_ami_of_the_manifest_and_hands_over_the_report(scene: Scene) -> None:
    assert scene.bake() == "ami-0123456789abcdef0"
    assert [report["files"][0]["path"] for report in scene.reports] == ["models/a.onnx"]


def test_phases_are_told_and_provisioner_lines_are_details(scene: Scene) -> None:
    scene.bake()
    assert "Launching a source AWS instance..." in scene.ui.lines
    assert "detail: hello, instance" in scene.ui.lines


def test_nothing_of_a_bake_stays_in_the_temporary_folder(scene: Scene) -> None:
    scene.bake()
    assert list(scene.scratch.iterdir()) == []


def test_folder_of_a_killed_bake_is_removed_by_the_next(scene: Scene) -> None:
    abandoned = scene.scratch / "capctl-bake-killed"
    abandoned.mkdir()
    (abandoned / "models.tsv").write_text(URL)
    scene.bake()
    assert not abandoned.exists()


def test_packer_gets_the_targets_values_and_its_own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = """
    private = os.stat(variables["model_list"]).st_mode & 0o077 == 0 and os.stat(".").st_mode & 0o077 == 0
    message(json.dumps([variables["ssh_port"], variables["custom_endpoint"], variables["base_ami"], private,
        os.environ["TMPDIR"].startswith(os.getcwd()), "AWS_ENDPOINT_URL" in os.environ, os.environ["AWS_ACCESS_KEY_ID"],
        os.environ["AWS_EXECUTION_ENV"]]))
    evidence(); finish()
    """
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    scene = Scene(tmp_path, monkeypatch, script)
    scene.bake()
    expected = f'[2222, null, "{BASE_AMI}", true, true, false, "AKIAIOSFODNN7EXAMPLE", "capctl.ami.bake"]'
    assert f"detail: {expected}" in scene.ui.lines


def test_log_is_private_and_holds_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = f"""
    message("fetching {URL}")
    message("other https://x.s3.amazonaws.com/k?a=1&X-Amz-Signature=beef&b=2 end")
    message(os.environ["AWS_SECRET_ACCESS_KEY"] + " " + os.environ["AWS_SESSION_TOKEN"])
    evidence(); finish()
    """
    scene = Scene(tmp_path, monkeypatch, script)
    scene.bake()
    said = scene.log.read_text() + "\n".join(scene.ui.lines)
    assert "fetching <masked>" in said
    assert "other https://x.s3.amazonaws.com/k?<masked> end" in said
    for secret in ("5ec2e7", "beef", "a-secret-access-key", "a-session-token"):
        assert secret not in said
    assert stat.S_IMODE(scene.log.stat().st_mode) == 0o600


def test_timeout_tells_the_phase_in_which_it_came_and_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = """
    def clean(*_):
        say("Terminating the source AWS instance..."); sys.exit(1)
    signal.signal(signal.SIGTERM, clean)
    say("Waiting for SSH to become available..."); time.sleep(60)
    """
    scene = Scene(tmp_path, monkeypatch, script)

    def after_a_minute_of_waiting() -> float:
        return 61.0 if scene.log.exists() and "Waiting for SSH" in scene.log.read_text() else 0.0

    monkeypatch.setattr(scene.clock, "monotonic", after_a_minute_of_waiting)
    error = scene.failure()
    assert error.code == "bake-timed-out"
    assert error.message.endswith("its last phase is `Waiting for SSH to become available`")
    assert f"`{scene.log}`" in error.hint


def test_report_is_checked_before_the_ami_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    evidence(); say("Stopping the source instance..."); time.sleep(60)
    """
    scene = Scene(tmp_path, monkeypatch, script)

    def refuse(_: dict[str, Any]) -> None:
        raise CapctlError("payload-mismatch", "not the set")

    with pytest.raises(CapctlError, match="not the set"):
        scene.baker.bake(scene.request(), refuse)


def test_packer_holds_the_run_as_long_as_it_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    look = """
    descriptors = ["/proc/self/fd/" + name for name in os.listdir("/proc/self/fd")]
    held = [os.readlink(each) for each in descriptors if os.path.lexists(each)]
    message("holds " + " ".join(held))
    """
    scene = Scene(tmp_path, monkeypatch, dedent(look) + GOOD)
    scene.bake()
    lease = scene.target.folder / ".capctl" / "runs" / RUN.id
    assert any(str(lease) in line for line in scene.ui.lines)
    assert not lease.exists()


def test_missing_packer_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(tmp_path, monkeypatch, GOOD)
    monkeypatch.setenv("PATH", str(tmp_path))
    error = scene.failure()
    assert (error.code, error.exit_code) == ("packer-missing", ExitCode.USAGE)
    assert "apt-get install packer" in error.hint


@pytest.mark.skipif(shutil.which("packer") is None, reason="`packer` is not installed")
def test_packer_accepts_what_the_default_configuration_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packer_program = shutil.which("packer")
    kept = tmp_path / "kept"
    script = f"""
    import shutil
    shutil.copytree(".", {str(kept)!r}, ignore=shutil.ignore_patterns("tmp"))
    message("profile " + variables["instance_profile"]); evidence(); finish()
    """
    scene = Scene(tmp_path, monkeypatch, script, ami={})
    scene.bake()
    assert "detail: profile vision-bake" in scene.ui.lines
    values = json.loads((kept / "bake.pkrvars.json").read_text())
    values |= {name: str(kept / Path(values[name]).name) for name in ("model_list", "model_marker")}
    (kept / "bake.pkrvars.json").write_text(json.dumps(values))
    command = [str(packer_program), "validate", f"-var-file={kept / 'bake.pkrvars.json'}", str(packer.TEMPLATE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=kept)
    assert "iam_instance_profile" not in done.stdout + done.stderr
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("ami", "profile"),
    [
        ({}, "vision-bake"),
        ({"instance_profile": "own"}, "own"),
        ({"ssh_interface": "private_ip"}, None),
        ({"ssh_interface": "public_ip", "instance_profile": "own"}, "own"),
    ],
)
def test_session_manager_gets_the_profile_of_the_base_stack(
    tmp_path: Path, ami: dict[str, str], profile: str | None
) -> None:
    assert make_target(tmp_path, ami=ami).bake_profile == profile


def test_session_manager_without_its_plugin_is_a_usage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(tmp_path, monkeypatch, GOOD, ami={})
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(CapctlError) as failed:
        scene.baker.require_programs()
    assert (failed.value.code, failed.value.exit_code) == ("session-manager-plugin-missing", ExitCode.USAGE)
    plugin = tmp_path / "bin" / "session-manager-plugin"
    plugin.touch(mode=0o755)
    scene.baker.require_programs()


def test_private_ip_needs_no_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(tmp_path, monkeypatch, GOOD)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    scene.baker.require_programs()


def test_recipe_changes_with_what_shapes_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Scene(tmp_path, monkeypatch, GOOD).baker
    wider = PackerBaker(make_target(tmp_path, ami={"volume_gib": 60}), one, FakeClock(), FakeUi())  # type: ignore[arg-type]
    other_way = PackerBaker(make_target(tmp_path, ami={"ssh_port": 99}), one, FakeClock(), FakeUi())  # type: ignore[arg-type]
    assert wider.recipe() != one.recipe()
    assert other_way.recipe() == one.recipe()
