"""`capctl smoke`."""

from pathlib import Path

import pytest

from lifecycle.domain.golden_clip import CLIP_NAME
from tests.fakes.releases import result_document
from tests.fakes.stack import OUTPUTS
from tests.unit.lifecycle.commands.case import DEPLOYED, MODEL_SET, VIDEO, Case, Play, World

TEXT = f"""\
    check             expected                    found
ok  job               SUCCEEDED                   SUCCEEDED
ok  image             sha256:cd4efb609166         sha256:cd4efb609166
ok  host-ami          ami-00000000000000001       ami-00000000000000001
ok  status            succeeded                   succeeded
ok  frames            at least 1                  6
ok  tracks            at least 1                  1
ok  model-set         {MODEL_SET[:19]}         {MODEL_SET[:19]}
ok  models-read-only  every mount refuses writes  no mounts

submitted 2026-01-01 00:00:02Z
point      at     took  says   phase
submitted  +0.0s        batch
runnable   +0.0s  0.0s  seen   Batch takes it in
starting   +0.5s  0.5s  seen   waiting for a host
running    +1.0s  0.5s  batch  pulling the image, starting the container
done       +1.5s  0.5s  batch  the container's own work
slowest: runnable -> starting, 0.5s: waiting for a host (usually up to 4m00s)"""


CLIP = f"s3://{OUTPUTS.bucket}/samples/{CLIP_NAME}"


def without_setting(world: World) -> None:
    configuration = Path("capctl.yaml")
    configuration.write_text(configuration.read_text().replace(f'video_url: "{VIDEO}", ', ""))


def without_video(world: World) -> None:
    world.ports.objects.remove(VIDEO)


def without_frames(world: World) -> None:
    world.ports.jobs.leaves = result_document(
        models={"digest": MODEL_SET, "read_only": True}, coverage={"sampled_frames": 0}
    )


def without_tracks(world: World) -> None:
    world.ports.jobs.leaves = result_document(tracks=[])


CASES = [
    Case(
        words="smoke",
        given=DEPLOYED,
        asked=("jobs.submit",),
        text=TEXT,
        document={
            "schema": "capctl.smoke/1",
            "release_id": "c3db89e8ed06",
            "job_id": "00000000-0000-4000-8000-000000000002",
            "ok": True,
        },
    ),
    Case(words="smoke", given=DEPLOYED, change=without_tracks, asked=("jobs.submit",), code=1, error="smoke-failed"),
    Case(words="smoke", given=DEPLOYED, change=without_frames, asked=("jobs.submit",), code=1, error="smoke-failed"),
    Case(words="smoke", given=DEPLOYED, change=without_video, code=1, error="video-missing"),
    Case(words="smoke", code=1, error="pointer-missing"),
    Case(words="smoke --release 0123456789ab", given=DEPLOYED, code=1, error="release-missing"),
    Case(
        words="smoke --dry-run",
        given=DEPLOYED,
        text="""\
Plan: smoke release c3db89e8ed06
  because a real job is the proof
  1. smoke release c3db89e8ed06 with s3://vision-capctl-123456789012-us-west-2/videos/face.mp4, for 3m20s at most
  then, where a failure is a warning only:
  2. tag AMI ami-00000000000000001 as smoke-passed
Nothing was changed; run again without `--dry-run` to apply""",
        document={"schema": "capctl.plan/1"},
    ),
    Case(
        words="smoke --dry-run",
        given=DEPLOYED,
        change=without_setting,
        text=f"""\
Plan: smoke release c3db89e8ed06
  because a real job is the proof
  1. put the generated clip at {CLIP}
  2. smoke release c3db89e8ed06 with {CLIP}, for 3m20s at most
  then, where a failure is a warning only:
  3. tag AMI ami-00000000000000001 as smoke-passed
Nothing was changed; run again without `--dry-run` to apply""",
        document={"schema": "capctl.plan/1"},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_smoke(case: Case, played: Play) -> None:
    played(case)
