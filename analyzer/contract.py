"""What the analyzer promises to whoever submits it as a job: names, environment, exit codes.

Imports the standard library only, so that a submitter can read it without the analyzer's dependencies.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import unquote, urlsplit

from analyzer.errors import ExitCode, RequestInvalid

__all__ = [
    "BATCH_COMMAND",
    "DEFAULT_MODEL_ROOT",
    "DEFAULT_SAMPLE_FPS",
    "MARKER_NAME",
    "MARKER_SCHEMA",
    "MODEL_FOLDERS",
    "RESULT_NAME",
    "RESULT_SCHEMA",
    "RUNTIME_FOLDER",
    "THUMBNAIL_FOLDER",
    "Env",
    "ExitCode",
    "JobRequest",
    "Location",
    "RequestInvalid",
    "Table",
]

RESULT_SCHEMA = "capctl.analysis/1"
RESULT_NAME = "result.json"
THUMBNAIL_FOLDER = "thumbnails"

MARKER_SCHEMA = "capctl.model-set/1"
MARKER_NAME = ".model-set.json"
MODEL_FOLDERS = ("models", "checkpoints", "experiments")
# What a model set may hold besides: packages that are mounted elsewhere, and checked by their contract.
RUNTIME_FOLDER = "runtime"

BATCH_COMMAND = ("python3", "-m", "analyzer", "batch")
DEFAULT_MODEL_ROOT = "/workspace"
DEFAULT_SAMPLE_FPS = 2.0
# Above this rate each sampled frame repeats the one before it and only costs time.
MAX_SAMPLE_FPS = 60.0


class SampleMode(StrEnum):
    """Which frames are looked at."""

    FPS = "fps"
    KEYFRAME = "keyframe"
    SCENE = "scene"


class Env(StrEnum):
    """Environment variables that the Batch door reads."""

    VIDEO_URL = "VIDEO_URL"
    SESSION_ID = "SESSION_ID"
    DATABASE_URL = "DATABASE_URL"
    RESULT_URL = "RESULT_URL"
    MODEL_ROOT = "MODEL_ROOT"
    MODEL_SET = "MODEL_SET"
    AGE_MODEL_PATH = "AGE_MODEL_PATH"
    GENDER_MODEL_PATH = "GENDER_MODEL_PATH"
    SAMPLE_FPS = "SAMPLE_FPS"
    AWS_ENDPOINT_URL = "AWS_ENDPOINT_URL"


class Table(StrEnum):
    """Tables that the PostgreSQL store fills; every row carries `session_id`."""

    JOBS = "analysis_jobs"
    SEGMENTS = "analysis_segments"
    TRACKS = "analysis_tracks"
    SCENES = "analysis_scenes"
    DETECTIONS = "analysis_detections"
    EMBEDDINGS = "analysis_embeddings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A place that holds a video or receives a result: an S3 object or prefix, or a local path."""

    url: str
    bucket: str | None = None
    key: str = ""
    path: Path | None = None

    @classmethod
    def parse(cls, text: str, *, name: str) -> Location:
        """Read `s3://bucket/key`, `file:///path` or a plain path; `name` is the variable or option it came from.

        Raises: RequestInvalid, for another scheme, a missing bucket, a remote file host or a NUL byte.
        """
        hint = f"Set {name} to `s3://bucket/key`, `file:///path` or a plain path"
        if not text or "\0" in text:
            raise RequestInvalid("location-invalid", f"{name} is empty or holds a NUL byte", hint=hint)
        scheme, separator, rest = text.partition("://")
        if not separator:
            return cls(url=text, path=Path(text))
        if scheme == "s3":
            bucket, _, key = rest.partition("/")
            if not bucket:
                raise RequestInvalid("location-invalid", f"{name} `{text}` names no bucket", hint=hint)
            return cls(url=text, bucket=bucket, key=key)
        if scheme == "file":
            try:
                parts = urlsplit(text)
            except ValueError as error:
                raise RequestInvalid("location-invalid", f"{name} `{text}` is not a URL: {error}", hint=hint) from error
            if parts.netloc not in ("", "localhost") or not parts.path:
                raise RequestInvalid("location-invalid", f"{name} `{text}` names another host or no path", hint=hint)
            return cls(url=text, path=Path(unquote(parts.path)))
        raise RequestInvalid(
            "location-invalid", f"{name} has the scheme `{scheme}`, expected `s3` or `file`", hint=hint
        )


