"""The folders of a target's bucket, each with one use."""

from enum import StrEnum


class Folder(StrEnum):
    """Who writes: `models push`, `ami bake`, smoke jobs, other jobs; people put the videos there, `samples` those of smoke jobs."""

    MODELS = "models"
    EVIDENCE = "evidence"
    SMOKE = "smoke"
    RESULTS = "results"
    VIDEOS = "videos"
    SAMPLES = "samples"


# What the role of a job may read and write; `pulumi_stack/components/roles.py` grants it.
VIDEO_FOLDERS = (Folder.VIDEOS, Folder.SAMPLES)
RESULT_FOLDERS = (Folder.RESULTS, Folder.SMOKE)
