"""What the analyzer promises to whoever submits it as a job: names, environment, exit codes.

Imports the standard library only, so that a submitter can read it without the analyzer's dependencies.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from analyzer.errors import ExitCode, RequestInvalid
from analyzer.runtime_contract import ENV_MOUNT

__all__ = [
    "BATCH_COMMAND",
    "DEFAULT_BACKEND",
    "DEFAULT_CAPTION_PROMPT",
    "DEFAULT_MODEL_ROOT",
    "DEFAULT_SAMPLE_FPS",
    "MARKER_NAME",
    "MARKER_SCHEMA",
    "MODEL_FOLDERS",
    "MODEL_PATHS",
    "RESULT_NAME",
    "RESULT_SCHEMA",
    "RUNTIME_FOLDER",
    "THUMBNAIL_FOLDER",
    "Device",
    "Env",
    "ExitCode",
    "JobRequest",
    "LicencePolicy",
    "Location",
    "ModelRequest",
    "ModelSettings",
    "RequestInvalid",
    "Role",
    "SampleMode",
    "Table",
    "WorkerEnv",
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
DEFAULT_CAPTION_PROMPT = "Describe what happens in this picture in one or two sentences."
DEFAULT_BACKEND = "opencv"
# Above this rate each sampled frame repeats the one before it and only costs time.
MAX_SAMPLE_FPS = 60.0


class SampleMode(StrEnum):
    """Which frames are looked at: some of each second, keyframes only, or those where a scene begins and every ten seconds."""

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
    BACKEND = "BACKEND"
    DEVICE = "DEVICE"
    LICENSE_POLICY = "LICENSE_POLICY"
    DETECTOR_MODEL_PATH = "DETECTOR_MODEL_PATH"
    MIVOLO_MODEL_PATH = "MIVOLO_MODEL_PATH"
    AGE_MODEL_PATH = "AGE_MODEL_PATH"
    GENDER_MODEL_PATH = "GENDER_MODEL_PATH"
    ORIENTATION_MODEL_PATH = "ORIENTATION_MODEL_PATH"
    CAPTION_MODEL_PATH = "CAPTION_MODEL_PATH"
    SAMPLE_MODE = "SAMPLE_MODE"
    SAMPLE_FPS = "SAMPLE_FPS"
    CAPTION_PROMPT = "CAPTION_PROMPT"
    AWS_ENDPOINT_URL = "AWS_ENDPOINT_URL"


class WorkerEnv(StrEnum):
    """Environment variables that `analyzer worker` reads besides those of `Env`."""

    QUEUE_URL = "QUEUE_URL"
    POISON_QUEUE_URL = "POISON_QUEUE_URL"


class Role(StrEnum):
    """What a model file is for."""

    DETECTOR = "detector"
    MIVOLO = "mivolo"
    AGE = "age"
    GENDER = "gender"
    ORIENTATION = "orientation"
    CAPTION = "caption"

    @property
    def variable(self) -> Env:
        """The environment variable that names another path."""
        return Env(f"{self.name}_MODEL_PATH")


# Below the model root; a caption model is a folder.
MODEL_PATHS: Mapping[Role, str] = {
    Role.DETECTOR: "models/yolov8x_person_face.onnx",
    Role.MIVOLO: "models/mivolo.onnx",
    Role.AGE: "models/age-v1.onnx",
    Role.GENDER: "models/gender-v1.onnx",
    Role.ORIENTATION: "models/mebow.onnx",
    Role.CAPTION: "checkpoints/fastvlm",
}


class Device(StrEnum):
    """What networks run on; `auto` is CUDA where the machine has an NVIDIA device and the runtime a provider for it."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class LicencePolicy(StrEnum):
    """Which model files may be used: all, or those whose permitted use is stated and commercial."""

    ANY = "any"
    COMMERCIAL = "commercial"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """How a job wants its models: `paths` has the roles whose path is named, the others are tried at their default.

    `runtime_mount` is where the AMI's runtime is, None without one.
    """

    paths: Mapping[Role, Path] = field(default_factory=dict)
    device: Device = Device.AUTO
    licence_policy: LicencePolicy = LicencePolicy.ANY
    runtime_mount: Path | None = None

    @classmethod
    def parse(
        cls,
        *,
        paths: Mapping[Role, str],
        device: str,
        device_name: str,
        policy: str,
        policy_name: str,
        runtime_mount: str,
    ) -> ModelSettings:
        """Empty texts mean the default; the names are those of the variables or options. Raises: RequestInvalid, naming one."""
        return cls(
            paths={role: Path(path) for role, path in paths.items() if path},
            device=_choice(Device, device or Device.AUTO, "device-invalid", device_name),
            licence_policy=_choice(LicencePolicy, policy or LicencePolicy.ANY, "license-policy-invalid", policy_name),
            runtime_mount=Path(runtime_mount) if runtime_mount else None,
        )


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
    """A place that holds a video or receives a result: an S3 object or prefix, or a local path.

    `version` is the S3 object's version that is meant, None for whichever is there; no URL spells it.
    """

    url: str
    bucket: str | None = None
    key: str = ""
    version: str | None = None
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


