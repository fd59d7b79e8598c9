"""One job, and the models that it needs: read from an environment or from options, and refused by the name that its reader knows."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from analyzer.contract.location import Location, local_path
from analyzer.contract.names import (
    DEFAULT_BACKEND,
    DEFAULT_CAPTION_PROMPT,
    DEFAULT_MODEL_ROOT,
    DEFAULT_SAMPLE_FPS,
    Device,
    Env,
    LicencePolicy,
    Role,
    SampleMode,
)
from analyzer.errors import RequestInvalid
from analyzer.runtime_contract import ENV_MOUNT

# Above this rate each sampled frame repeats the one before it and only costs time.
MAX_SAMPLE_FPS = 60.0
_SESSION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_SET_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


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
            paths={role: local_path(path, name=f"The {role} model") for role, path in paths.items() if path},
            device=_choice(Device, device or Device.AUTO, "device-invalid", device_name),
            licence_policy=_choice(LicencePolicy, policy or LicencePolicy.ANY, "license-policy-invalid", policy_name),
            runtime_mount=Path(runtime_mount) if runtime_mount else None,
        )


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
        "model_root": local_path(read[Env.MODEL_ROOT] or DEFAULT_MODEL_ROOT, name=_variable(Env.MODEL_ROOT)),
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
