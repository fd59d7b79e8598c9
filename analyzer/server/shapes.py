"""The JSON that clients send and are sent, as `openapi.json` declares it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from analyzer.contract import SampleMode
from analyzer.server.analyses import State
from analyzer.server.limits import TEXT_MAX

Text = Annotated[str, Field(max_length=TEXT_MAX)]


class Submission(BaseModel):
    """What is to be analysed. Without `session_id` the video's address gives one; the same id and request is the same analysis."""

    model_config = ConfigDict(extra="forbid")

    video_url: Text
    session_id: Text | None = None
    result_url: Text | None = None
    sample_mode: SampleMode | None = None
    sample_fps: float | None = None
    caption_prompt: Text | None = None


class Fault(BaseModel):
    """What went wrong: `code` in kebab-case, `message` in a sentence, `hint` what next."""

    code: str
    message: str
    hint: str


class FaultAnswer(BaseModel):
    error: Fault


class AnalysisAnswer(BaseModel):
    """How an analysis stands; null = not known yet. `fps` are frames of the video per second of work."""

    id: str
    status: State
    step: str | None
    percent: float | None
    fps: float | None
    eta_seconds: float | None
    attempt: int | None
    error: Fault | None


class AnalysesAnswer(BaseModel):
    """How the last submitted analyses stand, the newest first; `total` are known here, since the server began."""

    analyses: list[AnalysisAnswer]
    total: int
