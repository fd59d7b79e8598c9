"""What a job leaves in its place: the result, the rows and the pictures, of one session and the same each time."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from analyzer import cli, job
from analyzer.contract import Table
from analyzer.errors import ExitCode
from analyzer.schemas import analysis_schema
from tests.unit.analyzer.job_parts import ClipMaker, SetMaker, events, seeing_one_person


def run_twice(tmp_path: Path) -> list[dict[str, Any]]:
    documents = []
    for _ in range(2):
        assert cli.main(["batch"]) == ExitCode.OK
        documents.append(json.loads((tmp_path / "out" / "result.json").read_text()))
    return documents


@pytest.mark.usefixtures("one_person")
def test_result_follows_its_schema_and_is_the_same_each_time(
    environment: Callable[..., None], channel_networks: Path, mark_set: SetMaker, tmp_path: Path
) -> None:
    digest = mark_set(channel_networks)
    environment(MODEL_SET=digest)
    first, second = run_twice(tmp_path)
    jsonschema.validate(first, analysis_schema(), cls=jsonschema.Draft202012Validator)
    assert first == second, "what is finished is not done again"
    environment(MODEL_SET=digest, SESSION_ID="session-2", RESULT_URL=str(tmp_path / "other"))
    assert cli.main(["batch"]) == ExitCode.OK
    other = json.loads((tmp_path / "other" / "result.json").read_text())
    own = dict.fromkeys(("session_id", "timings", "timeline", "resources"))
    assert other | own == first | own
    assert (first["status"], first["models"]["digest"]) == ("succeeded", digest)
    (track,) = first["tracks"]
    assert (track["label"], track["sightings"], track["attribute_samples"]) == ("person", 4, 4)
    # The face lies in the blue upper half, which the networks of this test call 20 and female.
    assert track["age"]["mean"] == pytest.approx(20, abs=0.2)
    assert track["gender"] == {"value": "female", "confidence": 1.0}
    for name in track["thumbnails"].values():
        assert (tmp_path / "out" / name).read_bytes()[:2] == b"\xff\xd8"


@pytest.mark.usefixtures("one_person")
def test_rows_carry_the_session(
    environment: Callable[..., None], channel_networks: Path, mark_set: SetMaker, tmp_path: Path
) -> None:
    mark_set(channel_networks)
    environment()
    document = run_twice(tmp_path)[1]
    rows = {table: events((tmp_path / "out" / f"{table}.jsonl").read_text()) for table in Table}
    assert document["stored"] == {"store": "jsonl", "rows": {table: len(rows[table]) for table in Table}}
    assert {row["session_id"] for table in Table for row in rows[table]} == {"session-1"}
    assert len(rows[Table.DETECTIONS]) == 8
    assert len(rows[Table.EMBEDDINGS][0]["v"]) == rows[Table.EMBEDDINGS][0]["dimension"] == 176


@pytest.mark.usefixtures("one_person")
@pytest.mark.parametrize("table", [Table.DETECTIONS, Table.EMBEDDINGS])
def test_result_of_rows_that_are_gone_is_not_published_again(
    table: Table, environment: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environment()
    assert cli.main(["batch"]) == ExitCode.OK
    before = (tmp_path / "out" / "result.json").read_bytes()
    rows = tmp_path / "out" / f"{table}.jsonl"
    rows.write_bytes(b"")
    capsys.readouterr()
    assert cli.main(["batch"]) == ExitCode.MISMATCH
    assert capsys.readouterr().err.startswith(f"error[table-damaged]: `{rows}` is damaged: it holds 0 rows")
    assert (tmp_path / "out" / "result.json").read_bytes() == before


def test_place_of_another_sessions_result_is_refused(
    environment: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where its rows are in a database, so that only its result is there."""
    environment()
    assert cli.main(["batch"]) == ExitCode.OK
    result, work = tmp_path / "out" / "result.json", tmp_path / "out" / "work"
    before = result.read_bytes()
    for _ in ("folder", "database"):
        environment(SESSION_ID="session-2")
        capsys.readouterr()
        assert cli.main(["batch"]) == ExitCode.USAGE
        said = capsys.readouterr().err
        assert said.startswith("error[place-taken]: ")
        assert "holds the session `session-1`, and this one is `session-2`" in said
        assert result.read_bytes() == before
        shutil.rmtree(work, ignore_errors=True)


