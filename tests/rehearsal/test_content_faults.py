"""Models and videos that are gone or bad: what takes them fails by name, and nothing is left or stored of it."""

from __future__ import annotations

import io
import json
import wave
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.rehearsal.kept_stage import KeptStage, Project, replace
from tests.rehearsal.slow_door import SlowDoor
from tests.rehearsal.test_release_scene import rows_of

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(600)]


@pytest.fixture
def bystander(kept: KeptStage) -> Iterator[None]:
    """What a failed bake must leave as it was."""
    before = kept.bake_traces()
    yield
    assert kept.bake_traces() == before


def locked(project: Project) -> list[dict[str, Any]]:
    files: list[dict[str, Any]] = yaml.safe_load((project.folder / "models.lock.yaml").read_text())["files"]
    return files


@pytest.mark.parametrize("content", [b"\xff\xfe", b"", b"- 1\n", b"a: [", b"schema: capctl.model-lock/9\n"])
def test_lock_file_that_is_none_is_a_usage_error(project: Project, content: bytes) -> None:
    replace(project.folder / "models.lock.yaml", content)
    project.fails("lock-invalid", 2, "ami", "bake")


def test_lock_file_that_was_edited_is_refused(project: Project) -> None:
    path = project.folder / "models.lock.yaml"
    text = path.read_text()
    replace(path, text.replace("path: models/", "path: models/../../etc/", 1).encode())
    project.fails("model-path-invalid", 2, "ami", "bake")
    replace(path, text.replace("bytes: ", "bytes: 1", 1).encode())
    project.fails("object-missing", 1, "ami", "bake", "--force")
    path.unlink()
    project.fails("lock-missing", 2, "ami", "bake")


@pytest.mark.usefixtures("bystander")
def test_model_gone_from_bucket_and_folder_stops_the_bake_and_the_push(project: Project, kept: KeptStage) -> None:
    entry = locked(project)[0]
    file, key = project.folder / "models" / entry["path"], f"models/{entry['sha256']}"
    content = file.read_bytes()
    kept.client("s3").delete_object(Bucket=project.bucket, Key=key)
    file.unlink()
    assert entry["path"] in project.fails("object-missing", 1, "ami", "bake", "--force")
    assert entry["path"] in project.fails("model-missing", 1, "models", "push")
    verified = project("models", "verify")
    assert (verified.exit_code, verified.document["ok"]) == (1, False)
    assert entry["path"] in verified.document["problems"][0]
    replace(file, content[:-1] + bytes([content[-1] ^ 1]))
    project.fails("model-changed", 1, "models", "push")
    replace(file, content)
    assert project.done("models", "push")["changed"]


@pytest.mark.usefixtures("bystander")
def test_object_with_other_bytes_fails_the_bake_on_the_instance(project: Project, kept: KeptStage) -> None:
    entry = min(locked(project), key=lambda file: file["bytes"])
    s3, where = kept.client("s3"), {"Bucket": project.bucket, "Key": f"models/{entry['sha256']}"}
    stored = s3.get_object(**where)
    content = stored["Body"].read()
    s3.put_object(**where, Body=content[:-1] + bytes([content[-1] ^ 1]), Metadata=stored["Metadata"])
    try:
        message = project.fails("payload-mismatch", 1, "ami", "bake", "--force")
    finally:
        s3.delete_object(**where)
    assert f"`{entry['path']}`" in message
    assert project.done("models", "push")["changed"]


@pytest.mark.usefixtures("bystander")
def test_object_that_vanishes_while_the_instance_boots_fails_the_bake(project: Project, kept: KeptStage) -> None:
    entry = max(locked(project), key=lambda file: file["bytes"])
    address = urlsplit(kept.environment["AWS_ENDPOINT_URL"]).netloc
    with closing(SlowDoor(address, methods={"GET"}, hold_s=60)) as bucket:
        with project.changed_config() as (_, target):
            target["endpoint_url"], there = bucket.url, target["endpoint_url"]
        baking = project.start("ami", "bake", "--force")
        assert bucket.waiting.wait(120)
        assert kept.bake_traces()["instances"]
        kept.client("s3").delete_object(Bucket=project.bucket, Key=f"models/{entry['sha256']}")
        bucket.open.set()
        answer = baking.ended()
        with project.changed_config() as (_, target):
            target["endpoint_url"] = there
    project.done("models", "push")
    assert (answer.code, answer.exit_code) == ("object-missing", 1), answer.said
    assert entry["path"] in answer.document["message"]


def test_without_packer_no_bake_begins(project: Project, kept: KeptStage) -> None:
    project.fails("packer-missing", 2, "ami", "bake", "--force", PATH=str(kept.folder / "bin"))


def test_video_that_cannot_be_analysed_ends_its_job_and_stores_nothing(project: Project, kept: KeptStage) -> None:
    s3 = kept.client("s3")
    portrait = s3.get_object(Bucket=project.bucket, Key="samples/portrait.mp4")["Body"].read()
    sound = io.BytesIO()
    with wave.open(sound, "wb") as track:
        track.setnchannels(1)
        track.setsampwidth(2)
        track.setframerate(8000)
        track.writeframes(b"\0\1" * 16_000)
    videos = {
        "empty": b"",
        "truncated": portrait[: len(portrait) // 2],
        "text": b"no video\n" * 99,
        "sound": sound.getvalue(),
    }
    for name, content in videos.items():
        s3.put_object(Bucket=project.bucket, Key=f"videos/{name}", Body=content)
    jobs = {
        name: project.done(
            "job", "submit", "--video", f"s3://{project.bucket}/videos/{name}", "--session", f"fault-{name}"
        )
        for name in videos
    }
    for name, job in jobs.items():
        followed = project("job", "logs", job["id"], "--follow")
        assert followed.exit_code == 1, name
        lines = followed.document["lines"]
        told = [json.loads(line["message"]) for line in lines if '"event":"failed"' in line["message"]]
        assert [failure["exit_code"] for failure in told] == [65], (name, lines)
        rows = rows_of(kept, f"fault-{name}")
        assert rows.pop("analysis_jobs") == 1, "how the attempt ended is noted"
        assert set(rows.values()) == {0}, name
        assert not s3.list_objects_v2(Bucket=project.bucket, Prefix=f"results/fault-{name}/").get("Contents")
    ids = {job["id"] for job in jobs.values()}
    ended = [job for job in project.done("job", "ls")["jobs"] if job["id"] in ids]
    assert [(job["state"], job["exit_code"], job["attempts"]) for job in ended] == [("FAILED", 65, 1)] * len(jobs)
    shown = project.done("job", "show", jobs["text"]["id"])
    assert (shown["where"], shown["why"]) == ("it has failed", "unreadable input")
    assert not project.done("job", "cancel", jobs["text"]["id"], "--yes")["changed"]
    project.fails("video-missing", 1, "job", "submit", "--video", f"s3://{project.bucket}/videos/missing")
