"""The folders of a target's bucket, each with one use."""

from enum import StrEnum


class Folder(StrEnum):
    """Who writes: `models push`, `ami bake`, `ami verify --boot`, smoke jobs, other jobs.

    People put the videos there, `samples` those of smoke jobs.
    """

    MODELS = "models"
    EVIDENCE = "evidence"
    BOOTS = "boots"
    SMOKE = "smoke"
    RESULTS = "results"
    VIDEOS = "videos"
    SAMPLES = "samples"


# What the role of a job may read and write; `pulumi_stack/components/roles.py` grants it.
VIDEO_FOLDERS = (Folder.VIDEOS, Folder.SAMPLES)
RESULT_FOLDERS = (Folder.RESULTS, Folder.SMOKE)
