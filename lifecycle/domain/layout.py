"""The folders of a target's bucket, each with one use."""

from enum import StrEnum


class Folder(StrEnum):
    """Who writes: `models push`, `ami bake`, `ami verify --boot`, smoke jobs, other jobs, any job.

    People put the videos there, `samples` those of smoke jobs. What comes to `videos` is told to the queue of new videos.
    """

    MODELS = "models"
    EVIDENCE = "evidence"
    BOOTS = "boots"
    SMOKE = "smoke"
    RESULTS = "results"
    THUMBNAILS = "thumbnails"
    VIDEOS = "videos"
    SAMPLES = "samples"


# What the role of a job may read and write; `pulumi_stack/components/roles.py` grants it.
VIDEO_FOLDERS = (Folder.VIDEOS, Folder.SAMPLES)
RESULT_FOLDERS = (Folder.RESULTS, Folder.SMOKE, Folder.THUMBNAILS)
