"""What an instance of an AMI does with its user data: fetch, check, report, shut down."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from packer.boot import BootVariables

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="`curl` is not installed")
TOKEN = "t" * 1500  # of temporary credentials, in every URL


class Instance:
    """Folders in the place of the instance and of the bucket."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.report = folder / "report.json"
        for name, text in {"models.tsv": "list", "marker.json": "marker"}.items():
            (folder / name).write_text(text)
        (folder / "bin").mkdir()
        (folder / "bin/shutdown").write_text(f"#!/bin/sh\necho $* >> {folder}/shutdown\n")
        (folder / "bin/shutdown").chmod(0o755)

    def boot(self, check: str, *, limit_s: int = 10) -> dict[str, Any]:
        """What it reports when `check` is the script that the bake ran."""
        (self.folder / "check.sh").write_text(check)
        variables = BootVariables(
            check_url=self.url("check.sh"),
            model_list_url=self.url("models.tsv"),
            model_marker_url=self.url("marker.json"),
            report_url=self.url("report.json"),
            limit_s=limit_s,
        )
        environment = {"PATH": f"{self.folder}/bin:{os.environ['PATH']}", "WORK": str(self.folder)}
        subprocess.run(["bash", "-c", variables.user_data()], check=False, env=environment, capture_output=True)
        assert (self.folder / "shutdown").read_text() == "-h now\n"
        assert not list(self.folder.glob("capctl-boot.*"))
        report: dict[str, Any] = json.loads(self.report.read_text())
        return report

    def url(self, name: str) -> str:
        return f"file://{self.folder}/{name}"


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    return Instance(tmp_path)


def test_evidence_of_the_check_is_the_report(instance: Instance) -> None:
    check = 'printf \'{"root":"%s","list":"%s","marker":"%s"}\' "$MODEL_ROOT" "$(cat "$MODEL_LIST")" "$(cat "$MODEL_MARKER")" >"$EVIDENCE"'
    assert instance.boot(check) == {"root": "/opt/dl-models", "list": "list", "marker": "marker"}


@pytest.mark.parametrize(
    ("check", "line"),
    [
        (
            "echo find: trouble >&2; echo 'capctl-bake: payload-mismatch: models/a \"b\\c\": missing' >&2; exit 1",
            'capctl-bake: payload-mismatch: models/a "b\\c": missing',
        ),
        ("printf 'capctl-bake: leftover: a\\nb\\tc: x' >&2; exit 1", "capctl-bake: leftover: a?b?c: x"),
        ("echo no space left; exit 3", "capctl-bake: check-failed: status 3: no space left"),
        ("exec sleep 30", "capctl-bake: check-failed: status 124: "),
    ],
)
def test_failure_of_the_check_is_one_line_of_the_report(instance: Instance, check: str, line: str) -> None:
    assert instance.boot(check, limit_s=1) == {"schema": "capctl.boot-failure/1", "line": line}


def test_input_that_cannot_be_read_is_named(instance: Instance) -> None:
    (instance.folder / "marker.json").unlink()
    assert instance.boot("exit 0")["line"] == "capctl-bake: input-unreadable: MODEL_MARKER: curl ended with status 37"


def test_user_data_stays_far_below_the_limit_of_ec2() -> None:
    url = f"https://b.s3.us-west-2.amazonaws.com/boots/{'r' * 60}/check.sh?X-Amz-Security-Token={TOKEN}&{'s' * 300}"
    variables = BootVariables(check_url=url, model_list_url=url, model_marker_url=url, report_url=url, limit_s=3600)
    assert len(variables.user_data().encode()) < 12_000