def _variable(name: Env) -> str:
    return f"`{name}`"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """Which models are loaded, once for any number of jobs."""

    model_root: Path = Path(DEFAULT_MODEL_ROOT)
    model_set: str | None = None
    backend: str = DEFAULT_BACKEND
    models: ModelSettings = field(default_factory=ModelSettings)

    @classmethod
    def models_from_environment(cls, environment: Mapping[str, str]) -> ModelRequest:
        """Read the variables of `Env` that concern models. Raises: RequestInvalid, naming the variable."""
        return ModelRequest(**_model_fields(environment))


def _model_fields(environment: Mapping[str, str]) -> dict[str, Any]:
    read = {name: environment.get(name, "").strip() for name in Env}
    return {
        "model_root": Path(read[Env.MODEL_ROOT] or DEFAULT_MODEL_ROOT),
        "model_set": parse_set_digest(read[Env.MODEL_SET], name=_variable(Env.MODEL_SET))
        if read[Env.MODEL_SET]
        else None,
        "backend": read[Env.BACKEND] or DEFAULT_BACKEND,
        "models": ModelSettings.parse(
            paths={role: read[role.variable] for role in Role},
            device=read[Env.DEVICE],
            device_name=_variable(Env.DEVICE),
            policy=read[Env.LICENSE_POLICY],
            policy_name=_variable(Env.LICENSE_POLICY),
            runtime_mount=environment.get(ENV_MOUNT, ""),
        ),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest(ModelRequest):
    """One job, as its environment describes it."""

    video: Location
    session_id: str
    database_url: str | None = None
    result: Location | None = None
    sample_mode: SampleMode = SampleMode.FPS
    sample_fps: float = DEFAULT_SAMPLE_FPS
    caption_prompt: str = DEFAULT_CAPTION_PROMPT

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str], *, naming: Callable[[Env], str] = _variable
    ) -> JobRequest:
        """Read the variables of `Env`; an empty value counts as absent. `naming` says what messages call one.

        Raises: RequestInvalid, naming the variable.
        """
        read = {name: environment.get(name, "").strip() for name in Env}
        for name in (Env.VIDEO_URL, Env.SESSION_ID):
            if not read[name]:
                raise RequestInvalid(
                    "variable-missing", f"{naming(name)} is not set", hint=f"Set {naming(name)} of the job"
                )
        return cls(
            video=Location.parse(read[Env.VIDEO_URL], name=naming(Env.VIDEO_URL)),
            session_id=parse_session_id(read[Env.SESSION_ID], name=naming(Env.SESSION_ID)),
            database_url=read[Env.DATABASE_URL] or None,
            result=Location.parse(read[Env.RESULT_URL], name=naming(Env.RESULT_URL)) if read[Env.RESULT_URL] else None,
            sample_mode=parse_sample_mode(read[Env.SAMPLE_MODE], name=naming(Env.SAMPLE_MODE)),
            sample_fps=parse_sample_fps(read[Env.SAMPLE_FPS] or str(DEFAULT_SAMPLE_FPS), name=naming(Env.SAMPLE_FPS)),
            caption_prompt=read[Env.CAPTION_PROMPT] or DEFAULT_CAPTION_PROMPT,
            **_model_fields(environment),
        )


_Choice = TypeVar("_Choice", bound=StrEnum)


def _choice(kind: type[_Choice], text: str, code: str, name: str) -> _Choice:
    try:
        return kind(text)
    except ValueError:
        raise RequestInvalid(
            code, f"{name} is `{text[:40]}`, expected {' or '.join(f'`{each}`' for each in kind)}"
        ) from None


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


def parse_sample_mode(text: str, *, name: str) -> SampleMode:
    """Accept a `SampleMode`; empty means the default. Raises RequestInvalid."""
    return _choice(SampleMode, text or SampleMode.FPS, "sample-mode-invalid", name)


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
