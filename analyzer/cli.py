"""The command line: `run` for one file, `batch` for a queue's job; `models`, `search`, `database` and what is made of results."""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from analyzer.contract import (
    DEFAULT_BACKEND,
    DEFAULT_CAPTION_PROMPT,
    DEFAULT_MODEL_ROOT,
    DEFAULT_SAMPLE_FPS,
    Device,
    Env,
    ExitCode,
    JobRequest,
    LicencePolicy,
    Location,
    ModelSettings,
    Role,
    SampleMode,
    Table,
    parse_sample_fps,
    parse_sample_mode,
    parse_session_id,
    parse_set_digest,
)
from analyzer.database_command import add_database
from analyzer.errors import AnalyzerError, Interrupted, RequestInvalid
from analyzer.interrupt import stop_signals_raise
from analyzer.result_commands import add_result_commands
from analyzer.runtime_contract import ENV_MOUNT, require_runtime
from analyzer.search_command import add_search

if TYPE_CHECKING:
    from analyzer.progress import Progress


# The folder that is the code of an image, and what of it are others' packages where it is a checkout.
_CODE, _PACKAGES = Path(__file__).resolve().parents[1], "/site-packages/"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise RequestInvalid("usage", message, hint=f"See `{self.prog} --help`")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; prints errors to stderr, never a traceback for bad input."""
    try:
        # Before anything else: as process 1 of a container, a signal without a handler is ignored.
        with stop_signals_raise():
            require_runtime(os.environ)
            options = _parser().parse_args(arguments)
            return int(options.command(options))
    except AnalyzerError as error:
        return _fail(error.exit_code, error.code, error.message, error.hint)
    except Interrupted as error:
        hint = "Run it again: the same session replaces whatever was stored"
        return _fail(error.exit_code, "interrupted", f"Stopped by {error.signal_name}", hint)
    except Exception as error:
        place = _place(traceback.extract_tb(error.__traceback__))
        hint = f"The fault is in the job's own code, at `{place}`: mend it, then push the image and deploy it"
        return _fail(ExitCode.BUG, "bug", _crash(error), hint)


def _crash(error: Exception) -> str:
    """What nobody foresaw, in one line, with the frames that led to it, the last one first."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    where = " < ".join(f"{Path(each.filename).name}:{each.lineno} {each.name}" for each in reversed(frames))
    return f"{f'{type(error).__name__}: {error}'.splitlines()[0]} (at {where})"


def _place(frames: Sequence[traceback.FrameSummary]) -> str:
    """`file:line` of the last frame in the job's code; of the last at all where none is."""
    own = [each for each in frames if Path(each.filename).is_relative_to(_CODE) and _PACKAGES not in each.filename]
    last = (own or frames)[-1]
    path = Path(last.filename)
    return f"{path.relative_to(_CODE) if own else path}:{last.lineno}"


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="analyzer", description="Find people in a video, with age and gender per track")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)

    run = commands.add_parser("run", help="analyse one video into a folder")
    run.add_argument("--video", required=True, metavar="URL", help="path, file:// or s3://bucket/key")
    run.add_argument("--out", required=True, metavar="DIR", help="folder or s3:// prefix for result and thumbnails")
    run.add_argument("--session", metavar="ID", help="key of the stored rows; default: from the video's name")
    run.add_argument(
        "--sample", default=SampleMode.FPS, metavar="MODE", help="frames looked at: fps, keyframe or scene"
    )
    run.add_argument("--fps", default=str(DEFAULT_SAMPLE_FPS), help="frames looked at per second at most (default: 2)")
    run.add_argument("--prompt", default=DEFAULT_CAPTION_PROMPT, help="what the caption model is asked of each scene")
    run.add_argument("--model-root", default=DEFAULT_MODEL_ROOT, metavar="DIR", help="holds models/, checkpoints/, ...")
    run.add_argument("--model-set", metavar="DIGEST", help="refuse to run with any other model set")
    for role in Role:
        run.add_argument(f"--{role}-model", default="", metavar="DIR" if role is Role.CAPTION else "FILE")
    run.add_argument("--database", metavar="URL", help="store rows in PostgreSQL instead of JSON Lines")
    run.add_argument("--backend", default=DEFAULT_BACKEND, metavar="NAME", help="opencv, onnx, null or a plugin's name")
    run.add_argument("--device", default=Device.AUTO, metavar="DEVICE", help="auto, cpu or cuda (default: auto)")
    _add_licence_policy(run)
    run.set_defaults(command=_run)

    batch = commands.add_parser("batch", help="run one job as its environment variables describe it")
    batch.set_defaults(command=_batch)

    add_result_commands(commands)
    add_search(commands)
    add_database(commands)

    models = commands.add_parser("models", help="model files").add_subparsers(required=True, metavar="COMMAND")
    verify = models.add_parser("verify", help="hash a mounted model set against its marker")
    verify.add_argument("--root", default=DEFAULT_MODEL_ROOT, metavar="DIR")
    verify.add_argument("--set", metavar="DIGEST", help="the digest that the set must have")
    verify.add_argument("--json", action="store_true")
    _add_licence_policy(verify)
    verify.set_defaults(command=_verify)
    return parser


