"""A rehearsal's report says what was simulated and why, in the table's footnotes and in report.json."""

from __future__ import annotations

import io
import json
from importlib.metadata import version
from pathlib import Path

from lifecycle.adapters.terminal import TerminalUi
from lifecycle.rehearsal.recorder import Recorder
from lifecycle.rehearsal.report import Kind, Report
from tests.fakes.ui import FakeUi

WHY = "containers: no container engine"


def report() -> Report:
    record = Recorder(FakeUi())
    for name, why in (("bake", None), ("deploy", WHY), ("smoke", WHY)):
        with record.step(name, None, why) as step:
            step.result = "done"
    return Report(ok=True, seconds=1.0, peak_rss_bytes=5, steps=tuple(record.rows))


def test_step_with_a_stand_in_is_simulated() -> None:
    assert [row.kind for row in report().steps] == [Kind.REAL, Kind.SIMULATED, Kind.SIMULATED]


def test_each_reason_is_one_footnote() -> None:
    *_, last = report().footnotes()
    assert last == f"simulated {WHY}"
    assert report().markdown().count(WHY) == 1


def test_page_says_what_real_means_and_what_stood_in_for_aws() -> None:
    meaning, aws = report().footnotes()[:2]
    assert meaning.startswith("`real`: ")
    assert f"moto {version('moto')}" in aws
    assert meaning in report().markdown()
    assert aws in report().markdown()


def test_lines_of_the_steps_are_the_rows_of_one_table() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), "utf-8")
    record = Recorder(TerminalUi(stream=stream, environment={}))
    record.head()
    for name, why in (("bake", None), ("one-line change, image push", WHY)):
        with record.step(name, why) as step:
            step.result = "done"
    stream.seek(0)
    head, *lines = stream.read().splitlines()
    for word, found in (("kind", ("real", "simulated")), ("result", ("done", "done"))):
        assert [line.find(one) for line, one in zip(lines, found, strict=True)] == [head.find(word)] * 2


def test_json_keeps_its_members_and_tells_the_reason_in_the_result(tmp_path: Path) -> None:
    report().write(tmp_path)
    document = json.loads((tmp_path / "report.json").read_text())
    assert document.pop("schema") == "capctl.rehearsal/1"
    assert set(document) == {"ok", "seconds", "peak_rss_bytes", "steps"}
    assert [set(step) for step in document["steps"]] == [{"name", "seconds", "kind", "result"}] * 3
    assert [step["result"] for step in document["steps"]] == [
        "done",
        f"done; simulated {WHY}",
        f"done; simulated {WHY}",
    ]
