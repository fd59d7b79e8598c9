"""One job from request to stored result; every door loads an `Analyzer` once and calls `run` for each request."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from analyzer import gallery, result, transfer
from analyzer.backends.base import Backends
from analyzer.backends.choose import choose_backends
from analyzer.contract import RESULT_NAME, JobRequest, ModelRequest, Table, printable
from analyzer.errors import Interrupted, ScratchUnusable
from analyzer.manifest import ModelSet, check_model_set, describe, where_told
from analyzer.metrics import Metrics
from analyzer.pipeline.run import Listener, Task, analyse
from analyzer.progress import Progress
from analyzer.store.base import Claim, Store, Work
from analyzer.store.open import open_store
from analyzer.store.place import LocalPlace, place_at
from analyzer.timings import Timings
from analyzer.tries import Tries
from analyzer.usage import Usage
from analyzer.video.info import SegmentSummary, VideoInfo


class Analyzer:
    """Models that are checked and loaded once, for any number of videos."""

    def __init__(self, model_set: ModelSet, backends: Backends, metrics: Metrics | None = None) -> None:
        self._model_set, self._backends = model_set, backends
        self._metrics = metrics or Metrics()

    @classmethod
    def load(cls, request: ModelRequest, progress: Progress, metrics: Metrics | None = None) -> Analyzer:
        """Raises: Mismatch, when the mounted models are not what `request` asks for."""
        begin_s, metrics = time.monotonic(), metrics or Metrics()
        progress.step("models", where_told(request.model_root, request.models.paths.values()))
        model_set = check_model_set(request.model_root, expected=request.model_set, on_bytes=progress.percent)
        backends = choose_backends(request.backend, model_set, request.models)
        metrics.cold_start("models", time.monotonic() - begin_s)
        return cls(model_set, backends, metrics)

    def run(
        self, request: JobRequest, progress: Progress, timings: Timings | None = None, tries: Tries | None = None
    ) -> result.Document:
        """Read the video, store the rows, publish the result; returns the result document without its detections.

        What an earlier attempt of the same work has committed is not done again. Scratch files go away in every case.
        `tries` may forbid the attempt, and is told what it came to.
        Raises: any `AnalyzerError`.
        """
        try:
            # A model's call that outlives a stop may still put pictures there; that must not hide what stopped the job.
            with tempfile.TemporaryDirectory(prefix="analyzer-", ignore_cleanup_errors=True) as scratch:
                return _Run(self, request, progress, timings or Timings(), Path(scratch), tries or Tries()).run()
        except OSError as error:
            # What can be wrong with a given path is caught where it is used; what is left is the scratch space.
            raise ScratchUnusable(error) from error


def run(request: JobRequest, progress: Progress, metrics: Metrics | None = None) -> result.Document:
    """Load the models and run one job. Raises: any `AnalyzerError`."""
    timings = Timings()
    with timings.measure("models"):
        analyzer = Analyzer.load(request, progress, metrics)
    timings.reach("models")
    return analyzer.run(request, progress, timings)


class _Run:
    """One attempt at one request."""

    def __init__(
        self,
        analyzer: Analyzer,
        request: JobRequest,
        progress: Progress,
        timings: Timings,
        scratch: Path,
        tries: Tries,
    ) -> None:
        self._model_set, self._backends, self._metrics = analyzer._model_set, analyzer._backends, analyzer._metrics
        self._request = request
        self._progress, self._timings, self._scratch, self._tries = progress, timings, scratch, tries
        self._usage = Usage()
        self._info: VideoInfo | None = None
        self._place = place_at(request.result) if request.result else LocalPlace(scratch / "out")

    def run(self) -> result.Document:
        self._timings.reach("models")
        with closing(open_store(self._request, self._place)) as store:
            store.check()
            source = transfer.identify(self._request.video)
            has_result = gallery.require_own(self._place, self._request.session_id)
            claim = store.claim(self._work(source))
            self._progress.attempt(claim.attempt)
            try:
                if claim.finished:
                    self._progress.step("finished", "by an earlier attempt, whose result is published again")
                    # The document does not hold them, but would say that they are stored.
                    for _ in store.read(Table.EMBEDDINGS):
                        pass
                    return self._publish(store, claim.finished)
                if claim.replaces:
                    self._progress.step("replaces", "the result of other work of this session")
                self._tries.begin(claim.fruitless)
                if has_result and claim.next_segment == 0:
                    # Its rows are gone, and the pictures that it names are replaced from here on.
                    self._place.delete(RESULT_NAME)
                outcome = self._analyse(store, claim, source)
                with self._timings.measure("store"):
                    finished = store.finish(outcome)
                return self._publish(store, finished)
            except BaseException as error:
                store.give_up(_ended_early(error))
                raise

    def _work(self, source: transfer.Source) -> Work:
        request = self._request
        asked = {
            "video": source.identity,
            "models": self._model_set.digest,
            "backend": _described(self._backends, request),
            "code": _code_digest(),
        }
        text = json.dumps(asked, sort_keys=True, separators=(",", ":"), default=str)
        return Work(
            session_id=request.session_id,
            fingerprint=hashlib.sha256(text.encode()).hexdigest(),
            video_url=request.video.url,
            request={**asked, "result": request.result.place if request.result else None},
        )

    def _analyse(self, store: Store, claim: Claim, source: transfer.Source) -> Mapping[str, Any]:
        request = self._request
        self._progress.step("fetch", request.video.url)
        with self._timings.measure("fetch"):
            path = transfer.fetch(source, self._scratch, self._progress.percent)
        self._metrics.cold_start("fetch", self._timings.parts["fetch_ms"] / 1000)
        self._progress.step("analyse", f"from segment {claim.next_segment}" if claim.next_segment else "")
        task = Task(
            path=path,
            name=request.video.url,
            mode=request.sample_mode,
            fps=request.sample_fps,
            prompt=request.caption_prompt,
        )
        listener = Listener(
            opened=self._opened,
            frame=self._looked,
            committed=lambda summary: self._committed(store, summary),
            metrics=self._metrics,
            waiting=self._progress.stand,
            stopping=lambda: self._progress.event("stopping", text="stopping: what is finished is stored first"),
        )
        self._metrics.begin()
        try:
            with self._timings.measure("analyse"):
                seen = analyse(task, self._backends, store, self._place.put, claim, listener)
        finally:
            self._metrics.end()
        total_ms = seen.info.duration_ms
        coverage = seen.coverage.document()
        self._timings.reach("done")
        return {
            "status": "succeeded" if seen.coverage.is_complete(total_ms) else "partial",
            "attempt": claim.attempt,
            "video": asdict(seen.info),
            "coverage": {**coverage, "total_ms": total_ms, "decoded_ms": _at_most(coverage["decoded_ms"], total_ms)},
            "notes": [{"code": code, "message": message} for code, message in seen.notes.items()],
            "models": describe(self._model_set),
            "backend": _described(self._backends, request),
            "resources": self._usage.document(),
            "timings": self._timings.all(),
            "timeline": self._timings.moments,
        }

    def _publish(self, store: Store, finished: Mapping[str, Any]) -> result.Document:
        document = result.head(self._request.session_id, finished, store)
        if self._request.result is not None:
            self._progress.step("publish", self._request.result.url)
            # Again: who stores rows elsewhere leaves no trace here while it works.
            gallery.require_own(self._place, self._request.session_id)
            gallery.keep_only(self._place, document)
        # The document is the last to come: who finds it finds all that it names.
        with self._place.writer(RESULT_NAME) as stream:
            result.write(stream, document, store.read(Table.DETECTIONS))
        return document

    def _opened(self, info: VideoInfo) -> None:
        self._info = info

    def _looked(self, pts_ms: int) -> None:
        assert self._info is not None
        if self._timings.reach("first_frame"):
            moments = self._timings.moments
            self._metrics.cold_start("first_frame", (moments["first_frame_ms"] - moments["begun_ms"]) / 1000)
        self._progress.percent(pts_ms, self._info.duration_ms or 0, pts_ms / 1000 * (self._info.fps or 0))

    def _committed(self, store: Store, summary: SegmentSummary) -> None:
        self._tries.committed()
        self._metrics.gpu_free(self._usage.look())
        self._metrics.committed()
        self._metrics.lap()
        if self._info and self._info.duration_ms:
            store.progress(min(1.0, summary.end_ms / self._info.duration_ms))


def _ended_early(error: BaseException) -> dict[str, str]:
    """What the store notes of an attempt that did not finish; one that was told to stop did not fail."""
    known = {"code": getattr(error, "code", type(error).__name__), "message": printable(str(error))}
    return {**known, **({"status": "interrupted"} if isinstance(error, Interrupted) else {})}


def _described(backends: Backends, request: JobRequest) -> dict[str, Any]:
    return {
        "detector": dict(backends.detector.description),
        "attributes": dict(backends.attributes.description) if backends.attributes else {"name": "none"},
        "orientation": dict(backends.orientation.description) if backends.orientation else {"name": "none"},
        "captioner": {**backends.captioner.description, "prompt": request.caption_prompt}
        if backends.captioner
        else {"name": "none"},
        "embedding": dict(backends.embedder.description),
        "sampling": {"mode": str(request.sample_mode), "fps": request.sample_fps},
    }


@cache
def _code_digest() -> str:
    """Of this package's own code: what another version began, this one does not go on with."""
    digest, folder = hashlib.sha256(), Path(__file__).parent
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _at_most(value: int, limit: int | None) -> int:
    return value if limit is None else min(value, limit)
