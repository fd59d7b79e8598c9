"""What the pipeline measures of itself, and how it leaves the process."""

from __future__ import annotations

import io
import json
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analyzer import cli
from analyzer.commands.job import report_success
from analyzer.contract import ExitCode
from analyzer.emf import LABELS, UNITS, documents
from analyzer.errors import Interrupted
from analyzer.exposition import exposition, serve_metrics
from analyzer.interrupt import StopRequest
from analyzer.metrics import Metrics
from analyzer.progress import Advance, Progress
from analyzer.readings import SERVICE, VALUES_MAX, Metric, Reading

PIPELINE = set(Metric) - set(SERVICE)


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def values(readings: list[Reading]) -> dict[tuple[str, str], tuple[float, ...]]:
    return {(str(each.name), each.label): tuple(round(value, 6) for value in each.values) for each in readings}


@pytest.fixture
def laps() -> list[dict[tuple[str, str], tuple[float, ...]]]:
    return []


def measured(clock: Clock, laps: list[Any]) -> Metrics:
    """Ten seconds: two detectors overlap for 1 of 3 busy seconds, then two captions of 1 s each."""
    metrics = Metrics(clock=clock, on_lap=lambda readings: laps.append(values(list(readings))))
    metrics.cold_start("models", 2.5)
    clock.now_s += 50
    metrics.begin()
    first, second = metrics.model("detector", 8), metrics.model("detector", 4)
    first.__enter__()
    clock.now_s += 1
    second.__enter__()
    clock.now_s += 1
    first.__exit__(None, None, None)
    clock.now_s += 1
    second.__exit__(None, None, None)
    metrics.batch(8, 8)
    metrics.batch(4, 8)
    for waiting in (10, 30, 20):
        metrics.queued("detector", waiting)
    for _ in range(2):
        with metrics.caption():
            clock.now_s += 1
    clock.now_s += 5
    metrics.decoded(frames=250, errors=3)
    metrics.committed()
    metrics.gpu_free(7 << 30)
    return metrics


def test_a_lap_s_rates_are_of_its_time_and_overlapping_work_counts_once(laps: list[Any]) -> None:
    clock = Clock()
    metrics = measured(clock, laps)
    metrics.lap()
    assert laps == [
        {
            ("segments_committed", ""): (1,),
            ("decode_errors", ""): (3,),
            ("decode_fps", ""): (25.0,),
            ("batch_fill_ratio", ""): (0.75,),
            ("gpu_mem_free", ""): (7 << 30,),
            ("caption_seconds", ""): (1.0, 1.0),
            ("queue_bytes", "detector"): (30,),
            ("cold_start_seconds", "models"): (2.5,),
            ("stage_busy_ratio", "detector"): (0.3,),
            ("infer_fps", "detector"): (4.0,),
            ("stage_busy_ratio", "captioner"): (0.2,),
            ("infer_fps", "captioner"): (1.0,),
        }
    ]
    assert {name for name, _ in laps[0]} == PIPELINE
    assert metrics.busy_ratio("detector") == 1.0
    assert metrics.busy_ratio("never") == 0.0


def test_work_that_goes_on_over_a_lap_s_end_counts_in_both(laps: list[Any]) -> None:
    clock = Clock()
    metrics = Metrics(clock=clock, on_lap=lambda readings: laps.append(values(list(readings))))
    metrics.begin()
    with metrics.stage("closer"):
        clock.now_s += 2
        metrics.lap()
        clock.now_s += 2
    clock.now_s += 6
    metrics.lap()
    assert [lap["stage_busy_ratio", "closer"] for lap in laps] == [(1.0,), (0.25,)]


