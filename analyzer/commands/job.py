"""`run` for one file, `batch` for a queue's job: one request, one pass through the pipeline, one exit code."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer.commands.models import add_mounted, model_request
from analyzer.contract import (
    DEFAULT_BACKEND,
    DEFAULT_CAPTION_PROMPT,
    DEFAULT_SAMPLE_FPS,
    Env,
    ExitCode,
    JobRequest,
    Location,
    Role,
    SampleMode,
    Table,
    parse_sample_fps,
    parse_sample_mode,
    parse_session_id,
)
from analyzer.errors import AnalyzerError, Interrupted
from analyzer.failure import failure_of

if TYPE_CHECKING:
    from analyzer.progress import Progress
    from analyzer.readings import Reading


def add_job_commands(commands: Any) -> None:
    """Add them to the subparsers of the command line."""
    run = commands.add_parser("run", help="analyse one video into a folder")
    run.add_argument("--video", required=True, metavar="URL", help="path, file:// or s3://bucket/key")
    run.add_argument("--out", required=True, metavar="DIR", help="folder or s3:// prefix for result and thumbnails")
    run.add_argument("--session", metavar="ID", help="key of the stored rows; default: from the video's name and place")
    run.add_argument(
        "--sample", default=SampleMode.FPS, metavar="MODE", help="frames looked at: fps, keyframe or scene"
    )
    run.add_argument("--fps", default=str(DEFAULT_SAMPLE_FPS), help="frames looked at per second at most (default: 2)")
    run.add_argument("--prompt", default=DEFAULT_CAPTION_PROMPT, help="what the caption model is asked of each scene")
    add_mounted(run)
    for role in Role:
        run.add_argument(f"--{role}-model", default="", metavar="DIR" if role is Role.CAPTION else "FILE")
    run.add_argument("--database", metavar="URL", help="store rows in PostgreSQL instead of JSON Lines")
    run.add_argument("--backend", default=DEFAULT_BACKEND, metavar="NAME", help="opencv, onnx, null or a plugin's name")
    run.set_defaults(command=_run)

    batch = commands.add_parser("batch", help="run one job as its environment variables describe it")
    batch.set_defaults(command=_batch)


def _run(options: argparse.Namespace) -> int:
    video = Location.parse(options.video, name="`--video`")
    session = options.session or _session_of(video)
    mounted = model_request(options, *Role, backend=options.backend)
    request = JobRequest(
        video=video,
        result=Location.parse(options.out, name="`--out`"),
        session_id=parse_session_id(session, name="`--session`"),
        database_url=options.database,
        model_root=mounted.model_root,
        model_set=mounted.model_set,
        backend=mounted.backend,
        models=mounted.models,
        sample_mode=parse_sample_mode(options.sample, name="`--sample`"),
        sample_fps=parse_sample_fps(options.fps, name="`--fps`"),
        caption_prompt=options.prompt,
    )
    return _job(request, _progress(request.session_id))


def _session_of(video: Location) -> str:
    """From the video's name, with a digest of where it lies: videos of one name in two places are two sessions."""
    name = (video.path or Path(video.url)).name
    plain = "".join(c if c.isascii() and c.isalnum() else "-" for c in name)[:80]
    return f"local-{plain}-{hashlib.sha256(video.place.encode()).hexdigest()[:8]}"


def _batch(_options: argparse.Namespace) -> int:
    progress = _progress(os.environ.get(Env.SESSION_ID, ""))
    try:
        request = JobRequest.from_environment(os.environ)
    except AnalyzerError as error:
        report_failure(progress, error)
        raise

    def tell(readings: Sequence[Reading]) -> None:
        from analyzer import emf

        for document in emf.documents(readings, backend=request.backend, now_ms=time.time_ns() // 1_000_000):
            progress.event("metrics", **document)

    return _job(request, progress, tell)


def _job(request: JobRequest, progress: Progress, on_lap: Callable[[Sequence[Reading]], None] = lambda _: None) -> int:
    try:
        # Here, not at the top: a stop signal during these second-long imports must already be caught.
        from analyzer import job
        from analyzer.metrics import Metrics

        document = job.run(request, progress, Metrics(on_lap=on_lap))
    except (Exception, Interrupted) as error:
        report_failure(progress, error)
        raise
    if request.result is None:
        # Without its detections: they are many, and a line of a job's log holds little.
        progress.event("result", text=json.dumps(document, indent=1), result=document)
    report_success(progress, document, request.result.url if request.result else None)
    return ExitCode.OK


def report_failure(progress: Progress, error: Exception | Interrupted) -> None:
    """Write the `failed` event of a job."""
    failure = failure_of(error)
    progress.event("failed", code=failure.code, exit_code=int(failure.exit_code), message=failure.message)


def report_success(progress: Progress, document: dict[str, Any], place: str | None) -> None:
    """Write the `finished` event of a job, whose result lies at `place`."""
    summary = _summary(document)
    progress.event("finished", text=_sentence(document["session_id"], summary, place), result_url=place, **summary)


def _progress(session_id: str) -> Progress:
    from analyzer.progress import Progress

    return Progress(session_id=session_id)


def _summary(document: dict[str, Any]) -> dict[str, Any]:
    return {
        "status": document["status"],
        "tracks": len(document["tracks"]),
        "scenes": len(document["scenes"]),
        "detections": document["stored"]["rows"][Table.DETECTIONS],
        "model_set": document["models"]["digest"],
        "attributes": document["backend"]["attributes"]["name"],
        "stored": document["stored"],
    }


def _sentence(session_id: str, summary: dict[str, Any], place: str | None) -> str:
    found = f"{_count(summary['tracks'], 'track')}, {_count(summary['detections'], 'detection')}"
    told = f"{summary['status']}: {found}, attributes {summary['attributes']}, session {session_id}"
    return told + (f" -> {place}" if place else "")


def _count(number: int, name: str) -> str:
    return f"{number} {name}" + ("" if number == 1 else "s")
