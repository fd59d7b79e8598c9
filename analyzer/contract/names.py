"""What is called how: formats, files, environment variables, tables, and the words that settings are chosen from."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

RESULT_SCHEMA = "capctl.analysis/1"
RESULT_NAME = "result.json"
THUMBNAIL_FOLDER = "thumbnails"
# What a store keeps beside the result until the work is done.
WORK_FOLDER = "work"

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


class Table(StrEnum):
    """Tables that the PostgreSQL store fills; every row carries `session_id`."""

    JOBS = "analysis_jobs"
    SEGMENTS = "analysis_segments"
    TRACKS = "analysis_tracks"
    SCENES = "analysis_scenes"
    DETECTIONS = "analysis_detections"
    EMBEDDINGS = "analysis_embeddings"