def test_result_and_the_pictures_beside_it_are_of_the_same_work(
    environment: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def pictures() -> list[str]:
        return sorted(path.name for path in (tmp_path / "out" / "thumbnails").iterdir())

    environment(BACKEND="null")
    (tmp_path / "out" / "thumbnails").mkdir(parents=True)
    (tmp_path / "out" / "thumbnails" / "own.jpg").touch()
    with monkeypatch.context() as patch:
        patch.setattr(job, "choose_backends", seeing_one_person)
        assert cli.main(["batch"]) == ExitCode.OK
    assert pictures() == ["own.jpg", "scene-0001.jpg", "track-0001-face.jpg", "track-0001-person.jpg"]
    with monkeypatch.context() as patch:
        patch.setattr(job, "analyse", lambda *_: {}["broken"])
        assert cli.main(["batch"]) == ExitCode.BUG
    told = [each["step"] for each in events(capsys.readouterr().out) if "detail" in each]
    assert told == ["models", "fetch", "analyse", "publish", "models", "replaces", "fetch", "analyse"]
    assert not (tmp_path / "out" / "result.json").exists(), "its rows are gone"
    assert cli.main(["batch"]) == ExitCode.OK
    assert pictures() == ["own.jpg", "scene-0001.jpg"]
    (tmp_path / "out" / "thumbnails" / "scene-0001.jpg").unlink()
    assert cli.main(["batch"]) == ExitCode.MISMATCH


def test_without_models_the_job_runs_and_says_so(
    environment: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environment()
    assert cli.main(["batch"]) == ExitCode.OK
    document = json.loads((tmp_path / "out" / "result.json").read_text())
    jsonschema.validate(document, analysis_schema(), cls=jsonschema.Draft202012Validator)
    assert document["backend"]["attributes"] == {"name": "none"}
    assert document["models"]["digest"] is document["models"]["read_only"] is None
    log = events(capsys.readouterr().out)
    assert [each["step"] for each in log if "detail" in each] == ["models", "fetch", "analyse", "publish"]
    assert (log[-1]["event"], log[-1]["status"]) == ("finished", "succeeded")


def test_timeline_holds_the_moments_of_the_job_in_their_order(environment: Callable[..., None], tmp_path: Path) -> None:
    environment()
    before_ms = time.time_ns() // 1_000_000
    assert cli.main(["batch"]) == ExitCode.OK
    document = json.loads((tmp_path / "out" / "result.json").read_text())
    moments = document["timeline"]
    assert [*moments] == ["begun_ms", "models_ms", "first_frame_ms", "done_ms"]
    in_order = [before_ms, *moments.values(), time.time_ns() // 1_000_000]
    assert in_order == sorted(in_order)
    assert moments["done_ms"] - moments["begun_ms"] == pytest.approx(document["timings"]["total_ms"], abs=2)


def test_document_of_an_earlier_version_still_follows_the_schema(
    environment: Callable[..., None], tmp_path: Path
) -> None:
    environment()
    assert cli.main(["batch"]) == ExitCode.OK
    document = json.loads((tmp_path / "out" / "result.json").read_text())
    del document["timeline"]
    jsonschema.validate(document, analysis_schema(), cls=jsonschema.Draft202012Validator)


def test_without_a_result_url_the_document_is_in_the_log(
    environment: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    environment(RESULT_URL="")
    assert cli.main(["batch"]) == ExitCode.OK
    (result,) = [each["result"] for each in events(capsys.readouterr().out) if each["event"] == "result"]
    jsonschema.validate({**result, "detections": []}, analysis_schema(), cls=jsonschema.Draft202012Validator)


def test_damaged_video_is_partial(environment: Callable[..., None], make_clip: ClipMaker, tmp_path: Path) -> None:
    path = make_clip("cut.mp4", frame_count=60, noise=60)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    environment(VIDEO_URL=f"file://{path}")
    assert cli.main(["batch"]) == ExitCode.OK
    document = json.loads((tmp_path / "out" / "result.json").read_text())
    assert document["status"] == "partial"
    assert document["coverage"]["decoded_ms"] < document["coverage"]["total_ms"] == 6000
