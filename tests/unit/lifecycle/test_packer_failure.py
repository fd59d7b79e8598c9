"""Why a bake failed, told from what Packer wrote: the files in packer_outputs are the output of both Packers on an emulator."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from lifecycle.adapters.packer_failure import failure, timed_out
from lifecycle.adapters.packer_leftovers import BakeTraces
from lifecycle.adapters.packer_output import parse
from lifecycle.errors import CapctlError, ExitCode, TimedOut

OUTPUTS = Path(__file__).with_name("packer_outputs")
PACKERS = sorted(folder.name for folder in OUTPUTS.iterdir())
TOLD = {
    "ami-pending": ("ami-pending", ExitCode.TIMED_OUT),
    "denied": ("permission-denied", ExitCode.DENIED),
    "expired-at-end": ("credentials-expired", ExitCode.DENIED),
    "expired-at-start": ("credentials-expired", ExitCode.DENIED),
    "name-taken": ("ami-name-taken", ExitCode.FAILED),
    "no-capacity": ("no-capacity", ExitCode.INCONCLUSIVE),
    "no-profile": ("bake-failed", ExitCode.FAILED),
    "no-such-type-in-zone": ("no-capacity", ExitCode.INCONCLUSIVE),
    "payload-mismatch": ("payload-mismatch", ExitCode.FAILED),
    "quota": ("quota-reached", ExitCode.FAILED),
    "throttled": ("aws-throttled", ExitCode.INCONCLUSIVE),
}


def told(output: Iterable[str]) -> CapctlError:
    records = [parse(line) for line in output]
    lines = [record.text for record in records if record and (record.kind or record.type == "error")]
    return failure(lines, ami_name="vision-models-1", region="us-west-2", log=Path("bake.log"))


def output_of(packer: str, name: str) -> list[str]:
    return (OUTPUTS / packer / f"{name}.txt").read_text().splitlines()


def test_outputs_of_both_packers_are_of_the_same_failures() -> None:
    assert PACKERS == ["1.12.0", "1.6.6"]
    for packer in PACKERS:
        assert {file.stem for file in (OUTPUTS / packer).iterdir()} == set(TOLD) | {"baked"}


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("name", TOLD)
def test_failure_is_told_by_what_each_packer_writes(packer: str, name: str) -> None:
    error = told(output_of(packer, name))
    assert (error.code, error.exit_code) == TOLD[name]
    assert error.hint


@pytest.mark.parametrize("packer", PACKERS)
def test_ami_that_packer_gave_up_is_named(packer: str) -> None:
    output = output_of(packer, "ami-pending")
    traces = BakeTraces()
    for record in map(parse, output):
        traces.look(record.text if record else "")
    (ami,) = traces.amis
    assert f"`{ami}`" in told(output).message


@pytest.mark.parametrize("packer", PACKERS)
def test_failed_provisioner_shows_the_end_of_its_own_output(packer: str) -> None:
    output = output_of(packer, "payload-mismatch")
    assert told(output).details == (
        "capctl-bake: payload-mismatch: models/a.onnx: 3000 bytes, expected 3001",
        "xargs: bash: exited with status 255; aborting",
    )
    start = next(number for number, line in enumerate(output) if "Provisioning with shell script" in line)
    chatter = [f"1795288004,,ui,message,    amazon-ebs.models: line {number}" for number in range(40)]
    script = [line for line in output if "capctl-bake" not in line]
    error = told([*script[: start + 1], *chatter, *script[start + 1 :]])
    assert (
        error.message == "Provisioner `install-models.sh` of AMI `vision-models-1` in us-west-2 ended with status 124"
    )
    assert len(error.details) == 30
    assert error.details[-2:] == ("line 39", "xargs: bash: exited with status 255; aborting")


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
        (
            "Packer experienced an authentication error when trying to connect via SSH. This can happen if your username/password "
            "are wrong. original error: ssh: handshake failed: ssh: unable to authenticate, attempted methods [none publickey]",
            "instance-unreachable",
            ExitCode.TIMED_OUT,
        ),
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


@pytest.mark.parametrize("packer", PACKERS)
def test_reason_is_said_once_and_without_packers_chatter(packer: str) -> None:
    details = told(output_of(packer, "no-profile")).details
    assert sum("Couldn't find specified instance profile" in line for line in details) == 1
    assert not any("Wait completed" in line or "Builds finished" in line for line in details)


def test_refused_login_names_the_user() -> None:
    error = failure(["ssh: handshake failed: EOF"], ami_name="n", region="us-west-2", log=Path("bake.log"))
    assert "`ami.ssh_username`" in error.hint


@pytest.mark.parametrize(
    ("phase", "advice"),
    [("Waiting for SSH to become available", "`ami.ssh_port`"), ("Waiting for AMI to become ready", "`ami.timeout_s`")],
)
def test_timeout_names_its_phase_and_the_log(phase: str, advice: str) -> None:
    error = timed_out(TimedOut("bake-timed-out", "The bake did not end within 60 s"), phase=phase, log=Path("bake.log"))
    assert error.code == "bake-timed-out"
    assert error.message == f"The bake did not end within 60 s; its last phase is `{phase}`"
    assert advice in error.hint
    assert "`bake.log`" in error.hint


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
    assert told(PROVISIONED.format(said=said, ended=ended).splitlines()).code == code


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