def test_shares_are_of_the_whole_segment_and_neither_a_job_s_end_nor_idle_time_changes_them(laps: list[Any]) -> None:
    clock = Clock()
    metrics = Metrics(clock=clock, on_lap=lambda readings: laps.append(values(list(readings))))

    def segment() -> None:
        with metrics.stage("detector"):
            clock.now_s += 6
        with metrics.stage("closer"):
            clock.now_s += 2
            metrics.committed()
            metrics.lap()
            clock.now_s += 1

    expected = {("stage_busy_ratio", "detector"): (0.75,), ("stage_busy_ratio", "closer"): (0.25,)}
    for _ in range(2):
        metrics.begin()
        segment()
        metrics.end()
        clock.now_s += 1000
        assert expected.items() <= values(metrics.readings()).items()
    assert [lap["segments_committed", ""] for lap in laps] == [(1,), (1,)]
    metrics.begin()
    with metrics.stage("detector"):
        clock.now_s += 2
    metrics.decoded(frames=8, errors=1)
    metrics.end()
    assert (laps[-1]["decode_fps", ""], laps[-1]["stage_busy_ratio", "detector"]) == ((4,), (1,)), (
        "cut off, and counted"
    )


def test_emf_documents_are_what_cloudwatch_reads() -> None:
    clock, found = Clock(), []
    metrics = measured(clock, [])
    metrics._on_lap = found.extend
    metrics.lap()
    lines = documents(found, backend="opencv", now_ms=1_700_000_000_000)
    seen = set()
    for document in lines:
        aws = document["_aws"]
        assert aws["Timestamp"] == 1_700_000_000_000
        (directive,) = aws["CloudWatchMetrics"]
        (dimensions,) = directive["Dimensions"]
        assert dimensions[0] == "backend"
        assert set(dimensions) <= {"backend", *LABELS.values()}
        assert all(isinstance(document[name], str) for name in dimensions)
        for metric in directive["Metrics"]:
            value = document[metric["Name"]]
            assert all(isinstance(each, int | float) for each in (value if isinstance(value, list) else [value]))
            assert metric["Unit"] == UNITS[Metric(metric["Name"])]
            seen.add((metric["Name"], *(document[name] for name in dimensions[1:])))
        assert set(document) == {"_aws", *dimensions, *(metric["Name"] for metric in directive["Metrics"])}
    assert seen == {(str(each.name), *([each.label] if each.label else [])) for each in found}


def test_cloudwatch_s_limit_of_values_is_kept() -> None:
    clock, found = Clock(), []
    metrics = Metrics(clock=clock, on_lap=found.extend)
    for _ in range(150):
        with metrics.caption():
            clock.now_s += 1
    metrics.lap()
    (captions,) = [each for each in found if each.name is Metric.CAPTION_SECONDS]
    assert (len(captions.values), captions.total, captions.count) == (VALUES_MAX, 150, 150)


def test_prometheus_reads_the_exposition_and_counters_go_on() -> None:
    parser = pytest.importorskip("prometheus_client.parser")
    clock = Clock()
    metrics = measured(clock, [])
    metrics.lap()
    metrics.decoded(frames=10, errors=2)
    metrics.committed()
    metrics.lap()
    server = serve_metrics("127.0.0.1", 0, metrics.readings)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_address[1]}/metrics", timeout=10) as answer:
            assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
            text = answer.read().decode()
    finally:
        server.shutdown()
        server.server_close()
    assert text == exposition(metrics.readings())
    families = {family.name: family for family in parser.text_string_to_metric_families(text)}
    assert set(families) == {f"analyzer_{metric}" for metric in PIPELINE}
    found = {(each.name, *each.labels.values()): each.value for family in families.values() for each in family.samples}
    assert found["analyzer_segments_committed_total",] == 2
    assert found["analyzer_decode_errors_total",] == 5
    assert found["analyzer_caption_seconds_sum",] == found["analyzer_caption_seconds_count",] == 2
    assert found["analyzer_cold_start_seconds", "models"] == 2.5
    assert {families[f"analyzer_{name}"].type for name in ("segments_committed", "caption_seconds", "decode_fps")} == {
        "counter", "summary", "gauge"
    }  # fmt: skip


