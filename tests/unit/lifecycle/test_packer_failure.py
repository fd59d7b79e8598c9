"""Why a bake failed, told from what Packer wrote: the files in packer_outputs are the output of both Packers on an emulator."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from lifecycle.adapters.packer_failure import failure
from lifecycle.adapters.packer_leftovers import BakeTraces
from lifecycle.adapters.packer_output import parse
from lifecycle.errors import CapctlError, ExitCode

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
