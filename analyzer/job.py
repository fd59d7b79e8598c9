"""One job from request to stored result; every door calls `run`."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from analyzer import result, transfer
from analyzer.backends.appearance import AppearanceEmbedder
from analyzer.backends.choose import choose_attributes, choose_detector
from analyzer.contract import RESULT_NAME, THUMBNAIL_FOLDER, JobRequest
from analyzer.errors import DependencyDown
from analyzer.manifest import check_model_set
from analyzer.pipeline import Analysis, analyse
from analyzer.progress import Progress
from analyzer.store.jsonl import JsonLinesStore
from analyzer.store.rows import SessionRows, rows_of
from analyzer.video import probe


class Store(Protocol):
    def check(self) -> None:
        """Fail now if rows could not be stored later."""

    def replace(self, rows: SessionRows) -> dict[str, object]:
        """Store the rows in place of the session's old ones; returns the counts read back."""


class _Timings:
    """How long each part took, and at which moments the job came to a point.

    Moments count on from one look at the system's clock, so that they are in order even where that clock is set meanwhile.
    """

    def __init__(self) -> None:
        self._begin_s = time.monotonic()
        self._begin_ms = time.time_ns() // 1_000_000
        self.parts: dict[str, int] = {}
        self.moments: dict[str, int] = {"begun_ms": self._begin_ms}

    def reach(self, name: str) -> None:
        """The job is at a point now; the first time counts."""
        elapsed_ms = round(1000 * (time.monotonic() - self._begin_s))
        self.moments.setdefault(f"{name}_ms", self._begin_ms + elapsed_ms)

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        begin_s = time.monotonic()
        yield
        self.parts[f"{name}_ms"] = round(1000 * (time.monotonic() - begin_s))

    def all(self) -> dict[str, int]:
        return {**self.parts, "total_ms": round(1000 * (time.monotonic() - self._begin_s))}


def run(request: JobRequest, progress: Progress, *, backend: str = "opencv") -> result.Document:
    """Check the models, read the video, store the rows, publish the result; returns the result document.

    Nothing is stored or published unless the whole video was read; scratch files go away in every case.
    Raises: any `AnalyzerError`.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="analyzer-") as scratch:
            return _run(request, progress, backend, Path(scratch))
    except OSError as error:
        # What can be wrong with a given path is caught where it is used; what is left is the scratch space.
        reason = error.strerror or str(error)
        raise DependencyDown(
            "scratch-unusable", f"Scratch space failed: {reason}", hint="Check the job's disk and TMPDIR"
        ) from error


def _run(request: JobRequest, progress: Progress, backend: str, scratch: Path) -> result.Document:
    timings = _Timings()
    out = scratch / "out"
    out.mkdir()
    progress.step("models", str(request.model_root))
    with timings.measure("models"):
        model_set = check_model_set(request.model_root, expected=request.model_set, on_bytes=progress.percent)
        detector = choose_detector(backend)
        attributes = choose_attributes(model_set, age=request.age_model, gender=request.gender_model)
        embedder = AppearanceEmbedder()
    timings.reach("models")
    store = _store(request, out)
    store.check()
    progress.step("fetch", request.video.url)
    with timings.measure("fetch"):
        path = transfer.fetch(request.video, scratch, progress.percent)
    progress.step("analyse")
    with timings.measure("analyse"):
        info = probe(path, name=request.video.url)
        analysis = analyse(
            path,
            info,
            name=request.video.url,
            detector=detector,
            attributes=attributes,
            embedder=embedder,
            sample_fps=request.sample_fps,
            on_frame=lambda: timings.reach("first_frame"),
            on_decoded=progress.percent,
        )
    document = result.build(
        session_id=request.session_id,
        info=info,
        analysis=analysis,
        model_set=model_set,
        detector=detector,
        attributes=attributes,
        embedder=embedder,
        sample_fps=request.sample_fps,
    )
    progress.step("store", "postgres" if request.database_url else "jsonl")
    with timings.measure("store"):
        document["stored"] = store.replace(rows_of(document, analysis, video_url=request.video.url))
    timings.reach("done")
    document["timings"] = timings.all()
    document["timeline"] = timings.moments
    document["detections"] = document.pop("detections")
    _write(out, document, analysis)
    if request.result is not None:
        progress.step("publish", request.result.url)
        transfer.publish(out, request.result)
    return document


def _store(request: JobRequest, out: Path) -> Store:
    if request.database_url is None:
        return JsonLinesStore(out)
    from analyzer.store.postgres import PostgresStore

    return PostgresStore(request.database_url)


def _write(out: Path, document: result.Document, analysis: Analysis) -> None:
    (out / THUMBNAIL_FOLDER).mkdir()
    for track in analysis.tracks:
        for kind, data in track.thumbnails.items():
            (out / result.thumbnail_name(track, kind)).write_bytes(data)
    result.write_atomically(out / RESULT_NAME, result.to_json(document))
