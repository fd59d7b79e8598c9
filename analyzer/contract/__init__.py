"""What the analyzer promises to whoever submits it as a job: names, environment, exit codes.

Imports the standard library only, so that a submitter can read it without the analyzer's dependencies.
"""

from __future__ import annotations

from analyzer.contract.location import Location, local_path, printable
from analyzer.contract.marker import ModelFile, marker_content, set_digest
from analyzer.contract.names import (
    BATCH_COMMAND,
    DEFAULT_BACKEND,
    DEFAULT_CAPTION_PROMPT,
    DEFAULT_MODEL_ROOT,
    DEFAULT_SAMPLE_FPS,
    MARKER_NAME,
    MARKER_SCHEMA,
    MODEL_FOLDERS,
    MODEL_PATHS,
    RESULT_NAME,
    RESULT_SCHEMA,
    RUNTIME_FOLDER,
    THUMBNAIL_FOLDER,
    WORK_FOLDER,
    Device,
    Env,
    LicencePolicy,
    Role,
    SampleMode,
    Table,
    WorkerEnv,
)
from analyzer.contract.request import (
    JobRequest,
    ModelRequest,
    ModelSettings,
    parse_sample_fps,
    parse_sample_mode,
    parse_session_id,
    parse_set_digest,
)
from analyzer.errors import ExitCode, RequestInvalid

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
    "WORK_FOLDER",
    "Device",
    "Env",
    "ExitCode",
    "JobRequest",
    "LicencePolicy",
    "Location",
    "ModelFile",
    "ModelRequest",
    "ModelSettings",
    "RequestInvalid",
    "Role",
    "SampleMode",
    "Table",
    "WorkerEnv",
    "local_path",
    "marker_content",
    "parse_sample_fps",
    "parse_sample_mode",
    "parse_session_id",
    "parse_set_digest",
    "printable",
    "set_digest",
]
