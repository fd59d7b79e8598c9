"""Two workers, one queue: the first is stopped in the middle of a video, the second goes on behind what it committed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import boto3
import pytest

from analyzer.contract import ExitCode, Table
from analyzer.errors import DependencyDown, Mismatch
from analyzer.sqs import MessageGone, Reason, SqsQueue
from tests.fakes.coloured_people import Walker, draw_clip

pytestmark = pytest.mark.rehearsal

BUCKET = "analyzer-videos"


def bring_backend(folder: Path) -> None:
    """A package that brings a backend by its entry point, for people of plain colours."""
    (folder / "coloured.py").write_text(
        "from tests.fakes.coloured_people import coloured_backends\n\n\n"
        "def load(model_set, settings):\n    return coloured_backends()\n"
    )
    (folder / "coloured-1.dist-info").mkdir()
    (folder / "coloured-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: coloured\nVersion: 1\n")
    (folder / "coloured-1.dist-info" / "entry_points.txt").write_text("[analyzer.backends]\ncoloured = coloured:load\n")


class Stage:
    """One queue with its dead-letter queue, and workers on it."""

    def __init__(self, variables: dict[str, str], client: Any, folder: Path) -> None:
        self.s3 = client
        self._folder = folder
        self.sqs = boto3.client(
            "sqs",
            endpoint_url=variables["AWS_ENDPOINT_URL"],
            region_name=variables["AWS_DEFAULT_REGION"],
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        self.queue, self.poison = (self.sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("jobs", "poison"))
        bring_backend(folder)
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self._environment = {
            **kept,
            **variables,
            "QUEUE_URL": self.queue,
            "POISON_QUEUE_URL": self.poison,
            "RESULT_URL": f"s3://{BUCKET}/results",
            "MODEL_ROOT": str(folder / "no-models"),
            "BACKEND": "coloured",
            "SAMPLE_FPS": "25",
            "PYTHONPATH": f"{Path(__file__).parents[2]}:{folder}",
        }

    def worker(self, *options: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "analyzer", "worker", *options],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def work_off(self) -> list[dict[str, Any]]:
        with self.worker("--once") as worker:
            out, error = worker.communicate(timeout=120)
        assert worker.returncode in (ExitCode.OK, ExitCode.INPUT), error
        return [json.loads(line) for line in out.splitlines()]

    def send_event(self, *keys: str) -> None:
        objects = [{"bucket": {"name": BUCKET}, "object": {"key": key.replace(" ", "+"), "eTag": "e"}} for key in keys]
        body = {"Records": [{"eventName": "ObjectCreated:Put", "s3": each} for each in objects]}
        self.sqs.send_message(QueueUrl=self.queue, MessageBody=json.dumps(body))

    def rows(self, session_id: str) -> dict[str, list[dict[str, Any]]]:
        """What is stored, without the session that it belongs to."""
        found = {}
        for table in Table:
            answer = self.s3.get_object(Bucket=BUCKET, Key=f"results/{session_id}/{table}.jsonl")
            rows = [json.loads(line) for line in answer["Body"].read().splitlines()]
            own = ("session_id", "attempt", "fingerprint", "video_url", "request", "outcome")
            found[str(table)] = [{name: value for name, value in row.items() if name not in own} for row in rows]
        return found

    def waiting(self) -> tuple[int, int]:
        """Messages that can be received, and those that somebody has."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=names)["Attributes"]
        return int(found[names[0]]), int(found[names[1]])


@pytest.fixture
def stage(object_store: tuple[dict[str, str], Any], tmp_path: Path) -> Stage:
    return Stage(*object_store, tmp_path)


