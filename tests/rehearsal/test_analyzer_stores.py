"""The analyzer with its real networks and a real portrait: what comes into a real database and an object store, and from there."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from analyzer.contract import ExitCode, Table
from lifecycle.rehearsal.services.postgres import Postgres
from tests.rehearsal.analyzer_parts import batch, environment, run_batch
from tests.rehearsal.portrait import write_portrait_clip

pytestmark = pytest.mark.rehearsal


@pytest.fixture(scope="module")
def database_url(postgres: Postgres) -> str:
    return postgres.dsn


def rows_in(url: str, session_id: str) -> dict[str, int]:
    with psycopg.connect(url) as connection:
        return {
            str(table): connection.execute(
                f"select count(*) from {table} where session_id = %s", [session_id]
            ).fetchone()[0]
            for table in Table
        }


def test_rows_are_replaced_not_added(clip: Path, model_root: Path, tmp_path: Path, database_url: str) -> None:
    stored = []
    for _ in ("first", "second"):
        document = run_batch(clip, model_root, tmp_path / "out", DATABASE_URL=database_url)
        assert document["stored"]["store"] == "postgres"
        assert document["stored"]["rows"] == rows_in(database_url, "portrait-1")
        stored.append(document["stored"])
    assert stored[0] == stored[1]
    moved = batch(clip, model_root, tmp_path / "moved", DATABASE_URL=database_url)
    assert (moved.returncode, moved.stderr.split(":")[0]) == (ExitCode.USAGE, "error[result-elsewhere]")
    assert not (tmp_path / "moved").exists()
    run_batch(clip, model_root, tmp_path / "other", DATABASE_URL=database_url, SESSION_ID="portrait-2")
    assert rows_in(database_url, "portrait-1") == stored[0]["rows"]
    with psycopg.connect(database_url) as connection:
        (row,) = connection.execute(
            "select gender, age_mean from analysis_tracks where session_id = 'portrait-1'"
        ).fetchall()
        (nearest,) = connection.execute(
            "select round((a.v <=> b.v)::numeric, 4), vector_dims(a.v) from analysis_embeddings a, analysis_embeddings b"
            " where a.session_id = 'portrait-1' and b.session_id = 'portrait-2' and a.kind = 'track' and b.kind = 'track'"
        ).fetchall()
    assert row[0] == "female"
    assert 25 <= row[1] <= 45
    assert (float(nearest[0]), nearest[1]) == (0.0, 176)


def test_a_shorter_second_run_leaves_no_old_rows(
    clip: Path, model_root: Path, tmp_path: Path, database_url: str
) -> None:
    more = {"DATABASE_URL": database_url, "SESSION_ID": "portrait-3"}
    many = run_batch(clip, model_root, tmp_path / "many", SAMPLE_FPS="4", **more)
    few = run_batch(clip, model_root, tmp_path / "few", SAMPLE_FPS="1", **more)
    assert few["stored"]["rows"][Table.DETECTIONS] < many["stored"]["rows"][Table.DETECTIONS]
    assert rows_in(database_url, "portrait-3") == few["stored"]["rows"]


def test_sigterm_exits_75_with_no_segment_stored(model_root: Path, tmp_path: Path, database_url: str) -> None:
    clip, scratch = tmp_path / "long.mp4", tmp_path / "scratch"
    scratch.mkdir()
    write_portrait_clip(clip, seconds=40)
    more = {"DATABASE_URL": database_url, "SESSION_ID": "portrait-4", "SAMPLE_FPS": "25", "TMPDIR": str(scratch)}
    with subprocess.Popen(
        [sys.executable, "-m", "analyzer", "batch"],
        env=environment(clip, model_root, tmp_path / "out", **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as job:
        assert job.stdout is not None
        for line in job.stdout:
            if json.loads(line).get("step") == "analyse":
                break
        begin_s = time.monotonic()
        job.terminate()
        out, error = job.communicate(timeout=30)
    assert job.returncode == ExitCode.INTERRUPTED
    assert time.monotonic() - begin_s < 3
    assert error.startswith("error[interrupted]: Stopped by SIGTERM")
    assert json.loads(out.splitlines()[-1])["code"] == "interrupted"
    assert list(scratch.iterdir()) == []
    assert not (tmp_path / "out").exists()
    rows = rows_in(database_url, "portrait-4")
    assert rows == dict.fromkeys(map(str, Table), 0) | {Table.JOBS: 1}
    with psycopg.connect(database_url) as connection:
        found = connection.execute(
            "select state, running from analysis_jobs where session_id = 'portrait-4'"
        ).fetchall()
    assert found == [("interrupted", [])]


def test_video_comes_from_s3_and_the_result_goes_there(
    clip: Path, model_root: Path, tmp_path: Path, object_store: tuple[dict[str, str], Any]
) -> None:
    variables, client = object_store
    client.upload_file(str(clip), "analyzer-videos", "in/../portrait 1.mp4")
    job = {
        "VIDEO_URL": "s3://analyzer-videos/in/../portrait 1.mp4",
        "RESULT_URL": "s3://analyzer-videos/out/portrait-1",
        **variables,
    }
    assert batch(clip, model_root, tmp_path, **job).returncode == ExitCode.OK
    keys = [each["Key"] for each in client.list_objects_v2(Bucket="analyzer-videos", Prefix="out/")["Contents"]]
    assert set(keys) >= {
        "out/portrait-1/result.json",
        "out/portrait-1/analysis_tracks.jsonl",
        "out/portrait-1/thumbnails/track-0001-face.jpg",
    }
    document = json.load(client.get_object(Bucket="analyzer-videos", Key="out/portrait-1/result.json")["Body"])
    assert document["tracks"][0]["gender"]["value"] == "female"


def test_object_store_faults_have_their_exit_codes(
    clip: Path, model_root: Path, tmp_path: Path, object_store: tuple[dict[str, str], Any]
) -> None:
    variables, client = object_store
    client.put_object(Bucket="analyzer-videos", Key="poison", Body=b"no video")
    absent = batch(clip, model_root, tmp_path, VIDEO_URL="s3://analyzer-videos/absent", **variables)
    assert (absent.returncode, "s3://analyzer-videos/absent" in absent.stderr) == (ExitCode.INPUT, True)
    poison = batch(clip, model_root, tmp_path, VIDEO_URL="s3://analyzer-videos/poison", **variables)
    assert (poison.returncode, "s3://analyzer-videos/poison" in poison.stderr) == (ExitCode.INPUT, True)
    nowhere = {**variables, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    down = batch(clip, model_root, tmp_path, VIDEO_URL="s3://analyzer-videos/x", **nowhere)
    assert down.returncode == ExitCode.UNAVAILABLE, down.stderr
