"""`analyzer export`: a published result in another's shape, and what is said of one that cannot be read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from analyzer import cli
from analyzer.errors import ExitCode
from analyzer.schemas import rekognition_schema
from tests.fakes.analyses import analysis


def publish(folder: Path, document: object) -> Path:
    (folder / "result.json").write_text(document if isinstance(document, str) else json.dumps(document))
    return folder


def exported(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    assert cli.main(["export", *map(str, arguments), "--format", "rekognition"]) == ExitCode.OK
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, rekognition_schema(), cls=jsonschema.Draft202012Validator)
    return document


def test_tracks_have_the_shape_of_person_tracking(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = exported(capsys, publish(tmp_path, analysis()))
    assert document["StatusMessage"].startswith("8000 of 10000 ms were decoded")
    assert document["VideoMetadata"]["DurationMillis"] == 10_000
    seen = [(each["Timestamp"], each["Person"]["Index"]) for each in document["Persons"]]
    assert seen == sorted(seen)
    assert len(seen) == 12, "nine sightings of one track and three of the other; the stray box belongs to none"
    both = next(each["Person"] for each in document["Persons"] if each["Timestamp"] == 500)
    assert both["BoundingBox"] == {"Left": 0.05, "Top": 0.3, "Width": 0.2, "Height": 0.5}
    assert both["Face"]["AgeRange"] == {"Low": 28, "High": 44}
    assert both["Face"]["Gender"] == {"Value": "Female", "Confidence": 98.0}
    face = next(each["Person"] for each in document["Persons"] if each["Person"]["Index"] == 2)
    assert [*face] == ["Index", "Face"]
    assert [*face["Face"]] == ["BoundingBox"]


def test_what_is_not_known_is_absent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = analysis()["video"] | {"duration_ms": None, "fps": None}
    publish(tmp_path, analysis(status="succeeded", video=video, tracks=[], detections=[]))
    document = exported(capsys, tmp_path / "result.json")
    assert document["Persons"] == []
    assert {"DurationMillis", "FrameRate", "StatusMessage"}.isdisjoint([*document, *document["VideoMetadata"]])


def test_out_writes_a_file_and_says_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "tracks.json"
    publish(tmp_path, analysis())
    assert cli.main(["export", str(tmp_path), "--format", "rekognition", "--out", str(out)]) == ExitCode.OK
    assert (capsys.readouterr().out, len(json.loads(out.read_text())["Persons"])) == ("", 12)
    assert cli.main(["export", str(tmp_path), "--format", "rekognition", "--out", "/dev/null/x"]) == ExitCode.MISMATCH
    assert capsys.readouterr().err.startswith("error[result-not-written]: `/dev/null` cannot be written")


def test_a_reader_that_has_seen_enough_is_no_fault(tmp_path: Path) -> None:
    publish(tmp_path, analysis(detections=analysis()["detections"] * 200))
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "analyzer", "export", str(tmp_path), "--format", "rekognition"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (ExitCode.OK, "")


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (None, "result-missing"),
        ("{", "result-malformed"),
        ("[" * 100_000, "result-malformed"),
        ([], "result-not-ours"),
        ({"schema": "capctl.analysis/2"}, "result-not-ours"),
        ({"schema": "capctl.analysis/1"}, "result-malformed"),
        (analysis(detections=[{"track": 1}]), "result-malformed"),
        (analysis(tracks="none"), "result-malformed"),
        (analysis(tracks=[]), "result-malformed"),
        (analysis(video=None), "result-malformed"),
    ],
)
@pytest.mark.parametrize("command", [["export", "--format", "rekognition"], ["report", "--html", "page.html"]])
def test_a_result_that_cannot_be_read_is_bad_input(
    command: list[str], document: object, code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if document is not None:
        publish(tmp_path, document)
    assert cli.main([command[0], str(tmp_path), *command[1:]]) == ExitCode.INPUT
    assert capsys.readouterr().err.startswith(f"error[{code}]: ")