def _add_licence_policy(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--license-policy",
        default=LicencePolicy.ANY,
        metavar="POLICY",
        help="commercial: refuse a set with a file that may not be used commercially (default: any)",
    )


def _settings(options: argparse.Namespace, paths: dict[Role, str], device: str) -> ModelSettings:
    return ModelSettings.parse(
        paths=paths,
        device=device,
        device_name="`--device`",
        policy=options.license_policy,
        policy_name="`--license-policy`",
        runtime_mount=os.environ.get(ENV_MOUNT, ""),
    )


def _run(options: argparse.Namespace) -> int:
    session = options.session or "local-" + "".join(c if c.isalnum() else "-" for c in Path(options.video).name)[:80]
    request = JobRequest(
        video=Location.parse(options.video, name="`--video`"),
        result=Location.parse(options.out, name="`--out`"),
        session_id=parse_session_id(session, name="`--session`"),
        database_url=options.database,
        model_root=Path(options.model_root),
        model_set=parse_set_digest(options.model_set, name="`--model-set`") if options.model_set else None,
        backend=options.backend,
        models=_settings(options, {role: getattr(options, f"{role}_model") for role in Role}, options.device),
        sample_mode=parse_sample_mode(options.sample, name="`--sample`"),
        sample_fps=parse_sample_fps(options.fps, name="`--fps`"),
        caption_prompt=options.prompt,
    )
    return _job(request)


def _batch(_options: argparse.Namespace) -> int:
    try:
        request = JobRequest.from_environment(os.environ)
    except AnalyzerError as error:
        _report_failure(_progress(os.environ.get(Env.SESSION_ID, "")), error.code, error.exit_code, error.message)
        raise
    return _job(request)


def _job(request: JobRequest) -> int:
    progress = _progress(request.session_id)
    try:
        # Here, not at the top: a stop signal during these second-long imports must already be caught.
        from analyzer import job

        document = job.run(request, progress)
    except AnalyzerError as error:
        _report_failure(progress, error.code, error.exit_code, error.message)
        raise
    except Interrupted as error:
        _report_failure(progress, "interrupted", error.exit_code, f"Stopped by {error.signal_name}")
        raise
    except Exception as error:
        _report_failure(progress, "bug", ExitCode.BUG, _crash(error))
        raise
    summary = _summary(document)
    if request.result is None:
        # Without its detections: they are many, and a line of a job's log holds little.
        progress.event("result", text=json.dumps(document, indent=1), result=document)
    place = request.result.url if request.result else None
    progress.event("finished", text=_sentence(summary, place), result_url=place, **summary)
    return ExitCode.OK


def _progress(session_id: str) -> Progress:
    from analyzer.progress import Progress

    return Progress(session_id=session_id)


def _report_failure(progress: Progress, code: str, exit_code: int, message: str) -> None:
    progress.event("failed", code=code, exit_code=int(exit_code), message=message)


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


def _sentence(summary: dict[str, Any], place: str | None) -> str:
    found = f"{summary['tracks']} tracks, {summary['detections']} detections, attributes {summary['attributes']}"
    return f"{summary['status']}: {found}" + (f" -> {place}" if place else "")


def _verify(options: argparse.Namespace) -> int:
    from analyzer.errors import Mismatch
    from analyzer.licences import permits_commercial_use, require_licences
    from analyzer.manifest import check_model_set, describe

    policy = _settings(options, {}, "").licence_policy
    root = Path(options.root)
    expected = parse_set_digest(options.set, name="`--set`") if options.set else None
    model_set = check_model_set(root, expected=expected)
    if model_set.digest is None:
        raise Mismatch("model-set-absent", f"No model is mounted below `{root}`", hint="Mount the model volume there")
    require_licences(model_set, policy)
    files = [{**file.entry, **file.terms, "commercial_use": permits_commercial_use(file)} for file in model_set.files]
    document = {**describe(model_set), "files": files}
    if options.json:
        print(json.dumps({"schema": "capctl.model-check/1", **document}, indent=1))
        return ExitCode.OK
    for file in model_set.files:
        terms = f"{file.licence or 'no licence stated'}; {file.permitted_use or 'no permitted use stated'}"
        print(f"{file.sha256}  {file.size_bytes:>12}  {file.mode}  {file.path}  ({terms})")
    for name, read_only in model_set.read_only:
        print(f"{name}: {'read-only' if read_only else 'writable'}")
    print(model_set.digest)
    return ExitCode.OK


def _fail(exit_code: ExitCode, code: str, message: str, hint: str) -> int:
    sys.stderr.write(f"error[{code}]: {message}\n" + (f"hint: {hint}\n" if hint else ""))
    return exit_code