def test_a_batch_job_writes_its_metrics_into_its_log_without_its_session_in_a_dimension(
    make_clip: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"VIDEO_URL": str(make_clip()), "SESSION_ID": "session-1", "RESULT_URL": str(tmp_path / "out")}
    for name, value in {**values, "MODEL_ROOT": str(tmp_path / "none"), "BACKEND": "null"}.items():
        monkeypatch.setenv(name, value)
    assert cli.main(["batch"]) == ExitCode.OK
    log = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = [each for each in log if "_aws" in each]
    assert {each["event"] for each in told} == {"metrics"}
    names = {metric["Name"] for each in told for metric in each["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert names == PIPELINE - {Metric.GPU_MEM_FREE, Metric.CAPTION_SECONDS} | (names & {Metric.GPU_MEM_FREE})
    assert {name for each in told for name in each["_aws"]["CloudWatchMetrics"][0]["Dimensions"][0]} == {
        "backend", "model", "stage", "phase"
    }  # fmt: skip
    assert sum(each.get("segments_committed", 0) for each in told) == 1
    assert {each["phase"] for each in told if "cold_start_seconds" in each} == {"models", "fetch", "first_frame"}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_has_one_line_that_is_rewritten_with_pace_and_remaining_time() -> None:
    clock, stream = Clock(), Terminal()
    progress = Progress(stream, clock=clock)
    progress.step("analyse", "clip")
    for second in range(5):
        progress.percent(second, 10, frames=250 * second)
        progress.percent(second, 10, frames=250 * second)
        clock.now_s += 1
    progress.event("finished", text="succeeded")
    head, body, tail, _ = stream.getvalue().split("\n")
    shown = body.split("\r\x1b[K")
    assert head.startswith("analyse    clip")
    assert [each[:15] for each in shown] == [f"analyse    {10 * tenth:>3}%" for tenth in range(5)]
    assert shown[-1] == "analyse     40%  250 fps  0:06 left  4.0s"
    assert tail == "succeeded  5.0s"


def test_a_terminal_is_told_the_session_that_a_search_names() -> None:
    stream = Terminal()
    document = {
        "session_id": "clip-1",
        "status": "succeeded",
        "tracks": [{}],
        "scenes": [],
        "stored": {"rows": {"analysis_detections": 2}},
        "models": {"digest": None},
        "backend": {"attributes": {"name": "none"}},
    }
    report_success(Progress(stream, clock=Clock()), document, "out")
    assert stream.getvalue() == "succeeded: 1 track, 2 detections, attributes none, session clip-1 -> out  0.0s\n"


def test_what_another_writes_on_a_terminal_begins_a_new_line() -> None:
    for leave in (Progress.end_line, lambda progress: progress.event("failed", code="interrupted")):
        stream = Terminal()
        progress = Progress(stream, clock=Clock())
        progress.percent(10, 10)
        leave(progress)
        leave(progress)
        assert stream.getvalue().endswith("100%  0.0s\n")
        assert stream.getvalue().count("\n") == 1


def test_who_watches_is_told_every_advance_and_may_end_the_work_there() -> None:
    clock, stop, seen = Clock(), StopRequest(), []

    def watch(advance: Advance) -> None:
        seen.append(advance)
        stop.check()

    progress = Progress(io.StringIO(), clock=clock, watch=watch)
    progress.step("analyse")
    progress.attempt(3)
    progress.percent(0, 0)
    clock.now_s += 2
    progress.percent(5, 20, frames=100)
    assert seen[1] == Advance(step="analyse", attempt=3)
    assert seen[2] == Advance(step="analyse", percent=25, fps=50, eta_s=6, attempt=3)
    other = threading.Thread(target=stop.request, args=("a request to cancel",))
    other.start()
    other.join()
    with pytest.raises(Interrupted, match="a request to cancel"):
        progress.percent(6, 20)
