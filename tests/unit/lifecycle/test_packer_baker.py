"""The bake by Packer: inputs, log, evidence, failures, leftovers; Packer is a program that stands in for it."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import ClientError

import packer
from lifecycle.adapters.packer_cli import PackerBaker
from lifecycle.adapters.packer_failure import failure
from lifecycle.adapters.packer_leftovers import BakeTraces
from lifecycle.adapters.packer_output import Mask, parse
from lifecycle.adapters.run_leases import RunLeases
from lifecycle.domain.models import ModelFile, model_set
from lifecycle.domain.place import Place
from lifecycle.errors import CapctlError, ExitCode, Interrupted
from lifecycle.ports.baker import BakeRequest
from tests.fakes.amis import BASE_AMI, FakeAmis
from tests.fakes.clock import FakeClock
from tests.fakes.packer_program import act
from tests.fakes.runs import RUN
from tests.fakes.targets import make_target
from tests.fakes.ui import FakeUi

URL = "https://bucket.s3.amazonaws.com/models/aa?X-Amz-Signature=5ec2e7&X-Amz-Expires=3600"


class FakeEc2:
    """EC2 that holds nothing but AMIs; `calls` are the changes that were asked for, `kept` the snapshots that are in use; while
    `refused`, nothing is tagged."""

    def __init__(self) -> None:
        self.images: list[dict[str, Any]] = []
        self.calls: list[str] = []
        self.kept: set[str] = set()
        self.refused = False

    def can_paginate(self, _: str) -> bool:
        return False

    def describe_instances(self, **_: Any) -> dict[str, Any]:
        return {"Reservations": []}

    def describe_volumes(self, **_: Any) -> dict[str, Any]:
        return {"Volumes": []}

    def describe_key_pairs(self, **_: Any) -> dict[str, Any]:
        return {"KeyPairs": []}

    def describe_security_groups(self, **_: Any) -> dict[str, Any]:
        return {"SecurityGroups": []}

    def describe_snapshots(self, **_: Any) -> dict[str, Any]:
        return {"Snapshots": []}

    def describe_images(self, **asked: Any) -> dict[str, Any]:
        wanted = [value for each in asked.get("Filters", ()) for value in each["Values"]]
        found = (image for image in self.images if not wanted or image["ImageId"] in wanted)
        return {"Images": [{"State": "available", **image} for image in found]}

    def deregister_image(self, **asked: str) -> dict[str, Any]:
        self.calls.append(f"deregister {asked['ImageId']}")
        return {}

    def create_tags(self, **asked: Any) -> None:
        self.calls.append(f"tag {' '.join(asked['Resources'])} {asked['Tags'][0]['Key']}")
        if self.refused:
            raise ClientError({"Error": {"Code": "UnauthorizedOperation", "Message": "no"}}, "CreateTags")

    def delete_snapshot(self, **asked: str) -> None:
        self.calls.append(f"delete {asked['SnapshotId']}")
        if asked["SnapshotId"] in self.kept:
            raise ClientError({"Error": {"Code": "OperationNotPermitted", "Message": "locked"}}, "DeleteSnapshot")


class Scene:
    """A baker whose Packer does what `script` says."""

    def __init__(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, *, ami: dict[str, Any] | None = None
    ) -> None:
        act(tmp_path / "bin", script)
        monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
        (tmp_path / "scratch").mkdir()
        self.scratch = tmp_path / "scratch"
        self.ec2, self.ui = FakeEc2(), FakeUi()
        here = {"ssh_interface": "private_ip", "ssh_port": 2222, "timeout_s": 60}
        self.target = make_target(tmp_path, ami=here if ami is None else ami)
        self.baker = PackerBaker(self.target, self, FakeClock(), self.ui)  # type: ignore[arg-type]
        self.reports: list[dict[str, Any]] = []
        self.app_id = "capctl.ami.bake"

    def client(self, service: str) -> FakeEc2:
        assert service == "ec2"
        return self.ec2

    def frozen_credentials(self) -> ReadOnlyCredentials:
        return ReadOnlyCredentials(
            "AKIAIOSFODNN7EXAMPLE", "a-secret-access-key-of-40-characters", "a-session-token", "us-west-2"
        )

    def request(self) -> BakeRequest:
        models = model_set((ModelFile(path="models/a.onnx", bytes=3, sha256="aa" * 32),))
        return BakeRequest(
            ami_name="vision-models-1",
            base=FakeAmis().get(BASE_AMI),
            models=models,
            downloads={"models/a.onnx": URL},
            tags={"capctl:run": RUN.id},
            run_id=RUN.id,
            place=Place(instance_type="m6i.large"),
        )

    def bake(self) -> str:
        return self.baker.bake(self.request(), self.reports.append)

    def failure(self) -> CapctlError:
        with pytest.raises(CapctlError) as failed:
            self.bake()
        return failed.value

    @property
    def log(self) -> Path:
        return self.target.folder / ".capctl" / "logs" / f"bake-{RUN.id}.log"


GOOD = """
say("Launching a source AWS instance...")
message("hello, instance")
evidence()
say("Stopping the source instance...")
finish()
"""


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


def test_failed_bake_is_forgotten_if_nothing_is_left_and_known_with_what_it_made_if_something_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(tmp_path, monkeypatch, 'message("AMI: ami-0123456789abcdef0"); finish()')
    assert scene.failure().code == "bake-failed"
    assert RunLeases(scene.target).known() == ()
    disk = {"Ebs": {"SnapshotId": "snap-1"}}
    scene.ec2.images.append({"ImageId": "ami-0123456789abcdef0", "BlockDeviceMappings": [disk]})
    scene.ec2.kept.add("snap-1")
    assert scene.failure().code == "bake-failed"
    (run,) = RunLeases(scene.target).known()
    assert (run.id, run.is_held) == (RUN.id, False)
    assert "ami-0123456789abcdef0" in run.named


def test_bake_without_a_report_fails_and_its_ami_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(tmp_path, monkeypatch, 'message("AMI: ami-0123456789abcdef0"); finish()')
    disk = {"Ebs": {"SnapshotId": "snap-1"}}
    scene.ec2.images.append({"ImageId": "ami-0123456789abcdef0", "Tags": [], "BlockDeviceMappings": [disk]})
    assert scene.failure().code == "bake-failed"
    assert scene.ec2.calls == ["deregister ami-0123456789abcdef0", "delete snap-1"]
    assert any("removed `ami-0123456789abcdef0`" in line for line in scene.ui.lines)


def test_snapshot_that_stays_is_told_and_the_others_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(tmp_path, monkeypatch, 'message("AMI: ami-0123456789abcdef0"); finish()')
    disks = [{"Ebs": {"SnapshotId": name}} for name in ("snap-1", "snap-2")]
    scene.ec2.images.append({"ImageId": "ami-0123456789abcdef0", "BlockDeviceMappings": disks})
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
    disk = {"Ebs": {"SnapshotId": "snap-1"}}
    scene.ec2.images.append({"ImageId": "ami-0123456789abcdef0", "State": state, "BlockDeviceMappings": [disk]})
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


@pytest.mark.parametrize(
    ("line", "code", "exit_code"),
    [
        ("capctl-bake: payload-mismatch: models/a: b.onnx: 3 bytes, expected 4", "payload-mismatch", ExitCode.FAILED),
        ("capctl-bake: model-unreadable: models/a.onnx: curl ended with status 22", "object-missing", ExitCode.FAILED),
        ("capctl-bake: leftover: /root/.ssh/authorized_keys: still there", "bake-failed", ExitCode.FAILED),
        ("InsufficientInstanceCapacity: We currently do not have", "no-capacity", ExitCode.INCONCLUSIVE),
        ("NoCredentialProviders: no valid providers in chain", "credentials-missing", ExitCode.DENIED),
        ("UnauthorizedOperation: You are not authorized", "permission-denied", ExitCode.DENIED),
        ("ExpiredToken: The provided token has expired", "credentials-expired", ExitCode.DENIED),
        ("VcpuLimitExceeded: You have requested more vCPU capacity", "quota-reached", ExitCode.FAILED),
        ("RequestLimitExceeded: Request limit exceeded.", "aws-throttled", ExitCode.INCONCLUSIVE),
        ("RequestError: send request failed", "aws-unreachable", ExitCode.FAILED),
        ("InvalidAMIName.Duplicate: AMI name x is already in use", "ami-name-taken", ExitCode.FAILED),
        ("Timeout waiting for SSH.", "instance-unreachable", ExitCode.TIMED_OUT),
        ("Error: Unknown source type amazon-ebs", "packer-plugin-missing", ExitCode.FAILED),
        ("Script exited with non-zero exit status: 12. Allowed exit codes are: [0]", "bake-failed", ExitCode.FAILED),
        (
            "Couldn't find specified instance profile: NoSuchEntity: Instance Profile x cannot be found.",
            "bake-failed",
            ExitCode.FAILED,
        ),
        ("something else", "bake-failed", ExitCode.FAILED),
    ],
)
def test_failure_is_told_by_its_cause(line: str, code: str, exit_code: ExitCode) -> None:
    error = failure(["first", line, "last"], ami_name="n", region="us-west-2", log=Path("bake.log"))
    assert (error.code, error.exit_code) == (code, exit_code)
    assert "us-west-2" in error.message or code == "packer-plugin-missing"
    assert error.hint


# What Packer 1.6.6 wrote, but for the instance: a provisioner that failed, and a build that EC2 refused.
PROVISIONED = """\
1795280862,,ui,error,==> amazon-ebs.models: {said}
1795280862,,ui,message,    amazon-ebs.models: {said}
1795280862,,ui,say,==> amazon-ebs.models: Provisioning step had errors: Running the cleanup provisioner%!(PACKER_COMMA) if present...
1795280862,,ui,say,==> amazon-ebs.models: Terminating the source AWS instance...
1795280862,,ui,error,==> amazon-ebs.models: Error deleting security group: RequestLimitExceeded: Request limit exceeded.
1795280862,,ui,error,Build 'amazon-ebs.models' errored after 19 milliseconds 485 microseconds: {ended}
1795280862,,ui,say,\\n==> Wait completed after 19 milliseconds 573 microseconds
1795280862,,error-count,1
1795280862,,ui,error,\\n==> Some builds didn't complete successfully and had errors:
1795280862,amazon-ebs.models,error,{ended}
1795280862,,ui,error,--> amazon-ebs.models: {ended}
1795280862,,ui,say,\\n==> Builds finished but no artifacts were created.
"""
SCRIPT = "Script exited with non-zero exit status: 12.Allowed exit codes are: [0]"
CAPACITY = "Error launching source instance: InsufficientInstanceCapacity: We currently do not have sufficient capacity"
STRAY = ("Throttling: retry 1 of 5", "AccessDenied: no such thing", "no EC2 IMDS role found", "nothing of AWS")


@pytest.mark.parametrize("said", [*STRAY, "Timeout waiting for SSH.", "Missing plugins"])
@pytest.mark.parametrize(
    ("ended", "code"),
    [
        (SCRIPT, "bake-failed"),
        (f"1 error(s) occurred:\\n\\n* {SCRIPT}", "bake-failed"),
        ("Error uploading script: the disk is full", "bake-failed"),
        (CAPACITY, "no-capacity"),
        ("Timeout waiting for SSH.", "instance-unreachable"),
        ("UnauthorizedOperation: You are not authorized to perform this operation.", "permission-denied"),
    ],
)
def test_failure_is_told_by_packers_last_words_and_not_by_those_of_other_programs(
    said: str, ended: str, code: str
) -> None:
    records = [parse(line) for line in PROVISIONED.format(said=said, ended=ended).splitlines()]
    lines = [record.text for record in records if record and (record.kind or record.type == "error")]
    assert failure(lines, ami_name="n", region="r", log=Path("bake.log")).code == code


def test_what_a_provisioner_tells_counts_wherever_it_stands() -> None:
    told = "capctl-bake: payload-mismatch: models/a: 3 bytes, expected 4"
    lines = [told, "AccessDenied: x", f"Build 'amazon-ebs.models' errored: {SCRIPT}"]
    assert failure(lines, ami_name="n", region="r", log=Path("bake.log")).code == "payload-mismatch"


def test_failure_shows_the_last_lines_and_the_log() -> None:
    lines = [f"line {number}" for number in range(30)]
    error = failure(lines, ami_name="n", region="r", log=Path("logs/bake.log"))
    assert error.details[-1] == "line 29"
    assert len(error.details) == 12
    assert "logs/bake.log" in error.hint


def test_machine_readable_line_is_restored() -> None:
    record = parse("1769000000,,ui,say,==> amazon-ebs.models: a%!(PACKER_COMMA) b\\nc\n")
    assert record is not None
    assert (record.kind, record.text) == ("say", "a, b\nc")
    assert parse("panic: not machine-readable") is None


def test_mask_hides_longer_secrets_first() -> None:
    assert Mask(["key", "key-and-more", ""])("key-and-more key") == "<masked> <masked>"


def test_traces_are_ids_of_this_bake_only() -> None:
    traces = BakeTraces()
    for line in (
        "AMI: ami-0123",
        "Instance ID: i-0123456789abcdef0",
        "AMI Name: 'x' is used by an existing AMI: ami-0999",
        "Creating temporary keypair: packer_6b017302-b7ff-4cd4-17d0-c0adf521ba5e",
    ):
        traces.look(line)
    assert traces.amis == {"ami-0123"}
    assert traces.instances == {"i-0123456789abcdef0"}
    assert traces.temporary == {"packer_6b017302-b7ff-4cd4-17d0-c0adf521ba5e"}


def test_recipe_changes_with_what_shapes_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Scene(tmp_path, monkeypatch, GOOD).baker
    wider = PackerBaker(make_target(tmp_path, ami={"volume_gib": 60}), one, FakeClock(), FakeUi())  # type: ignore[arg-type]
    other_way = PackerBaker(make_target(tmp_path, ami={"ssh_port": 99}), one, FakeClock(), FakeUi())  # type: ignore[arg-type]
    assert wider.recipe() != one.recipe()
    assert other_way.recipe() == one.recipe()