_SESSION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_SET_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """One job, as its environment describes it.

    `age_model` and `gender_model` are None unless the environment names them; the default paths are then tried.
    """

    video: Location
    session_id: str
    database_url: str | None = None
    result: Location | None = None
    model_root: Path = Path(DEFAULT_MODEL_ROOT)
    model_set: str | None = None
    age_model: Path | None = None
    gender_model: Path | None = None
    sample_fps: float = DEFAULT_SAMPLE_FPS

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> JobRequest:
        """Read the variables of `Env`; an empty value counts as absent.

        Raises: RequestInvalid, naming the variable.
        """
        read = {name: environment.get(name, "").strip() for name in Env}
        for name in (Env.VIDEO_URL, Env.SESSION_ID):
            if not read[name]:
                raise RequestInvalid(
                    "variable-missing", f"The environment variable `{name}` is not set", hint=f"Set `{name}` on the job"
                )
        return cls(
            video=Location.parse(read[Env.VIDEO_URL], name=f"`{Env.VIDEO_URL}`"),
            session_id=parse_session_id(read[Env.SESSION_ID], name=f"`{Env.SESSION_ID}`"),
            database_url=read[Env.DATABASE_URL] or None,
            result=Location.parse(read[Env.RESULT_URL], name=f"`{Env.RESULT_URL}`") if read[Env.RESULT_URL] else None,
            model_root=Path(read[Env.MODEL_ROOT] or DEFAULT_MODEL_ROOT),
            model_set=parse_set_digest(read[Env.MODEL_SET], name=f"`{Env.MODEL_SET}`") if read[Env.MODEL_SET] else None,
            age_model=Path(read[Env.AGE_MODEL_PATH]) if read[Env.AGE_MODEL_PATH] else None,
            gender_model=Path(read[Env.GENDER_MODEL_PATH]) if read[Env.GENDER_MODEL_PATH] else None,
            sample_fps=parse_sample_fps(read[Env.SAMPLE_FPS] or str(DEFAULT_SAMPLE_FPS), name=f"`{Env.SAMPLE_FPS}`"),
        )


def parse_session_id(text: str, *, name: str) -> str:
    """Accept 1 to 128 letters, digits and `._:-`, not starting with a sign; raises RequestInvalid."""
    if not _SESSION_ID.fullmatch(text):
        raise RequestInvalid(
            "session-id-invalid",
            f"{name} is `{text[:140]}`, expected 1 to 128 letters, digits or `._:-`",
            hint="Give each video its own id; the same id replaces that video's rows",
        )
    return text


def parse_set_digest(text: str, *, name: str) -> str:
    """Accept `sha256:` and 64 lower-case hex digits; raises RequestInvalid."""
    if not _SET_DIGEST.fullmatch(text):
        raise RequestInvalid(
            "model-set-invalid",
            f"{name} is `{text[:80]}`, expected `sha256:` and 64 hex digits",
            hint="Copy `digest` from `models.lock.yaml`",
        )
    return text


def parse_sample_fps(text: str, *, name: str) -> float:
    """Accept a rate above 0 and up to 60 frames per second; raises RequestInvalid."""
    try:
        fps = float(text)
    except ValueError:
        fps = math.nan
    if not 0 < fps <= MAX_SAMPLE_FPS:
        raise RequestInvalid(
            "sample-fps-invalid",
            f"{name} is `{text[:40]}`, expected a number above 0 and at most {MAX_SAMPLE_FPS:g}",
            hint="`2` suits most videos",
        )
    return fps
