"""Releases for tests."""

from dataclasses import replace
from typing import Any

from lifecycle.domain.ami import AmiId
from lifecycle.domain.digest import digest_of
from lifecycle.domain.image import ImageRef
from lifecycle.domain.release import Parameters, Release
from tests.fakes.images import REPOSITORY

MODEL_SET = digest_of(b"models")
PARAMETERS = Parameters(
    instance_types=("g5.xlarge",),
    max_vcpus=40,
    spot=True,
    subnet_ids=("subnet-1",),
    security_group_ids=("sg-1",),
    volume_gib=100,
    vcpus=4,
    memory_mib=14_000,
    gpus=1,
    timeout_s=7200,
    attempts=4,
    environment={},
)


def make_release(number: int = 1, **parameters: Any) -> Release:
    """Releases of different numbers differ by their image."""
    return Release(
        ami_id=AmiId("ami-0123456789abcdef0"),
        image=ImageRef(repository=REPOSITORY, digest=digest_of(str(number).encode())),
        model_set=MODEL_SET,
        parameters=replace(PARAMETERS, **parameters),
    )


def result_document(**changes: Any) -> dict[str, Any]:
    """What a good job of `make_release` leaves."""
    rows = {"analysis_jobs": 1, "analysis_tracks": 1}
    return {
        "schema": "capctl.analysis/1",
        "status": "succeeded",
        "coverage": {"frames": 90, "sampled_frames": 6, "errors": 0, "first_error": None},
        "tracks": [{"track": 1}],
        "models": {
            "digest": MODEL_SET,
            "read_only": True,
            "mounts": [{"folder": "models", "read_only": True}],
        },
        "stored": {"store": "postgres", "rows": rows},
    } | changes
