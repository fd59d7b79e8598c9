"""The environment of a stage that was kept."""

from __future__ import annotations

import subprocess

from lifecycle.rehearsal.perform import Outcome
from lifecycle.rehearsal.report import Report

REPORT = Report(ok=True, seconds=1.0, peak_rss_bytes=1, steps=())
ODD = {"A": "plain", "B": "two words; $(touch no) 'x' \"y\"", "C": "line\nbreak"}


def test_export_lines_give_a_shell_the_environment_as_it_is() -> None:
    exports = Outcome(report=REPORT, environment=ODD, failure=None).exports()
    script = f"AWS_PROFILE=mine\n{exports}\nexec env --null"
    printed = subprocess.run(
        ["sh", "-c", 'eval "$0"', script], capture_output=True, text=True, check=True, env={}
    ).stdout
    found = dict(line.split("=", 1) for line in printed.split("\0") if line)
    assert {name: found.get(name) for name in ODD} == ODD
    assert "AWS_PROFILE" not in found


def test_document_holds_the_environment_of_a_kept_stage_only() -> None:
    kept = Outcome(report=REPORT, environment=ODD, failure=None)
    ended = Outcome(report=REPORT, environment=None, failure=None)
    assert kept.document() == {**ended.document(), "environment": ODD}
    assert ended.document() == REPORT.document()
    assert ended.exports() == ""
