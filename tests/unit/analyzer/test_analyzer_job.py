from __future__ import annotations

import io
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from analyzer import cli, job
from analyzer.backends.base import Backends, Confidence, Detection, Label, Pixels
from analyzer.backends.choose import choose_backends
from analyzer.contract import JobRequest, ModelSettings, Table
from analyzer.errors import DependencyDown, ExitCode, Interrupted, OutOfMemory, TriedTooOften
from analyzer.geometry import Box
from analyzer.interrupt import stop_signals_raise
from analyzer.manifest import ModelSet
from analyzer.progress import Progress
from analyzer.schemas import analysis_schema
from analyzer.tries import Tries

ClipMaker = Callable[..., Path]
SetMaker = Callable[..., str]


class OnePerson:
    """Sees one person with a face, always at the same place."""

    description: Mapping[str, object] = {"name": "opencv"}
    side_px = 640
    confidence = Confidence(high=1, low=1, new=1)

    def detect(self, pictures: Sequence[Pixels]) -> list[list[Detection]]:
        found = [
            Detection(label=Label.PERSON, box=Box(10, 10, 60, 100), score=1.25, source="hog-scan"),
            Detection(label=Label.FACE, box=Box(25, 15, 30, 30), score=50.0, source="haar-face"),
        ]
        return [found for _ in pictures]


def seeing_one_person(_name: str, model_set: ModelSet, settings: ModelSettings) -> Backends:
    return replace(choose_backends("null", model_set, settings), detector=OnePerson())