def test_a_stopped_worker_s_message_is_finished_by_the_next_with_the_same_rows(stage: Stage, tmp_path: Path) -> None:
    walkers = (Walker(left=10), Walker(left=150, top=80, first_s=1, last_s=9, height=80))
    clip = draw_clip(tmp_path / "walkers.mp4", walkers, seconds=64, cut_s=7)
    for key in ("in/walk 1.mp4", "in/walk 2.mp4"):
        stage.s3.upload_file(str(clip), BUCKET, key)
    stage.send_event("in/walk 1.mp4")
    with stage.worker() as worker:
        assert worker.stdout is not None
        for line in worker.stdout:
            # Half of 64 seconds is behind the first segment of 30.
            if json.loads(line).get("percent") == 50:
                break
        begin_s = time.monotonic()
        worker.terminate()
        out, error = worker.communicate(timeout=30)
    assert worker.returncode == ExitCode.INTERRUPTED, error
    assert time.monotonic() - begin_s < 10
    log = [json.loads(line) for line in out.splitlines()]
    (given_back,) = [each for each in log if each["event"] == "given-back"]
    assert (given_back["delay_s"], given_back["code"]) == (0, "interrupted")
    assert stage.waiting() == (1, 0)

    log = stage.work_off()
    (finished,) = [each for each in log if each["event"] == "finished"]
    assert any(each.get("detail", "").startswith("from segment ") for each in log), "the second goes on"
    assert stage.waiting() == (0, 0)
    session = finished["result_url"].rpartition("/")[2]

    # All that a job writes into a bucket, and each object of it is an event again.
    listed = stage.s3.list_objects_v2(Bucket=BUCKET, Prefix=f"results/{session}/")["Contents"]
    assert len(listed) > len(Table)
    stage.send_event(*(each["Key"] for each in listed))
    (own,) = [each for each in stage.work_off() if each["event"] == "own-results"]
    assert own["objects"] == len(listed)
    assert stage.waiting() == (0, 0)

    # Whoever crashes between commit and delete leaves the message: it comes again, and nothing is done again.
    stage.send_event("in/walk 1.mp4", "in/walk 2.mp4")
    log = stage.work_off()
    assert [each["step"] for each in log if "detail" in each and each["step"] in ("analyse", "finished")] == [
        "finished",
        "analyse",
    ]
    *_, other = [each["result_url"].rpartition("/")[2] for each in log if each["event"] == "finished"]
    assert other != session
    assert stage.rows(session) == stage.rows(other)
    assert len(stage.rows(other)[Table.TRACKS]) == 4
    assert stage.waiting() == (0, 0)


def test_poison_lies_in_the_dead_letter_queue_with_its_reason(stage: Stage) -> None:
    stage.s3.put_object(Bucket=BUCKET, Key="garbage", Body=b"no video")
    stage.sqs.send_message(QueueUrl=stage.queue, MessageBody=json.dumps({"video_url": f"s3://{BUCKET}/garbage"}))
    stage.work_off()
    (message,) = stage.sqs.receive_message(QueueUrl=stage.poison, MessageAttributeNames=["All"])["Messages"]
    told = {name: each["StringValue"] for name, each in message["MessageAttributes"].items()}
    assert (told["exit_code"], told["receives"]) == ("65", "1")
    assert "garbage" in told["reason"]
    assert stage.waiting() == (0, 0)


def test_what_the_queue_answers_is_told_apart(
    stage: Stage, object_store: tuple[dict[str, str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in object_store[0].items():
        monkeypatch.setenv(name, value)
    stage.sqs.send_message(QueueUrl=stage.queue, MessageBody="x")
    queue = SqsQueue(stage.queue, None)
    message = queue.receive(60)
    assert message is not None
    assert (message.body, message.receives) == ("x", 1)
    queue.hide(message, 0)
    again = queue.receive(60)
    assert again is not None
    assert again.receives == 2
    assert not queue.bury(again, Reason(code="x", exit_code=65, message="x"))
    queue.delete(again)
    with pytest.raises(MessageGone):
        queue.hide(again, 60)
    with pytest.raises(Mismatch, match="refuses"):
        SqsQueue(f"{stage.queue}-of-nobody", None).receive(60)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(DependencyDown, match="does not serve"):
        SqsQueue(stage.queue, None).receive(60)