@pytest.fixture
def one_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "choose_backends", seeing_one_person)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, make_clip: ClipMaker, tmp_path: Path) -> Callable[..., None]:
    clip = make_clip()

    def use(**values: str) -> None:
        for name in list(os.environ):
            if name in {"DATABASE_URL", "RESULT_URL", "MODEL_SET", "SAMPLE_FPS"}:
                monkeypatch.delenv(name)
        defaults = {
            "VIDEO_URL": str(clip),
            "SESSION_ID": "session-1",
            "MODEL_ROOT": str(tmp_path / "root"),
            "RESULT_URL": str(tmp_path / "out"),
        }
        for name, value in {**defaults, **values}.items():
            monkeypatch.setenv(name, value)

    return use


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


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
    environment: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    assert [before_ms, *moments.values(), time.time_ns() // 1_000_000] == sorted(
        [before_ms, *moments.values(), time.time_ns() // 1_000_000]
    )
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


@pytest.mark.parametrize(
    ("values", "code", "exit_code"),
    [
        ({"SESSION_ID": ""}, "variable-missing", ExitCode.USAGE),
        ({"SAMPLE_FPS": "-1"}, "sample-fps-invalid", ExitCode.USAGE),
        ({"VIDEO_URL": "/nowhere/clip.mp4"}, "input-missing", ExitCode.INPUT),
        ({"VIDEO_URL": "/"}, "input-missing", ExitCode.INPUT),
        ({"MODEL_SET": "sha256:" + "0" * 64}, "model-set-absent", ExitCode.MISMATCH),
        ({"AGE_MODEL_PATH": "/nowhere/age.onnx"}, "model-missing", ExitCode.MISMATCH),
        ({"RESULT_URL": "/dev/null/out"}, "result-not-written", ExitCode.MISMATCH),
        ({"DATABASE_URL": "postgresql://u:hidden@127.0.0.1:1/x"}, "database-down", ExitCode.UNAVAILABLE),
        ({"DATABASE_URL": "postgresql://u:hidden@127.0.0.1:port/x"}, "database-url-invalid", ExitCode.MISMATCH),
        ({"DATABASE_URL": "mysql://u:hidden@127.0.0.1/x"}, "database-url-invalid", ExitCode.MISMATCH),
    ],
)
def test_each_fault_has_its_exit_code_and_no_traceback(
    values: dict[str, str],
    code: str,
    exit_code: ExitCode,
    environment: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    environment(**values)
    assert cli.main(["batch"]) == exit_code
    streams = capsys.readouterr()
    assert streams.err.startswith(f"error[{code}]: ")
    assert "Traceback" not in streams.err
    assert "hidden" not in streams.err + streams.out
    last = events(streams.out)[-1]
    assert (last["event"], last["code"], last["exit_code"]) == ("failed", code, exit_code)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments", [[], ["fly"], ["run"], ["run", "--video", "x", "--out", "y", "--fps", "many"]])
def test_bad_arguments_exit_64(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == ExitCode.USAGE
    assert capsys.readouterr().err.startswith("error[")


def test_a_fault_of_the_code_exits_70_in_one_line(
    environment: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("tracks")

    environment()
    monkeypatch.setattr(job, "analyse", broken)
    assert cli.main(["batch"]) == ExitCode.BUG
    streams = capsys.readouterr()
    assert streams.err.startswith("error[bug]: KeyError: 'tracks' (at ")
    assert "Traceback" not in streams.err
    line = broken.__code__.co_firstlineno + 1
    assert f"the job's own code, at `tests/unit/analyzer/test_analyzer_job.py:{line}`" in streams.err
    last = events(streams.out)[-1]
    assert (last["event"], last["code"], last["exit_code"]) == ("failed", "bug", 70)
    assert last["message"].startswith("KeyError: 'tracks' (at ")


def test_fault_in_a_package_is_told_by_the_line_of_the_job_that_led_to_it(
    environment: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment()
    monkeypatch.setattr(job, "analyse", lambda *_, **__: json.loads("{"))
    assert cli.main(["batch"]) == ExitCode.BUG
    assert "own code, at `tests/unit/analyzer/test_analyzer_job.py:" in capsys.readouterr().err


def test_stop_signal_exits_75_and_publishes_nothing(
    environment: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    def stopped(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)

    environment()
    monkeypatch.setattr(job.tempfile, "tempdir", str(scratch))
    monkeypatch.setattr(job, "analyse", stopped)
    assert cli.main(["batch"]) == ExitCode.INTERRUPTED
    assert list(scratch.iterdir()) == []
    assert not (tmp_path / "out" / "result.json").exists()


def test_signal_actions_are_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted), stop_signals_raise():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_percentages_are_told_once_per_ten() -> None:
    stream = io.StringIO()
    progress = Progress(stream, session_id="s", clock=lambda: 0.0)
    progress.step("analyse")
    for done in range(0, 1001, 5):
        progress.percent(done, 1000)
    progress.percent(5, 0)
    assert [each["percent"] for each in events(stream.getvalue()) if "percent" in each] == list(range(10, 101, 10))


def test_verify_prints_the_files_and_the_digest(
    channel_networks: Path, mark_set: SetMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = mark_set(channel_networks)
    assert cli.main(["models", "verify", "--root", str(channel_networks), "--set", digest]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == digest
    assert "models/age-v1.onnx  (no licence stated; no permitted use stated)" in lines[0]
    assert cli.main(["models", "verify", "--root", str(channel_networks / "models")]) == ExitCode.MISMATCH


def test_attempts_in_vain_are_counted_until_one_commits_and_are_no_more_than_allowed(
    environment: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment(BACKEND="null")
    request = JobRequest.from_environment(os.environ)
    analyzer = job.Analyzer.load(request, Progress(io.StringIO()))

    def attempt(most: int | None, error: BaseException | None, expected: type[BaseException]) -> int | None:
        def ended(*_: object) -> None:
            assert error
            raise error

        tries = Tries(most=most)
        with monkeypatch.context() as patch:
            patch.setattr(job, "analyse", ended)
            with pytest.raises(expected):
                analyzer.run(request, Progress(io.StringIO()), tries=tries)
        return tries.count

    down = DependencyDown("x", "x")
    assert attempt(None, down, DependencyDown) == 1
    assert attempt(2, Interrupted("SIGTERM"), Interrupted) == 2
    assert attempt(2, OutOfMemory("x", "x"), OutOfMemory) == 2, "that one was told to stop"
    assert attempt(2, None, TriedTooOften) == 3
    tries = Tries(most=9)
    assert analyzer.run(request, Progress(io.StringIO()), tries=tries)["status"] == "succeeded"
    assert tries.count == 0
